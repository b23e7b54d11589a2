"""Losses against their formulas, and their derivatives against complex steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.words import made
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.losses import LOSSES, mean, softmax

FLOAT64 = ARITHMETICS["float64"]
WORDS = ["cross_entropy", "cross_entropy 0.1", "hinge"]
batches = st.tuples(st.integers(1, 6), st.integers(2, 5), st.integers(0, 1000), st.floats(0.01, 50))


def batch(n, k, seed, scale):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, k)), rng.integers(0, k, n)


def by_definition(text, logits, labels):
    """The mean over images, one class at a time."""
    losses, smoothing = [], float(text.split()[1]) if " " in text else 0.0
    for row, label in zip(logits, labels, strict=True):
        if text == "hinge":
            losses.append(sum(max(0.0, 1 + row[k] - row[label]) for k in range(len(row)) if k != label))
        else:
            log_p = row - row.max() - np.log(np.exp(row - row.max()).sum())
            losses.append(-(1 - smoothing) * log_p[label] - smoothing * log_p.mean())
    return np.mean(losses)


@pytest.mark.parametrize("text", WORDS)
@given(shape=batches)
@settings(max_examples=50)
def test_a_loss_is_its_formula_its_derivative_that_of_a_complex_step_and_only_differences_of_logits_count(text, shape):
    (logits, labels), loss = batch(*shape), made(LOSSES, text)
    kept = logits.copy()
    terms, dlogits = loss(FLOAT64, logits, labels)
    value = mean(FLOAT64, terms)
    np.testing.assert_array_equal(logits, kept)
    assert value == pytest.approx(by_definition(text, logits, labels), rel=1e-9, abs=1e-12)
    assert mean(FLOAT64, loss(FLOAT64, logits + 3, labels)[0]) == pytest.approx(value, abs=1e-10)
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-12)
    for place in np.ndindex(logits.shape):
        moved = logits.astype(complex)
        moved[place] += 1e-30j
        assert dlogits[place] == pytest.approx(mean(FLOAT64, loss(FLOAT64, moved, labels)[0]).imag / 1e-30, abs=1e-12)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_probabilities_are_those_of_softmax(arithmetic):
    logits, _ = batch(5, 4, 1, 3.0)
    y = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax(ARITHMETICS[arithmetic], logits), y, rtol=1e-7)


def test_huge_logits_neither_overflow_nor_lose_the_loss():
    terms, dlogits = made(LOSSES, "cross_entropy")(FLOAT64, np.array([[1e4, 0.0]]), np.array([1]))
    assert (terms.tolist(), dlogits.tolist()) == ([1e4], [[1, -1]])


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("text", WORDS)
def test_nothing_is_promoted(text, arithmetic):
    ops = ARITHMETICS[arithmetic]
    terms, dlogits = made(LOSSES, text)(ops, np.ones((2, 3), ops.dtype), np.array([0, 2]))
    assert (terms.dtype, dlogits.dtype, type(mean(ops, terms))) == (ops.dtype, ops.dtype, float)
