"""Optimizers against their formulas, in place, in one dtype."""

import numpy as np
import pytest

from pipeline.base.words import made
from pipeline.training.optimizers import OPTIMIZERS

RATES = [0.1, 0.05, 0.2] * 7  # a schedule changes them


def gradients():
    """A few gradients of four weights, of very different sizes."""
    return np.random.default_rng(1).normal(size=(20, 4)) * np.array([1e-6, 1e-2, 1, 1e3])


def by_sgd(w, steps):
    for g, rate in steps:
        w = w - rate * g
    return w


def by_momentum(w, steps):
    v = np.zeros(4)
    for g, rate in steps:
        v = 0.9 * v - rate * g
        w = w + v
    return w


def by_adam(w, steps):
    """Algorithm 1 of Kingma & Ba, word for word."""
    m, v = np.zeros(4), np.zeros(4)
    for t, (g, rate) in enumerate(steps, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w = w - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


FORMULAS = {"sgd": by_sgd, "momentum 0.9": by_momentum, "adam": by_adam}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("text", FORMULAS)
def test_an_optimizer_is_its_formula_in_place_and_nothing_is_promoted(text, dtype):
    method, weights = made(OPTIMIZERS, text), np.ones(4, dtype)
    slots = method.start(weights)
    before = {key: (id(array), array.dtype) for key, array in slots.items()}
    for g, rate in zip(gradients(), RATES, strict=False):
        method.update(weights, g.astype(dtype), slots, rate)
    expected = FORMULAS[text](np.ones(4), list(zip(gradients(), RATES, strict=False)))
    np.testing.assert_allclose(weights, expected, rtol=1e-12 if dtype is np.float64 else 1e-4)
    assert {key: (id(array), array.dtype) for key, array in slots.items()} == before
    assert {array.dtype for key, array in slots.items() if key != "powers"} <= {np.dtype(dtype)}


@pytest.mark.parametrize("text", FORMULAS)
def test_an_optimizer_is_local_if_a_gradient_of_0_leaves_a_weight_as_it_is(text):
    method, weights = made(OPTIMIZERS, text), np.ones(4)
    slots = method.start(weights)
    for g in (np.ones(4), np.array([1.0, 1, 0, 0])):
        before = weights.copy()
        method.update(weights, g, slots, 0.1)
    assert (weights[2:].tobytes() == before[2:].tobytes()) == method.local


def test_every_optimizer_has_its_formula_here():
    assert {text.split()[0] for text in FORMULAS} == set(OPTIMIZERS)


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    method, weights = OPTIMIZERS["adam"].make(), np.zeros(4)
    method.update(weights, np.array([1e-3, -1e-3, 5, -5e5]), method.start(weights), 0.1)
    np.testing.assert_allclose(weights, [-0.1, 0.1, -0.1, 0.1], rtol=1e-4)
