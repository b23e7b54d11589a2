"""The two-layer net by plain gradient descent, faster than step by step and equal but for rounding.

Shapes: N images in the data set, B in a batch; D inputs, of which k are lit, H hidden units, K classes.
"""

from functools import partial
from math import log

import numpy as np

from pipeline.base.arrays import Array
from pipeline.fast.pixels import brightest_first
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.losses import Loss
from pipeline.nn.model import Model
from pipeline.nn.weights import views
from pipeline.training.loop import Steps

SAFE = 60.0  # exp of a largest logit nearer to 0 than this neither overflows nor vanishes
BLOCK = 64  # images a block when they come one by one: fewer make thin products, more make long sums


def batch_by_batch(
    ops: Arithmetic,
    model: Model,
    activation: str,
    loss: Loss,
    rate: float,
    weights: Array,
    images: Array,
    labels: Array,
) -> Steps:
    """Steps for any batch size: dark pixels left out, arrays used again, W1 updated where it changes."""
    pixels, act = brightest_first(images, ops), ACTIVATIONS[activation]
    hidden, classes = model.shapes["W2"]
    theirs, empty = views(weights, model.shapes), partial(np.empty, dtype=weights.dtype)
    W1, rows = (empty((pixels.images.shape[1], hidden)) for _ in range(2))
    W2, b2 = theirs["W2"], theirs["b2"]

    def run(batches: Array) -> Array:
        pixels.load(theirs["W1"], theirs["b1"], W1)
        losses = take(batches)
        pixels.store(W1, theirs["W1"], theirs["b1"])
        return losses

    def take(batches: Array) -> Array:
        count, losses = batches.shape[1], np.empty(len(batches))
        found = np.empty((count, pixels.images.shape[1]), pixels.images.dtype)
        memory, logits = empty(found.size), empty((classes, count)).T
        z, dz = empty((count, hidden)), empty((count, hidden))
        used = pixels.used[batches].max(axis=1).tolist()
        for i, (batch, k) in enumerate(zip(batches, used, strict=True)):
            np.take(pixels.images, batch, axis=0, out=found, mode="clip")
            x = memory[: count * k].reshape(count, k)
            np.copyto(x, found[:, :k])
            act.forward(ops, ops.matmul(x, ops.grid(W1[:k], out=rows[:k]), out=z))
            V = ops.grid(W2)
            ops.matmul(z, V, out=logits)  # a class after the other in memory: sums over classes are sums of rows
            losses[i], dy = loss(ops, np.add(logits, b2, out=logits), labels[batch])
            ops.matmul(dy, V.T, out=dz)
            np.subtract(W2, rate * ops.matmul(z.T, dy), out=W2)
            np.subtract(b2, rate * dy.sum(axis=0), out=b2)
            dz *= rate / pixels.white**2
            act.backward(ops, dz, z)
            W1[:k] -= ops.matmul(x.T, dz, out=rows[:k])
        return losses

    return Steps(run, 100)


def image_by_image(
    ops: Arithmetic, model: Model, activation: str, rate: float, weights: Array, images: Array, labels: Array
) -> Steps:
    """Steps of batch size 1 under softmax_cross_entropy, W1 touched once a block of m images.

    After t steps W1 is what it was plus t outer products, so that within a block

        x[t] W1  =  x[t] W1 before  +  sum over s < t of (x[t] . x[s]) u[s],    u[s] = -rate dloss/da[s]

    and three products a block (x W1, x x', x' u) do what 2 m passes over W1 would.
    """
    pixels, act = brightest_first(images, ops), ACTIVATIONS[activation]
    hidden, classes = model.shapes["W2"]
    theirs, empty = views(weights, model.shapes), partial(np.empty, dtype=weights.dtype)
    W1 = empty((pixels.images.shape[1], hidden))
    V, y, z = empty((classes, hidden + 1)), empty(classes), np.ones(hidden + 1, weights.dtype)
    a, column, row, inner = z[:-1], y[:, None], z[None], V[:, :-1]
    rows, products, update = empty((BLOCK, hidden)), empty((BLOCK, BLOCK)), empty(V.shape)
    turns = [(products[t, : t + 1], rows[: t + 1], rows[t]) for t in range(BLOCK)]
    dot, add, exp, multiply, ones = np.dot, np.add, np.exp, np.multiply, np.ones(classes, weights.dtype)

    def run(batches: Array) -> Array:
        pixels.load(theirs["W1"], theirs["b1"], W1)
        V[:, :-1], V[:, -1] = theirs["W2"].T, theirs["b2"]
        losses = [block(batches[start : start + BLOCK, 0]) for start in range(0, len(batches), BLOCK)]
        pixels.store(W1, theirs["W1"], theirs["b1"])
        theirs["W2"][...], theirs["b2"][...] = V[:, :-1].T, V[:, -1]
        return np.concatenate(losses)

    def block(chosen: Array) -> Array:
        m, k = len(chosen), pixels.used[chosen].max()
        x = pixels.images[chosen, :k].astype(weights.dtype)
        np.matmul(x, W1[:k], out=rows[:m])
        np.matmul(x, x.T / pixels.white**2, out=products[:m, :m])
        np.fill_diagonal(products, 1)  # row t of `rows` is x[t] W1 until step t, and u[t] afterwards
        losses = np.empty(m)
        for t, label in enumerate(labels[chosen].tolist()):
            product, before, u = turns[t]
            act.forward(ops, dot(product, before, a))
            logits = dot(V, z, y).tolist()
            most = max(logits)
            if abs(most) < SAFE:
                most = 0.0
            else:
                np.subtract(y, most, out=y)
            total = dot(exp(y, y), ones)
            losses[t] = log(total) + most - logits[label]
            multiply(y, -rate / total, y)
            y[label] += rate
            act.backward(ops, dot(y, inner, u), a)
            add(V, dot(column, row, update), V)
        W1[:k] += x.T @ (rows[:m] / pixels.white**2)
        return losses

    return Steps(run, 8 * BLOCK)
