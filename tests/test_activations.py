"""Activations against their formulas, and against their own derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS

FORMULAS = {
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "tanh": np.tanh,
    "relu": lambda a: np.where(a > 0, a, 0),
}
numbers = arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 5)), elements=st.floats(-30, 30))


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(a=numbers)
def test_an_activation_is_its_formula(name, a):
    expected = FORMULAS[name](a)
    np.testing.assert_allclose(ACTIVATIONS[name].forward(ARITHMETICS["float64"], a.copy()), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
@given(a=numbers)
def test_its_derivative_is_that_of_a_complex_step(name, a):
    ops, act = ARITHMETICS["float64"], ACTIVATIONS[name]
    a[a == 0] = 1  # where relu bends
    slope = act.forward(ops, a + 1e-30j).imag / 1e-30
    y = act.forward(ops, a.copy())
    np.testing.assert_allclose(act.backward(ops, np.ones_like(y), y), slope, rtol=1e-6, atol=1e-14)


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nothing_is_promoted_and_nothing_overflows(name, arithmetic):
    ops, act = ARITHMETICS[arithmetic], ACTIVATIONS[name]
    a = np.array([[-80, -1, 0, 1, 80]], ops.dtype)
    y = act.forward(ops, a.copy())
    assert y.dtype == act.backward(ops, y.copy(), y).dtype == ops.dtype
    assert np.isfinite(y).all()
