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
from pipeline.nn.layers import Layer, Place, Weights

BLOCK = 1024  # images counted at a time


class Pixels(NamedTuple):
    """Images with the pixels that light most often first."""

    images: Array  # (N, D)
    used: Array  # (N,) columns up to the last one lit

    def batch(self, indices: Array, out: Array) -> Array:
        """Those images (B, k), as a part of `out` (B, D); what is left out is dark in all of them."""
        np.take(self.images, indices, axis=0, out=out, mode="clip")
        return out[:, : self.used[indices].max()]


def brightest_first(images: Array) -> Array:
    """The pixels (D,) of images (N, ...) in the order of how often they light."""
    images = images.reshape(len(images), -1)
    often = sum(np.count_nonzero(images[start : start + BLOCK], axis=0) for start in range(0, len(images), BLOCK))
    return np.argsort(-often, kind="stable")


def arranged(images: Array, order: Array) -> Pixels:
    """Images (N, ...) with their pixels in that order."""
    images = np.take(images.reshape(len(images), -1), order, axis=1)
    used = images.shape[1] - (images[:, ::-1] != 0).argmax(axis=1)
    return Pixels(images, np.where(images.any(axis=1), used, 1))


def affine_prefix(at: Place, plain: Layer) -> Layer:
    """The layer affine, for images (N, k) whose pixels from k on are dark."""
    bits = plain.bits

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = ops.operand(x, bits.x, at.bound)
        y = np.matmul(x, w["W"][: x.shape[1]])
        y += w["b"]
        return y, x

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, x: Array) -> None:
        dy = ops.grid(dy, bits.dy, dy)
        np.matmul(x.T, dy, out=g["W"][: x.shape[1]])
        g["W"][x.shape[1] :] = 0
        dy.sum(axis=0, out=g["b"])

    return plain._replace(forward=forward, backward=backward)
