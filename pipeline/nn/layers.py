"""Layers and their derivatives, each a pair or triple of plain functions.

Shapes: N images, D inputs, H outputs; C channels, F filters, Y X rows and columns. dy is the derivative of the
loss by a layer's output, dx by its input.
What enters a layer (x, dy) is already on the grid of the arithmetic; weights are put on it here.
"""

from functools import reduce

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic


def affine(ops: Arithmetic, x: Array, W: Array, b: Array) -> Array:
    """X W + b: x (N, D), W (D, H), b (H,) -> (N, H)."""
    y = ops.matmul(x, ops.grid(W))
    y += b
    return y


def affine_grads(ops: Arithmetic, dy: Array, x: Array, dW: Array, db: Array) -> None:
    """Fill dW (D, H) and db (H,) from dy (N, H) and x (N, D)."""
    ops.matmul(x.T, dy, out=dW)
    dy.sum(axis=0, out=db)


def affine_backward(ops: Arithmetic, dy: Array, W: Array) -> Array:
    """Dy (N, H) -> dx (N, D)."""
    return ops.matmul(dy, ops.grid(W).T)


def conv2d(ops: Arithmetic, x: Array, W: Array, b: Array) -> tuple[Array, Array]:
    """Valid cross-correlation: x (N, C, Y, X), W (F, C, k, k), b (F,) -> (F, N, Y-k+1, X-k+1), and what backward needs.

    Filters come first because that is how one matrix product yields them; after pooling there is little to move.
    """
    filters, _, k, _ = W.shape
    columns = patches(x, k)
    y = ops.matmul(ops.grid(W).reshape(filters, -1), columns)
    y += b[:, None]
    return y.reshape(filters, len(x), x.shape[2] - k + 1, x.shape[3] - k + 1), columns


def conv2d_grads(ops: Arithmetic, dy: Array, columns: Array, dW: Array, db: Array) -> None:
    """Fill dW (F, C, k, k) and db (F,) from dy (F, N, Y-k+1, X-k+1) and the columns of conv2d."""
    dy = dy.reshape(len(db), -1)
    ops.matmul(dy, columns.T, out=dW.reshape(len(db), -1))
    dy.sum(axis=1, out=db)


def patches(x: Array, k: int) -> Array:
    """Every k by k patch of x (N, C, Y, X) as a column: (C k k, N (Y-k+1) (X-k+1))."""
    windows = sliding_window_view(x, (k, k), axis=(2, 3))  # (N, C, Y-k+1, X-k+1, k, k)
    return windows.transpose(1, 4, 5, 0, 2, 3).reshape(x.shape[1] * k * k, -1)


def max_pool(x: Array, p: int) -> Array:
    """The largest of every p by p cell: x (..., Y, X) -> (..., Y // p, X // p); what is left at the edge is unseen."""
    return reduce(np.maximum, cells(x, p))


def max_pool_backward(dy: Array, x: Array, y: Array, p: int) -> Array:
    """Dy (..., Y // p, X // p) -> dx (..., Y, X).

    Blank borders tie all the time. A tie shares nothing: the first pixel that equals the maximum takes it all.
    """
    dx, free = np.zeros_like(x), np.ones(y.shape, bool)
    for pixel, slot in zip(cells(x, p), cells(dx, p), strict=True):
        first = (pixel == y) & free
        np.multiply(dy, first, out=slot)
        free ^= first
    return dx


def cells(x: Array, p: int) -> list[Array]:
    """The p p pixels of every p by p cell of x (..., Y, X), as so many views (..., Y // p, X // p), row by row."""
    rows, columns = (length // p * p for length in x.shape[-2:])
    return [x[..., row:rows:p, column:columns:p] for row in range(p) for column in range(p)]
