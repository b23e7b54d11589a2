"""Images stored so that pixels that are dark in a whole batch cost nothing in a first affine layer.

Pixels are ordered by how often they are lit, so that those lit in a batch are nearly a prefix: the products run on that
prefix and on as many rows of the weights. The order is a change of basis of the flat vector for the length of a
training. Why the bits are the same in exact arithmetic: what is left out are terms of 0, and rows of a gradient that
are 0. Shapes: N images, D pixels, H units.
"""

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import Weights
from pipeline.nn.net import Net

BLOCK = 1024  # images counted at a time


def lit(images: Array) -> Array:
    """Images (N, D) without the last pixels, as far as those are dark in all of them: (N, k), k at least 1."""
    alight = np.logical_or.reduce(images, axis=0).nonzero()[0]
    return images[:, : alight[-1] + 1 if len(alight) else 1]


def brightest_first(images: Array) -> Array:
    """The pixels (D,) of images (N, D) in the order of how often they are lit."""
    often = sum(np.count_nonzero(images[start : start + BLOCK], axis=0) for start in range(0, len(images), BLOCK))
    return np.argsort(-np.asarray(often), kind="stable")


def reordered(flat: Array, shape: tuple[int, ...], order: Array | None) -> Array:
    """A copy of the flat vector (P,) of a net, with the rows of W1, of `shape` (D, H), in that order."""
    flat = flat.copy()
    if order is not None:
        rows = flat[: shape[0] * shape[1]].reshape(shape)
        rows[...] = rows[order]
    return flat


def affine_prefix(net: Net) -> Net:
    """The net for images (N, k) whose pixels from k on are dark: its first layer, which is affine, uses k rows of W."""
    at, plain = net.places[0], net.layers[0]

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = ops.operand(x, plain.bits.x, at.bound)
        y = np.matmul(x, w["W"][: x.shape[1]])
        y += w["b"]
        return y, x

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, x: Array) -> None:
        dy = ops.grid(dy, plain.bits.dy, dy)
        np.matmul(x.T, dy, out=g["W"][: x.shape[1]])
        g["W"][x.shape[1] :] = 0
        np.add.reduce(dy, axis=0, out=g["b"])

    return net._replace(layers=(plain._replace(forward=forward, backward=backward), *net.layers[1:]))
