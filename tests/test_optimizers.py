"""Optimizers against their formulas, in place, in one dtype."""

import numpy as np
import pytest

from pipeline.nn.random import Stream
from pipeline.training.optimizers import optimizer

RATE, KEPT = 0.1, 0.9


def gradients(count):
    """A few gradients of four weights, of very different sizes."""
    return Stream(1).normal(4 * count).reshape(count, 4) * np.array([1e-6, 1e-2, 1, 1e3])


def by_sgd(w, found):
    for g in found:
        w = w - RATE * g
    return w


def by_momentum(w, found):
    v = np.zeros(4)
    for g in found:
        v = KEPT * v - RATE * g
        w = w + v
    return w


def by_adam(w, found):
    """Algorithm 1 of Kingma & Ba, word for word."""
    m, v = np.zeros(4), np.zeros(4)
    for t, g in enumerate(found, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


@pytest.mark.parametrize(("name", "formula"), [("sgd", by_sgd), ("momentum", by_momentum), ("adam", by_adam)])
def test_an_optimizer_is_its_formula(name, formula):
    method, weights = optimizer(name, RATE, KEPT), np.ones(4)
    slots = method.start(weights)
    for g in gradients(20):
        method.update(weights, g.copy(), slots)
    np.testing.assert_allclose(weights, formula(np.ones(4), gradients(20)), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_weights_change_in_place_and_nothing_is_promoted(name, dtype):
    method, weights = optimizer(name, RATE, KEPT), np.ones(4, dtype)
    slots = method.start(weights)
    before = {key: (id(array), array.dtype) for key, array in slots.items()}
    method.update(weights, gradients(1)[0].astype(dtype), slots)
    assert (weights != 1).any()
    assert {key: (id(array), array.dtype) for key, array in slots.items()} == before
    assert {array.dtype for key, array in slots.items() if key != "powers"} <= {np.dtype(dtype)}


def test_only_plain_descent_gives_its_rate_away():
    """Fast ways take such steps by themselves; they must not do so for any other optimizer."""
    rates = {name: optimizer(name, RATE, KEPT).rate for name in ("sgd", "momentum", "adam")}
    assert rates == {"sgd": RATE, "momentum": None, "adam": None}


def test_adams_first_step_is_the_rate_whatever_the_gradient():
    method, weights = optimizer("adam", RATE, KEPT), np.zeros(4)
    method.update(weights, np.array([1e-3, -1e-3, 5, -5e5]), method.start(weights))
    np.testing.assert_allclose(weights, [-RATE, RATE, -RATE, RATE], rtol=1e-4)
