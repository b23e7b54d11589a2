"""Layers against their definitions, spelled out, and dtypes that stay as they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.layers import (
    affine,
    affine_backward,
    affine_grads,
    conv2d,
    conv2d_grads,
    max_pool,
    max_pool_backward,
    patches,
)

FLOAT64 = ARITHMETICS["float64"]
sizes = st.integers(1, 4)
seeds = st.integers(0, 1000)


def naive_conv2d(x, W, b):
    """The definition: a filter's value at a place is its dot product with the patch there."""
    k = W.shape[-1]
    y = np.empty((len(W), len(x), x.shape[2] - k + 1, x.shape[3] - k + 1))
    for f, n, row, column in np.ndindex(y.shape):
        y[f, n, row, column] = np.vdot(W[f], x[n, :, row : row + k, column : column + k]) + b[f]
    return y


@given(sizes, sizes, sizes, st.integers(1, 3), st.integers(0, 3), st.integers(0, 3), seeds)
@settings(max_examples=50, deadline=None)
def test_a_convolution_is_a_dot_product_with_every_patch(n, c, f, k, rows, columns, seed):
    rng = np.random.default_rng(seed)
    x, W, b = rng.normal(size=(n, c, k + rows, k + columns)), rng.normal(size=(f, c, k, k)), rng.normal(size=f)
    np.testing.assert_allclose(conv2d(FLOAT64, x, W, b)[0], naive_conv2d(x, W, b), rtol=1e-12, atol=1e-12)


@given(sizes, sizes, sizes, st.integers(1, 3), st.integers(0, 3), seeds)
@settings(max_examples=50, deadline=None)
def test_the_derivative_of_a_convolution_is_that_of_a_linear_map(n, c, f, k, more, seed):
    """y is linear in (W, b), so <dy, conv(x, V, v)> = <dW, V> + <db, v> for whatever V and v."""
    rng = np.random.default_rng(seed)
    x, V, v = rng.normal(size=(n, c, k + more, k + more)), rng.normal(size=(f, c, k, k)), rng.normal(size=f)
    y, cache = conv2d(FLOAT64, x, V, v)
    dy, dW, db = rng.normal(size=y.shape), np.empty_like(V), np.empty_like(v)
    conv2d_grads(FLOAT64, dy, cache, dW, db)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dW, V) + np.vdot(db, v), abs=1e-10)


@given(sizes, sizes, sizes, seeds)
@settings(max_examples=50, deadline=None)
def test_the_derivatives_of_an_affine_layer_are_those_of_a_linear_map(n, d, h, seed):
    rng = np.random.default_rng(seed)
    x, W, b, dy = (rng.normal(size=shape) for shape in [(n, d), (d, h), (h,), (n, h)])
    y = affine(FLOAT64, x, W, b)
    np.testing.assert_allclose(y, [[np.vdot(row, column) for column in W.T] + b for row in x], rtol=1e-12)
    dW, db = np.empty_like(W), np.empty_like(b)
    affine_grads(FLOAT64, dy, x, dW, db)
    assert np.vdot(dy, y) == pytest.approx(np.vdot(dW, W) + np.vdot(db, b), abs=1e-10)
    assert np.vdot(dy, y - b) == pytest.approx(np.vdot(affine_backward(FLOAT64, dy, W), x), abs=1e-10)


@given(sizes, sizes, st.integers(1, 3), st.integers(3, 7), st.integers(3, 7), seeds)
@settings(max_examples=50, deadline=None)
def test_pooling_takes_the_largest_of_every_whole_cell(f, n, p, rows, columns, seed):
    x = np.random.default_rng(seed).normal(size=(f, n, rows, columns))
    y = max_pool(x, p)
    assert y.shape == (f, n, rows // p, columns // p)
    for place in np.ndindex(y.shape):
        row, column = place[2] * p, place[3] * p
        assert y[place] == x[place[0], place[1], row : row + p, column : column + p].max()


@given(st.integers(1, 3), st.integers(3, 7), seeds)
@settings(max_examples=100, deadline=None)
def test_the_first_maximum_of_a_cell_takes_the_whole_gradient(p, side, seed):
    """Few different numbers, so that ties are everywhere, as in the blank borders of digits."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, (1, 2, side, side)).astype(np.float32)
    y = max_pool(x, p)
    dy = rng.normal(size=y.shape).astype(np.float32)
    expected = np.zeros_like(x)
    for f, n, row, column in np.ndindex(y.shape):
        cell = np.s_[f, n, row * p : row * p + p, column * p : column * p + p]
        first = np.unravel_index(x[cell].argmax(), (p, p))  # argmax is the first, row by row
        expected[cell][first] = dy[f, n, row, column]
    np.testing.assert_array_equal(max_pool_backward(dy, x, y, p), expected)


def test_a_blank_cell_sends_its_gradient_to_its_first_pixel():
    x = np.zeros((1, 1, 2, 2))
    dx = max_pool_backward(np.full((1, 1, 1, 1), 5.0), x, max_pool(x, 2), 2)
    assert dx.tolist() == [[[[5, 0], [0, 0]]]]


def test_patches_are_columns_in_reading_order():
    x = np.arange(9).reshape(1, 1, 3, 3)
    assert patches(x, 2).T.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
