"""Images stored so that pixels that are dark in a whole batch cost nothing in a first affine layer.

Pixels are ordered by how often they are lit, and a column that is white in every image follows them: a bias is the
weight of an input of 1, and lies below W in the flat vector. So the pixels lit in a batch are nearly a suffix, and the
products use only this suffix and as many last rows of the weights. The order is a change of basis of the flat
vector for the length of a training. Why the bits are the same in exact arithmetic: only terms of 0 and rows of a
gradient that are 0 are left out. Images must be bytes: an input of 1 might not be on the grid of other
numbers. Shapes: N images, D pixels, H units.
"""

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.images import Images
from pipeline.nn.layers import Weights
from pipeline.nn.net import Net

BLOCK = 1024  # images handled at a time
WORD = np.dtype(np.uint64)  # of 8 pixels


def dimmest_first(images: Array | Images) -> Array:
    """The pixels (D,) of images (N, D) in the order of how often they are lit."""
    often = sum(np.count_nonzero(images[start : start + BLOCK], axis=0) for start in range(0, len(images), BLOCK))
    return np.argsort(np.asarray(often), kind="stable")


def arranged(images: Array, order: Array, white: int) -> Array:
    """Images (N, D) with their pixels in that order, `white` after them, and zeros before to fill whole words."""
    zeros = -(len(order) + 1) % WORD.itemsize
    found = np.zeros((len(images), zeros + len(order) + 1), np.uint8)
    for start in range(0, len(images), BLOCK):
        part = slice(start, start + BLOCK)
        found[part, zeros:-1] = images[part].take(order, axis=1, mode="clip")  # twice as fast as images[part, order]
    found[:, -1] = white
    return found


def lit(images: Array, inputs: int) -> Array:
    """Arranged images without the words that are 0 in all of them: (N, k), k at most `inputs`, which is D + 1."""
    words = np.bitwise_or.reduce(images.view(WORD), axis=0)
    dark = int(words.nonzero()[0][0]) * WORD.itemsize
    return images[:, max(dark, images.shape[1] - inputs) :]


def firsts(images: Array, inputs: int) -> Array:
    """The column (N,) from which `lit` would take each arranged image, if it were alone."""
    found = np.empty(len(images), np.intp)
    for start in range(0, len(images), BLOCK):
        found[start : start + BLOCK] = (images[start : start + BLOCK].view(WORD) != 0).argmax(axis=1)
    found *= WORD.itemsize
    return found.clip(images.shape[1] - inputs)


def reordered(flat: Array, shape: tuple[int, ...], order: Array | None) -> Array:
    """A copy of the flat vector (P,) of a net, with the rows of W1, of `shape` (D, H), in that order."""
    flat = flat.copy()
    if order is not None:
        rows = flat[: shape[0] * shape[1]].reshape(shape)
        rows[...] = rows[order]
    return flat


def affine_suffix(net: Net) -> Net:
    """The net for images (N, k) from `lit`: its first layer, which is affine, uses the last k rows of W and b."""
    plain = net.layers[0]
    inputs, units = plain.weights["W"]
    white = net.white if net.scaled else 1

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Array]:
        x = ops.operand(x, plain.bits.x)
        y = np.matmul(x, w["W"][-x.shape[1] :])
        if white != 1:
            y /= white
        return y, x

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, x: Array) -> None:
        if white != 1:
            dy /= white
        dy = ops.grid(dy, plain.bits.dy, dy)
        g["W"][: -x.shape[1]] = 0
        np.matmul(x.T, dy, out=g["W"][-x.shape[1] :])

    first = plain._replace(forward=forward, backward=backward, weights={"W": (inputs + 1, units)})
    return net._replace(layers=(first, *net.layers[1:]), scaled=False)
