"""Images so stored that pixels dark in a whole batch do no work, for the fast ways through a first affine layer.

Pixels are ordered by how often they light, so that those lit in a batch are nearly a prefix, and products run on
that prefix. They stay bytes, a quarter of the memory to fetch, and the weights carry the factor. A bias is a first
row of weights, for a first pixel that is always white. Shapes: N images, D pixels, L that ever light, H units.
"""

from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic, inputs

BRIGHTEST = 255
ROWS = 1024  # images handled at a time


class Pixels(NamedTuple):
    """Images with the pixels that light most often first."""

    order: Array  # (L,) which pixels those are
    images: Array  # (N, 1 + L)
    used: Array  # (N,) columns up to the last one lit
    white: int  # what stands for a pixel, or the input of a bias, of 1

    def load(self, W: Array, b: Array, rows: Array) -> None:
        """Fill rows (1 + L, H) from W (D, H) and b (H,)."""
        rows[0], rows[1:] = b, W[self.order]
        rows /= self.white

    def store(self, rows: Array, W: Array, b: Array) -> None:
        """The inverse of load; weights of pixels that never light stay as they are."""
        b[...], W[self.order] = rows[0] * self.white, rows[1:] * self.white


def brightest_first(images: Array, ops: Arithmetic) -> Pixels:
    """Put the pixels of images (N, ...), on their grid, in order."""
    images, white = as_bytes(images.reshape(len(images), -1), ops)
    blocks = [slice(start, start + ROWS) for start in range(0, len(images), ROWS)]
    often = sum((np.count_nonzero(images[block], axis=0) for block in blocks), np.zeros(images.shape[1], np.intp))
    order = np.argsort(-often, kind="stable")[: np.count_nonzero(often)]
    ordered, used = np.full((len(images), 1 + len(order)), white, images.dtype), np.empty(len(images), np.intp)
    for block in blocks:
        np.take(images[block], order, axis=1, out=ordered[block, 1:])
        used[block] = ordered.shape[1] - (ordered[block, ::-1] != 0).argmax(axis=1)
    return Pixels(order, ordered, used, white)


def as_bytes(images: Array, ops: Arithmetic) -> tuple[Array, int]:
    """Images as whole 255ths where they are nothing else to `ops`, and the number that stands for 1."""
    if images.dtype != np.float32 or ops == ARITHMETICS["float64"]:  # which would see what float32 leaves of a 255th
        return images, 1
    found = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), ROWS):
        block = images[start : start + ROWS]
        with np.errstate(over="ignore", invalid="ignore"):  # what is no number is not equal below
            found[start : start + ROWS] = np.clip(np.rint(block * BRIGHTEST), 0, BRIGHTEST)
        if not np.array_equal(inputs(ops, found[start : start + ROWS] / np.float32(BRIGHTEST)), block):
            return images, 1
    return found, BRIGHTEST
