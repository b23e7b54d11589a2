"""First values of the weights; biases start at zero.

Shapes: a matrix is (inputs, outputs), a bank of filters (F, C, k, k).
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number
from pipeline.nn.net import Shapes, size, views
from pipeline.nn.random import Stream

Initializer = Callable[[Stream, int, int, int], Array]


def normal(std: float) -> Initializer:
    """Normal with one standard deviation everywhere, as in the tutorials."""
    return lambda stream, count, fan_in, fan_out: stream.normal(count) * std


def glorot() -> Initializer:
    """Uniform within sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, for sigmoid and tanh."""
    return lambda stream, count, fan_in, fan_out: (2 * stream.uniform(count) - 1) * math.sqrt(6 / (fan_in + fan_out))


def he() -> Initializer:
    """Normal of variance 2 / fan_in: He et al. 2015, for relu."""
    return lambda stream, count, fan_in, fan_out: stream.normal(count) * math.sqrt(2 / fan_in)


INITIALIZERS: dict[str, Choice] = {
    "normal": Choice(normal, (Number("std", 0, 100, above=True),)),
    "glorot": Choice(glorot),
    "he": Choice(he),
}


def initialize(shapes: Shapes, start: Initializer, stream: Stream) -> Array:
    """The flat float64 vector of first weights for arrays of `shapes`."""
    flat = np.zeros(size(shapes))
    for array in views(flat, shapes).values():
        if array.ndim > 1:
            array[...] = start(stream, array.size, *fans(array.shape)).reshape(array.shape)
    return flat


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Connections into an output and out of an input of a weight array."""
    if len(shape) == 2:
        return shape
    filters, channels, *kernel = shape
    return channels * math.prod(kernel), filters * math.prod(kernel)
