"""Layers: each is a formula and its derivative, a pair of plain functions.

LAYERS says what the words of train.layers mean. It is read by the schema, the net, the gradient check, the ONNX export
and the page's pad. docs/guides.md lists what a new layer needs.

Shapes: N images; D inputs, H outputs of an affine layer; C channels, F filters, Y X rows and columns. dy is the
derivative of the loss by a layer's output, dx by its input. A layer rounds the factors of its own products: see
pipeline.nn.exact.
"""

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.exact import BYTE_BITS, Bits, bits_for

Weights = dict[str, Array]


class Place(NamedTuple):
    """Where a layer stands in a net.

    shape: of one input, without N. batch: images whose gradients are added up. bound: no |input| is larger; None if
    unknown. bytes: inputs are pixels, whole numbers from 0 to 255. first: no weights come before, so that dx is not
    needed.
    """

    shape: tuple[int, ...]
    batch: int = 1
    bound: float | None = None
    bytes: bool = False
    first: bool = False

    def bits(self, inputs: int, positions: int, outputs: int) -> Bits:
        """The bits of a layer that adds up `inputs` terms per output, and uses each weight at `positions` positions."""
        return bits_for(
            inputs, self.batch * positions, None if self.first else outputs, BYTE_BITS if self.bytes else None
        )


class Layer(NamedTuple):
    """A layer in its place.

    shape: of one output, without N.
    forward: (ops, w, x (N, ...)) -> y (N, ...) and a cache for backward. It changes neither x nor w.
    backward: (ops, w, g, dy, cache) -> dx, or None for the first layer with weights; fills g. It may change dy.
    weights: name -> shape of each array of w and g. They have been rounded together, to `bits.w`.
    bound: no |y| is larger; None if unknown.
    random: whether it uses random numbers; in training they are w["random"] (N, D), uint16.
    """

    shape: tuple[int, ...]
    forward: Callable[[Arithmetic, Weights, Array], tuple[Array, Any]]
    backward: Callable[[Arithmetic, Weights, Weights, Array, Any], Array | None]
    weights: dict[str, tuple[int, ...]] = {}  # noqa: RUF012  # nobody changes it
    bits: Bits = Bits(0, 0, 0)
    bound: float | None = None
    random: bool = False


def affine(at: Place, units: int) -> Layer:
    """X W + b: x (N, ...), taken as (N, D), W (D, H), b (H,) -> (N, H)."""
    inputs = prod(at.shape)
    bits = at.bits(inputs, 1, units)

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = ops.operand(x.reshape(len(x), inputs), bits.x, at.bound)
        y = np.matmul(x, w["W"])
        y += w["b"]
        return y, x

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, x: Array) -> Array | None:
        dy = ops.grid(dy, bits.dy, dy)
        np.matmul(x.T, dy, out=g["W"])
        np.add.reduce(dy, axis=0, out=g["b"])
        if at.first:
            return None
        return np.matmul(dy, w["W"].T, out=np.empty_like(x)).reshape(len(x), *at.shape)  # in the memory order of x

    return Layer((units,), forward, backward, {"W": (inputs, units), "b": (units,)}, bits)


def conv(at: Place, filters: int, kernel: int, padding: int, stride: int) -> Layer:
    """Cross-correlation: x (N, C, Y, X), W (F, C, k, k), b (F,) -> (N, F, Y', X'), each side padded with zeros."""
    channels, rows, columns = as_image(at.shape)
    high, wide = ((side + 2 * padding - kernel) // stride + 1 for side in (rows, columns))
    if min(rows, columns) + 2 * padding < kernel:
        raise ValueError(f"its filters of {kernel} x {kernel} are larger than its images of {rows} x {columns} pixels")
    bits = at.bits(channels * kernel * kernel, high * wide, filters * kernel * kernel)

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = ops.operand(x.reshape(-1, channels, rows, columns), bits.x, at.bound)
        patches = windows(padded(x, padding)).transpose(1, 4, 5, 0, 2, 3).reshape(-1, len(x) * high * wide)
        y = np.matmul(w["W"].reshape(filters, -1), patches)
        y += w["b"][:, None]
        return y.reshape(filters, len(x), high, wide).swapaxes(0, 1), patches

    def windows(x: Array) -> Array:
        """Every k by k window of x (N, C, Y, X): (N, C, Y', X', k, k)."""
        return sliding_window_view(x, (kernel, kernel), axis=(2, 3), writeable=True)[:, :, ::stride, ::stride]

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, patches: Array) -> Array | None:
        n, dy = len(dy), ops.grid(dy, bits.dy, dy).swapaxes(0, 1).reshape(filters, -1)
        np.matmul(dy, patches.T, out=g["W"].reshape(filters, -1))
        np.add.reduce(dy, axis=1, out=g["b"])
        if at.first:
            return None
        dpatches = np.matmul(w["W"].reshape(filters, -1).T, dy)
        dpatches = dpatches.reshape(channels, kernel, kernel, n, high, wide).transpose(3, 0, 4, 5, 1, 2)
        dx = np.zeros((n, channels, rows + 2 * padding, columns + 2 * padding), dy.dtype)
        for i, j in np.ndindex(kernel, kernel):  # a pixel is in several windows
            windows(dx)[..., i, j] += dpatches[..., i, j]
        return dx[:, :, padding : padding + rows, padding : padding + columns].reshape(n, *at.shape)

    shapes = {"W": (filters, channels, kernel, kernel), "b": (filters,)}
    return Layer((filters, high, wide), forward, backward, shapes, bits)


def as_image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """C, Y and X of an input. Raises ValueError where it is a row of numbers."""
    if len(shape) != 3:
        raise ValueError("it needs images, but an affine layer before it has turned them into rows of numbers")
    return shape


def padded(x: Array, padding: int) -> Array:
    """X (N, C, Y, X) with `padding` zeros on each side."""
    return np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding))) if padding else x


def pooled_shape(at: Place, size: int) -> tuple[int, int, int]:
    """C, Y // p, X // p. Raises ValueError where nothing is left."""
    channels, rows, columns = as_image(at.shape)
    if min(rows, columns) < size:
        raise ValueError(f"its cells of {size} x {size} are larger than its images of {rows} x {columns} pixels")
    return channels, rows // size, columns // size


def max_pool(at: Place, size: int) -> Layer:
    """The largest of every p by p cell: x (N, C, Y, X) -> (N, C, Y // p, X // p); the rest at the edge is ignored."""
    shape = pooled_shape(at, size)

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, tuple[Array, Array]]:
        x = x.reshape(-1, *at.shape)
        y = reduce(np.maximum, cells(x, size))
        return y, (x, y)

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, cache: tuple[Array, Array]) -> Array:
        """The first of equal maxima gets all of dy: blank borders are full of equal numbers."""
        x, y = cache
        dx, free = np.zeros_like(x, dtype=dy.dtype), np.ones_like(y, dtype=bool)
        for pixel, slot in zip(cells(x, size), cells(dx, size), strict=True):
            first = (pixel == y) & free
            np.multiply(dy, first, out=slot)
            free ^= first
        return dx

    return Layer(shape, forward, backward, bound=at.bound)


def mean_pool(at: Place, size: int) -> Layer:
    """The mean of every p by p cell: x (N, C, Y, X) -> (N, C, Y // p, X // p); the rest at the edge is ignored."""
    shape = pooled_shape(at, size)

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = x.reshape(-1, *at.shape)
        return reduce(np.add, cells(x, size)) / (size * size), x  # number by number: the same order everywhere

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, x: Array) -> Array:
        dx = np.zeros_like(x, dtype=dy.dtype)
        for slot in cells(dx, size):
            np.divide(dy, size * size, out=slot)
        return dx

    return Layer(shape, forward, backward, bound=at.bound)


def cells(x: Array, p: int) -> list[Array]:
    """The p p pixels of every p by p cell of x (..., Y, X), as p p views (..., Y // p, X // p), row by row."""
    rows, columns = (length // p * p for length in x.shape[-2:])
    return [x[..., row:rows:p, column:columns:p] for row in range(p) for column in range(p)]


def sigmoid(at: Place) -> Layer:
    """1 / (1 + exp(-x)), of slope y (1 - y)."""

    def formula(ops: Arithmetic, x: Array) -> Array:
        y = np.negative(x)
        y = ops.exp(y, out=y)
        y += 1
        return np.divide(1, y, out=y)

    return elementwise(at, formula, lambda y: (1 - y) * y, bound=1.0)


def tanh(at: Place) -> Layer:
    """The hyperbolic tangent, of slope 1 - y y."""
    return elementwise(at, lambda ops, x: ops.tanh(x), lambda y: 1 - y * y, bound=1.0)


def relu(at: Place) -> Layer:
    """max(x, 0), of slope 1 where y > 0, else 0."""
    return elementwise(at, lambda ops, x: np.maximum(x, 0), lambda y: y > 0, at.bound)


def elementwise(
    at: Place, formula: Callable[[Arithmetic, Array], Array], slope: Callable[[Array], Array], bound: float | None
) -> Layer:
    """y = formula(ops, x), number by number; slope(y) is its derivative."""

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        y = formula(ops, x)
        return y, y

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, y: Array) -> Array:
        dy *= slope(y)
        return dy

    return Layer(at.shape, forward, backward, bound=bound)


def dropout(at: Place, share: float) -> Layer:
    """In training, each number is 0 with probability `share` and else divided by 1 - share: Srivastava et al. 2014."""
    dropped = round(share * 2**16)
    kept = 1 - dropped / 2**16

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array | None]:
        if "random" not in w:
            return x, None
        mask = (w["random"] >= dropped).reshape(x.shape) / ops.dtype.type(kept)
        return x * mask, mask

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, mask: Array | None) -> Array:
        return dy if mask is None else dy * mask

    return Layer(at.shape, forward, backward, bound=at.bound and at.bound / kept, random=True)


UNITS = Number("units", 1, 100_000, whole=True, default=0)
SIZE = Number("size", 1, 1000, whole=True)
LAYERS: dict[str, Choice] = {
    "affine": Choice(affine, (UNITS,), ("dense", "linear")),
    "conv": Choice(
        conv,
        (
            Number("filters", 1, 10_000, whole=True),
            Number("kernel", 1, 1000, whole=True),
            Number("padding", 0, 1000, whole=True, default=0),
            Number("stride", 1, 1000, whole=True, default=1),
        ),
    ),
    "max_pool": Choice(max_pool, (SIZE,)),
    "mean_pool": Choice(mean_pool, (SIZE,), ("avgpool", "averagepool")),
    "sigmoid": Choice(sigmoid),
    "tanh": Choice(tanh),
    "relu": Choice(relu),
    "dropout": Choice(dropout, (Number("share", 0, 0.99),)),
}
