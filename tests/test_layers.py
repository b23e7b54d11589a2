"""Layers against their definitions, spelled out, and their derivatives against complex steps."""

import numpy as np
import pytest
from by_loops import by_loops
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.words import made
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.check import example_of
from pipeline.nn.layers import LAYERS, Place

FLOAT64 = ARITHMETICS["float64"]
EXAMPLES = ["conv 2 3", "conv 3 2 2 1", *(example_of(word, choice) for word, choice in LAYERS.items())]
FORMULAS = {"sigmoid": lambda a: 1 / (1 + np.exp(-a)), "tanh": np.tanh, "relu": lambda a: np.where(a > 0, a, 0)}
sizes, seeds = st.integers(1, 4), st.integers(0, 1000)


def a_layer(text, shape, **at):
    return made(LAYERS, text, Place(shape, **at))


def an_input(layer, shape, seed=1, dtype=np.float64):
    """Two images, the layer's weights, and its random numbers."""
    rng = np.random.default_rng(seed)
    w = {name: rng.normal(size=size).astype(dtype) for name, size in layer.weights.items()}
    drawn = {"random": rng.integers(0, 2**16, (2, np.prod(shape))).astype(np.uint16)} if layer.random else {}
    return rng.normal(size=(2, *shape)).astype(dtype), w, drawn


@given(sizes, sizes, sizes, sizes, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(1, 3), seeds)
@settings(max_examples=40)
def test_a_convolution_is_a_dot_product_with_every_window(n, c, f, k, rows, columns, padding, stride, seed):
    rng = np.random.default_rng(seed)
    x, W, b = rng.normal(size=(n, c, k + rows, k + columns)), rng.normal(size=(f, c, k, k)), rng.normal(size=f)
    layer = a_layer(f"conv {f} {k} {padding} {stride}", x.shape[1:])
    y, _ = layer.forward(FLOAT64, {"W": W, "b": b}, x)
    assert y.shape[1:] == layer.shape
    np.testing.assert_allclose(y, by_loops(x, W, b, np.zeros_like(y), padding, stride)[0], rtol=1e-12, atol=1e-12)


def test_an_affine_layer_is_a_dot_product_with_every_column_whatever_the_shape_of_its_input():
    layer = a_layer("affine 5", (2, 3, 4))
    x, w, _ = an_input(layer, (2, 3, 4))
    expected = [[np.vdot(image, column) for column in w["W"].T] + w["b"] for image in x]
    for same in (x, x.reshape(2, 24), x.transpose(0, 1, 3, 2).copy().transpose(0, 1, 3, 2)):
        np.testing.assert_allclose(layer.forward(FLOAT64, w, same)[0], expected, rtol=1e-12)


@given(sizes, st.integers(1, 3), st.integers(3, 7), st.integers(3, 7), seeds)
@settings(max_examples=40)
def test_pooling_sees_every_whole_cell_and_the_first_maximum_takes_the_whole_derivative(n, p, rows, columns, seed):
    """Few different numbers, so that ties are everywhere, as in the blank borders of digits."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (n, 2, rows, columns)).astype(float)
    found = {}
    for word in ("max_pool", "mean_pool"):
        layer = a_layer(f"{word} {p}", x.shape[1:])
        y, cache = layer.forward(FLOAT64, {}, x)
        assert y.shape[1:] == layer.shape == (2, rows // p, columns // p)
        dy = rng.normal(size=y.shape)
        found[word] = y, dy, layer.backward(FLOAT64, {}, {}, dy.copy(), cache)
    largest, mean = np.zeros_like(x), np.zeros_like(x)
    for n, c, row, column in np.ndindex(y.shape):
        cell, place = np.s_[n, c, row * p : row * p + p, column * p : column * p + p], (n, c, row, column)
        assert found["max_pool"][0][place] == x[cell].max()
        assert found["mean_pool"][0][place] == x[cell].sum() / p**2
        first = np.unravel_index(x[cell].argmax(), (p, p))  # argmax is the first, row by row
        largest[cell][first] = found["max_pool"][1][place]
        mean[cell] = found["mean_pool"][1][place] / p**2
    np.testing.assert_array_equal(found["max_pool"][2], largest)
    np.testing.assert_array_equal(found["mean_pool"][2], mean)


@pytest.mark.parametrize("word", FORMULAS)
@given(a=st.lists(st.floats(-30, 30), min_size=1, max_size=9))
@settings(max_examples=30)
def test_an_activation_is_its_formula(word, a):
    x = np.array([a])
    np.testing.assert_allclose(a_layer(word, x.shape[1:]).forward(FLOAT64, {}, x)[0], FORMULAS[word](x), rtol=1e-14)


def test_dropout_drops_its_share_in_training_and_nothing_else():
    layer = a_layer("dropout 0.25", (10_000,))
    x, _, drawn = an_input(layer, layer.shape)
    y, mask = layer.forward(FLOAT64, drawn, x)
    assert set(np.unique(mask)) == {0, 1 / 0.75}
    assert np.mean(mask == 0) == pytest.approx(0.25, abs=0.02)
    np.testing.assert_array_equal(y, x * mask)
    assert layer.forward(FLOAT64, {}, x)[0] is x


@pytest.mark.parametrize("text", EXAMPLES)
def test_derivatives_are_those_of_a_complex_step_in_a_random_direction(text):
    shape = (2, 7, 6)
    layer = a_layer(text, shape)
    x, w, drawn = an_input(layer, shape)
    y, cache = layer.forward(FLOAT64, w | drawn, x)
    dy = np.random.default_rng(2).normal(size=y.shape)
    g = {name: np.full_like(array, np.nan) for name, array in w.items()}
    dx = layer.backward(FLOAT64, w | drawn, g, dy.copy(), cache)
    v, u, _ = an_input(layer, shape, seed=3)
    moved = {name: array + 1e-30j * u[name] for name, array in w.items()}
    slope = np.vdot(dy, layer.forward(FLOAT64, moved | drawn, x + 1e-30j * v)[0]).imag / 1e-30
    assert np.vdot(dx, v) + sum(np.vdot(g[name], u[name]) for name in g) == pytest.approx(slope, rel=1e-12)


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("text", EXAMPLES)
def test_a_layer_keeps_its_promises(text, arithmetic):
    """Shapes, one dtype, a bound, inputs left alone; no derivative by the input where it is not needed."""
    ops, shape = ARITHMETICS[arithmetic], (2, 7, 6)
    layer = a_layer(text, shape, bound=4.0, batch=2, first=True)
    x, w, drawn = an_input(layer, shape, dtype=ops.dtype)
    x[:, :, 2:4] *= 4 / np.abs(x).max()
    for array in (x, *w.values()):
        array.flags.writeable = False
    y, cache = layer.forward(ops, w | drawn, x)
    dx = layer.backward(ops, w | drawn, {name: np.empty_like(w[name]) for name in w}, np.ones_like(y), cache)
    assert y.shape == (2, *layer.shape)
    assert y.dtype == ops.dtype
    assert layer.bound is None or np.abs(y).max() <= layer.bound
    if layer.weights:
        assert dx is None
    else:
        assert (dx.shape, dx.dtype) == (x.shape, ops.dtype)
