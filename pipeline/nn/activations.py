"""sigmoid, tanh and relu, and their derivatives from the output.

Each takes an array it may change and returns one of the same shape; a derivative takes dy, the derivative of
the loss by the output, and y, the output, and returns the derivative by the input.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic

RELU_BOUND = 32.0  # outputs on images from 0 to 1 stay below it, and their grid does not depend on the batch


class Activation(NamedTuple):
    """A function of a layer's output and its derivative."""

    forward: Callable[[Arithmetic, Array], Array]
    backward: Callable[[Arithmetic, Array, Array], Array]


def sigmoid(ops: Arithmetic, a: Array) -> Array:
    """1 / (1 + exp(-a)), in place."""
    np.negative(a, out=a)
    y = ops.exp(a, out=a)
    y += 1
    np.divide(1, y, out=y)
    return ops.grid(y, 1.0, out=y)


def sigmoid_backward(ops: Arithmetic, dy: Array, y: Array) -> Array:
    """Dy y (1 - y), in place of dy."""
    slope = 1 - y
    slope *= y
    dy *= slope
    return ops.grid(dy, out=dy)


def tanh(ops: Arithmetic, a: Array) -> Array:
    """The hyperbolic tangent, in place."""
    y = ops.tanh(a, out=a)
    return ops.grid(y, 1.0, out=y)


def tanh_backward(ops: Arithmetic, dy: Array, y: Array) -> Array:
    """Dy (1 - y y), in place of dy."""
    slope = y * y
    slope *= dy
    dy -= slope
    return ops.grid(dy, out=dy)


def relu(ops: Arithmetic, a: Array) -> Array:
    """max(a, 0), in place."""
    y = np.maximum(a, 0, out=a)
    return ops.grid(y, at_least=RELU_BOUND, out=y)


def relu_backward(ops: Arithmetic, dy: Array, y: Array) -> Array:
    """Dy where y > 0 and else 0, in place of dy."""
    dy *= y > 0
    return ops.grid(dy, out=dy)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_backward),
    "tanh": Activation(tanh, tanh_backward),
    "relu": Activation(relu, relu_backward),
}
