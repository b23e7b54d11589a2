"""Images so stored that pixels dark in a whole batch do no work in a first affine layer.

Pixels are ordered by how often they light, so that those lit in a batch are nearly a prefix: the products run on that
prefix and on as many rows of the weights. The order is a change of basis of the flat vector for the length of a
training. Why the bits are the same in exact arithmetic: what is left out are terms of 0, and rows of a gradient that
are 0. Shapes: N images, D pixels, H units.
"""

from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import Weights
from pipeline.nn.net import Net

BLOCK = 1024  # images counted at a time


class Pixels(NamedTuple):
    """Images with their pixels in some order, and where each of them goes dark for good."""

    images: Array  # (N, D)
    used: Array  # (N,) columns up to the last one lit, at least 1

    def batch(self, indices: Array) -> Array:
        """Those images (B, k); what is left out is dark in all of them."""
        return np.take(self.images, indices, axis=0, mode="clip")[:, : self.used[indices].max()]

    def lit(self) -> Array:
        """All images (N, k), without the pixels that never light."""
        return self.images[:, : self.used.max()]


def brightest_first(images: Array) -> Array:
    """The pixels (D,) of images (N, D) in the order of how often they light."""
    often = sum(np.count_nonzero(images[start : start + BLOCK], axis=0) for start in range(0, len(images), BLOCK))
    return np.argsort(-np.asarray(often), kind="stable")


def arranged(images: Array, order: Array | None = None) -> Pixels:
    """Images (N, D) with their pixels in that order; without one, as they are and all of them used."""
    if order is None:
        return Pixels(images, np.full(len(images), images.shape[1]))
    images = np.take(images, order, axis=1)
    reversed_lit = np.concatenate([images[start : start + BLOCK, ::-1] != 0 for start in range(0, len(images), BLOCK)])
    used = images.shape[1] - reversed_lit.argmax(axis=1)
    return Pixels(images, np.where(reversed_lit.any(axis=1), used, 1))


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
