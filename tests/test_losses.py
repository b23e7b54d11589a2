"""Losses against their formulas, and their derivatives against complex steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.losses import LOSSES, hinge, softmax, softmax_cross_entropy

FLOAT64 = ARITHMETICS["float64"]
batches = st.tuples(st.integers(1, 6), st.integers(2, 5), st.integers(0, 1000), st.floats(0.01, 50))


def batch(n, k, seed, scale):
    rng = np.random.default_rng(seed)
    return scale * rng.normal(size=(n, k)), rng.integers(0, k, n)


@given(batches)
def test_cross_entropy_is_the_mean_log_of_the_probability_missed(shape):
    logits, labels = batch(*shape)
    y = np.exp(logits - logits.max(axis=1, keepdims=True))
    y /= y.sum(axis=1, keepdims=True)
    expected = np.mean([-np.log(max(row[label], 1e-300)) for row, label in zip(y, labels, strict=True)])
    assert softmax_cross_entropy(FLOAT64, logits.copy(), labels)[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(softmax(FLOAT64, logits), y, rtol=1e-12)


@given(batches)
def test_hinge_counts_what_each_wrong_class_lacks_of_the_margin(shape):
    logits, labels = batch(*shape)
    missing = [
        max(0.0, 1 + row[k] - row[label])
        for row, label in zip(logits, labels, strict=True)
        for k in range(len(row))
        if k != label
    ]
    assert hinge(FLOAT64, logits.copy(), labels)[0] == pytest.approx(sum(missing) / len(labels), abs=1e-10)


@pytest.mark.parametrize("name", LOSSES)
@given(shape=batches)
def test_the_derivative_is_that_of_a_complex_step(name, shape):
    logits, labels = batch(*shape)
    dlogits = LOSSES[name](FLOAT64, logits.copy(), labels)[1]
    for place in np.ndindex(logits.shape):
        moved = logits.astype(complex)
        moved[place] += 1e-30j
        assert dlogits[place] == pytest.approx(LOSSES[name](FLOAT64, moved, labels)[0].imag / 1e-30, abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@given(shape=batches)
def test_raising_every_logit_alike_changes_nothing(name, shape):
    logits, labels = batch(*shape)
    loss, dlogits = LOSSES[name](FLOAT64, logits.copy(), labels)
    assert LOSSES[name](FLOAT64, logits + 3, labels)[0] == pytest.approx(loss, abs=1e-10)
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-12)


def test_huge_logits_neither_overflow_nor_lose_the_loss():
    loss, dlogits = softmax_cross_entropy(FLOAT64, np.array([[1e4, 0.0]]), np.array([1]))
    assert (loss, dlogits.tolist()) == (1e4, [[1, -1]])


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_nothing_is_promoted(name, arithmetic):
    ops = ARITHMETICS[arithmetic]
    loss, dlogits = LOSSES[name](ops, np.ones((2, 3), ops.dtype), np.array([0, 2]))
    assert (type(loss), dlogits.dtype) == (float, ops.dtype)
