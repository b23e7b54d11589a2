"""Layers and their derivatives, each a pair or triple of plain functions.

Shapes: N images, D inputs, H outputs. dy is the derivative of the loss by a layer's output, dx by its input.
What enters a layer (x, dy) is already on the grid of the arithmetic; weights are put on it here.
"""

from pipeline.nn.arithmetic import Arithmetic
from pipeline.npz import Array


def affine(ops: Arithmetic, x: Array, W: Array, b: Array) -> Array:
    """X W + b: x (N, D), W (D, H), b (H,) -> (N, H)."""
    y = ops.matmul(x, ops.grid(W))
    y += b
    return y


def affine_grads(ops: Arithmetic, dy: Array, x: Array, dW: Array, db: Array) -> None:
    """Fill dW (D, H) and db (H,) from dy (N, H) and x (N, D)."""
    ops.matmul(x.T, dy, out=dW)
    ops.sum(dy, axis=0, out=db)


def affine_backward(ops: Arithmetic, dy: Array, W: Array) -> Array:
    """Dy (N, H) -> dx (N, D)."""
    return ops.matmul(dy, ops.grid(W).T)
