"""How weights start; biases start at zero.

Shapes: a matrix is (inputs, outputs), a bank of filters (F, C, k, k).
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.random import Stream
from pipeline.nn.weights import size, views

Initializer = Callable[[Stream, int, int, int], Array]


def normal(std: float) -> Initializer:
    """Normal with one standard deviation everywhere, as in the tutorials."""
    return lambda stream, count, fan_in, fan_out: stream.normal(count) * std


def glorot(stream: Stream, count: int, fan_in: int, fan_out: int) -> Array:
    """Uniform within sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, for sigmoid and tanh."""
    return (2 * stream.uniform(count) - 1) * math.sqrt(6 / (fan_in + fan_out))


def he(stream: Stream, count: int, fan_in: int, fan_out: int) -> Array:
    """Normal of variance 2 / fan_in: He et al. 2015, for relu."""
    return stream.normal(count) * math.sqrt(2 / fan_in)


def initializer(name: str, std: float) -> Initializer:
    """What a name in params.yaml means."""
    return {"normal": normal(std), "glorot": glorot, "he": he}[name]


def initialize(shapes: dict[str, tuple[int, ...]], start: Initializer, stream: Stream) -> Array:
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
