"""The convolutional net, faster than layer by layer and equal but for rounding: the batch is the innermost axis.

Convolution and the p p pixels of every cell are one matrix S, applied to the patch of q by q pixels, q = k + p - 1,
that a cell looks at: row (i, j, f) of S holds filter f moved by i rows and j columns, and last its bias, for a pixel
that is always white. There are p p times fewer such patches than places of a filter. Pooling is then the maximum of p p
slabs of memory, and what it yields is the input of the dense layer, with nothing to transpose. Pixels stay bytes until
they enter a patch, as in pipeline.fast.pixels, and S carries the factor.
Shapes: B images in a batch; C channels, F filters, Y X rows and columns of cells; H hidden units, K classes.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.fast.pixels import as_bytes
from pipeline.nn.activations import ACTIVATIONS, RELU_BOUND
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.cnn import pooled_shape
from pipeline.nn.losses import Loss
from pipeline.nn.model import Model, Weights
from pipeline.nn.weights import views
from pipeline.training.loop import Steps
from pipeline.training.optimizers import Optimizer, Slots

RELU = ACTIVATIONS["relu"]


class Sizes(NamedTuple):
    """F, C, k, p, and rows and columns of cells."""

    filters: int
    channels: int
    kernel: int
    pool: int
    rows: int
    columns: int

    @property
    def patch(self) -> int:
        """The side q of what a cell looks at."""
        return self.kernel + self.pool - 1


class Memory(NamedTuple):
    """The large arrays of a step, kept for the next: asking for new ones costs as much as filling them."""

    x: Array  # (C, rows, columns, B) of the images
    patches: Array  # (Y, C q q + 1, X B), the last row white
    copies: list[tuple[Array, Array]]  # each pixel of the patches, and which part of x goes there
    c: Array  # (Y, p p F, X B): places of all filters, row by row of cells
    slabs: Array  # (p p, F Y X, B): the same memory
    p: Array  # (F Y X, B): after pooling and relu
    r: Array  # on its grid, where it has one
    dr: Array


def memory(sizes: Sizes, images: Array, white: int, dtype: np.dtype[Any]) -> Memory:
    """Arrays for batches of as many images (B, C, ...)."""
    filters, channels, _, p, rows, columns = sizes
    q, count = sizes.patch, len(images)
    x = np.empty_like(images, shape=(*images.shape[1:], count))
    patches = np.full((rows, channels * q * q + 1, columns * count), white, dtype)
    pixels = patches[:, :-1].reshape(rows, channels, q, q, columns, count)
    copies = [
        (pixels[:, :, i, j], x[:, i : i + p * rows : p, j : j + p * columns : p].transpose(1, 0, 2, 3))
        for i, j in product(range(q), range(q))
    ]
    c = np.empty((p * p * filters, rows, columns * count), dtype)
    slabs = c.reshape(p * p, -1, count)
    return Memory(x, patches, copies, c.transpose(1, 0, 2), slabs, *(np.empty_like(slabs[0]) for _ in range(3)))


def batch_innermost(
    ops: Arithmetic,
    model: Model,
    pool: int,
    loss: Loss,
    optimizer: Optimizer,
    weights: Array,
    slots: Slots,
    images: Array,
    labels: Array,
) -> Steps:
    """Steps of the model cnn, with any optimizer."""
    images, white = as_bytes(images, ops)
    grads = np.empty_like(weights)
    w, g = views(weights, model.shapes), views(grads, model.shapes)
    filters, channels, k, _ = model.shapes["W1"]
    sizes = Sizes(filters, channels, k, pool, *pooled_shape(images.shape[1:], k, pool))
    S = np.zeros((pool * pool * filters, channels * sizes.patch**2 + 1), weights.dtype)
    dS = np.empty_like(S)
    (W1, b1), (dW1, db1) = moved_filters(S, sizes), moved_filters(dS, sizes)

    def run(batches: Array) -> Array:
        losses, found = np.empty(len(batches)), images[batches[0]]
        m = memory(sizes, found, white, weights.dtype)
        for i, batch in enumerate(batches):
            np.take(images, batch, axis=0, out=found, mode="clip")
            np.copyto(m.x, found.transpose(1, 2, 3, 0))
            r = convolve(m)
            losses[i] = dense_layers(ops, loss, w, g, r, m.dr, labels[batch])
            unpool(m, r)
            ops.sum(ops.matmul(m.c, m.patches.transpose(0, 2, 1)), axis=0, out=dS)
            np.divide(dS, white, out=dS)
            g["W1"][...], g["b1"][...] = sum(dW1), sum(db1)  # number by number in this order: the same bits anywhere
            optimizer.update(weights, grads, slots)
        return losses

    def convolve(m: Memory) -> Array:
        for pixel, part in m.copies:
            np.copyto(pixel, part)
        for moved in W1:
            moved[...] = w["W1"]
        b1[...] = w["b1"]
        np.divide(S, white, out=S)
        ops.matmul(ops.grid(S), m.patches, out=m.c)
        np.maximum.reduce(m.slabs, axis=0, out=m.p, initial=0)  # of the slabs and 0: pooling and relu at once
        return ops.grid(m.p, at_least=RELU_BOUND, out=m.r)

    return Steps(run, 20)


def moved_filters(S: Array, sizes: Sizes) -> tuple[list[Array], Array]:
    """Where in S (p p F, C q q + 1) W1 (F, C, k, k) lies, p p times, and b1 (F,), as (p p, F)."""
    filters, channels, k, p, _, _ = sizes
    patches = S[:, :-1].reshape(p, p, filters, channels, sizes.patch, sizes.patch)
    moves = product(range(p), range(p))
    return [patches[i, j, :, :, i : i + k, j : j + k] for i, j in moves], S[:, -1].reshape(-1, filters)


def dense_layers(ops: Arithmetic, loss: Loss, w: Weights, g: Weights, r: Array, dr: Array, labels: Array) -> float:
    """The rest of the net, forth and back, on columns r (F Y X, B); fills dr."""
    W2, W3 = ops.grid(w["W2"]), ops.grid(w["W3"])
    z = ops.matmul(W2.T, r)
    z += w["b2"][:, None]
    RELU.forward(ops, z)
    logits = ops.matmul(W3.T, z)
    logits += w["b3"][:, None]
    value, dy = loss(ops, logits.T, labels)
    ops.matmul(z, dy, out=g["W3"])
    dy.sum(axis=0, out=g["b3"])
    dz = RELU.backward(ops, ops.matmul(W3, dy.T), z)
    ops.matmul(r, dz.T, out=g["W2"])
    dz.sum(axis=1, out=g["b2"])
    ops.grid(ops.matmul(W2, dz, out=dr), out=dr)
    return value


def unpool(m: Memory, r: Array) -> None:
    """Turn the slabs into their derivatives: what relu let through goes to the first pixel that is the maximum."""
    free = r > 0
    for slab in m.slabs:
        first = slab == m.p
        first &= free
        free ^= first
        np.copyto(slab, first)  # two passes in place take two thirds of the time of np.multiply(m.dr, first, out=slab)
        slab *= m.dr
