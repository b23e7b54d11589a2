"""How far an image lies from all training images of its class, so that an image unlike all of them can be refused.

The images of a class lie near a subspace of a few dimensions, through their mean along their principal axes. The
distance of an image from it measures how unlike the image is (Hinton, Dayan & Revow 1997, *Modeling the manifolds of
images of handwritten digits*). Images, means and axes are whole numbers here, so all distances have the same bits.

Shapes: N images of D numbers, K classes, M axes each.
"""

from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn import exact

AXES = 20  # the most axes of a class
MOST_NUMBERS = 1 << 18  # numbers of all axes: they are in the model file and in the page
MOST_FITTED = 1 << 19  # numbers of a class that its axes are fitted to
MOST_HELD_OUT = 10_000  # images that the limit is set on
ITERATIONS = 4
BLOCK = 1000  # images whose distances are computed at a time
LEVEL_BITS = 8  # bits of a difference of two images
LARGEST_AXIS, FINEST = 127, 12  # the largest number of an axis in int8, and the most bits after its binary point


class Subspaces(NamedTuple):
    """Means (K, D) of uint8 and axes (K, M, D) of int8, in steps of 2**-bits; an image beyond `limit` is refused."""

    means: Array
    axes: Array
    bits: int
    limit: float

    def distances(self, images: Array, classes: Array) -> Array:
        """Squared distances (N,), in 255ths, of images (N, ...) from the subspaces of their `classes` (N,)."""
        found = np.empty(len(images))
        for start in range(0, len(images), BLOCK):
            levels, block = as_levels(images[start : start + BLOCK]), slice(start, start + BLOCK)
            for k in np.unique(classes[block]):
                chosen = np.flatnonzero(classes[block] == k)
                beside = levels[chosen] - self.means[k]
                along = (beside @ self.axes[k].T.astype(np.float64)).astype(np.int64)
                squares = (beside * beside).sum(axis=1) - (along * along).sum(axis=1) / 4.0**self.bits
                found[start + chosen] = squares
        return found

    def refuses(self, images: Array, classes: Array) -> Array:
        """Whether each image is unlike all training images of its class in `classes` (N,)."""
        return self.distances(images, classes) > self.limit


def as_levels(images: Array) -> Array:
    """Images (N, ...) of bytes, or of fractions up to 1, as whole numbers (N, D) from 0 to 255."""
    rows = images.reshape(len(images), -1).astype(np.float64)
    return rows if images.dtype == np.uint8 else np.rint(rows * 255).clip(0, 255)


def fit(images: Array, labels: Array, classes: int) -> tuple[Subspaces, Array]:
    """Subspaces without a limit, and which images (N,) they were not fitted to: at least a quarter of each class."""
    members = [(k, np.flatnonzero(labels == k)) for k in np.unique(labels)]
    size = images[0].size
    fitted = {k: chosen[: max(min(len(chosen) * 3 // 4, MOST_FITTED // size), 1)] for k, chosen in members}
    count = min(AXES, MOST_NUMBERS // (classes * size), *(len(chosen) - 1 for chosen in fitted.values()))
    means, axes = np.zeros((classes, size), np.uint8), np.zeros((classes, count, size))
    for k, chosen in fitted.items():
        levels = as_levels(images[chosen])
        means[k] = np.rint(levels.sum(axis=0) / len(levels))
        axes[k] = principal(levels - means[k], count)
    bits = FINEST
    while np.abs(axes).max(initial=0) * 2**bits > LARGEST_AXIS:
        bits -= 1
    others = np.ones(len(images), bool)
    others[np.concatenate([*fitted.values()])] = False
    return Subspaces(means, np.rint(axes * 2.0**bits).astype(np.int8), bits, 0.0), others


def principal(rows: Array, count: int) -> Array:
    """The `count` directions (count, D) along which rows (n, D) of whole numbers differ most: subspace iteration."""
    basis = orthonormal(rows[:count].copy())
    across, down = (exact.MANTISSA - LEVEL_BITS - (length - 1).bit_length() for length in rows.shape[::-1])
    for _ in range(ITERATIONS):
        along = rows @ exact.grid(basis.T, across)
        basis = orthonormal(exact.grid(along.T, down) @ rows)
    return basis


def orthonormal(rows: Array) -> Array:
    """`rows` (M, D) made orthonormal in place, from the first to the last, by Gram and Schmidt; 0 stays 0."""
    for i, row in enumerate(rows):
        row /= np.sqrt(exact.sum(row * row)) or 1.0
        rows[i + 1 :] -= exact.sum(rows[i + 1 :] * row, axis=1, keepdims=True) * row
    return rows


def limited(subspaces: Subspaces, images: Array, predicted: Array, share: float) -> Subspaces:
    """`subspaces` with a limit that this share of `images` exceeds at most; the subspaces were fitted to others."""
    ordered = np.sort(subspaces.distances(images, predicted))
    return subspaces._replace(limit=float(ordered[int(len(ordered) * (1 - share))]))
