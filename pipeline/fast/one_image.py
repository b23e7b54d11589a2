"""Plain gradient descent with one image per step, for [affine, activation, affine] under cross-entropy.

The arithmetic of a step on one image of MNIST takes about 10 microseconds. To call layers, loss and optimizer one by
one takes several times as long. So this module, and no other, replaces whole steps. Exact arithmetic gives the bits of
backprop and sgd; floating point gives the same numbers up to rounding.

W and b are one matrix here: a bias is the weight of an input of 1 and lies below W in the flat vector. Images have that
input, too: see pipeline.fast.pixels. Shapes: N images, D pixels, H hidden units, K classes; m steps at once.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.fast.pixels import lit
from pipeline.nn import exact
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.images import BRIGHTEST, Images
from pipeline.nn.net import Net

Steps = Callable[[Array, Array], Array]  # (images chosen (m,), learning rates (m,)) -> losses (m,)

SAFE = 60.0  # if the largest logit is nearer to 0 than this, its exp neither overflows nor vanishes
BLOCK = 64  # images per block: fewer make thin products, more make long sums
UP = 1 + 2.0**-50  # more than rounding can add to a number


def one_image(ops: Arithmetic, net: Net, weights: Array, images: Images, labels: Array) -> Steps:
    """Steps that change the weights (P,) in place; images and the rows of W1 are arranged, but net is not."""
    return (exact_steps if ops.is_exact else floating_steps)(ops, net, weights, images, labels)


def matrices(net: Net, weights: Array) -> tuple[Array, Array]:
    """Both layers' W with b below: views (D + 1, H) and (H + 1, K) into the flat vector."""
    hidden, classes = net.layers[2].weights["W"]
    second = len(weights) - (hidden + 1) * classes
    return weights[:second].reshape(-1, hidden), weights[second:].reshape(-1, classes)


def floating_steps(ops: Arithmetic, net: Net, weights: Array, images: Images, labels: Array) -> Steps:
    """Steps that touch W1 once per block.

    After t steps W1 is its old value plus t outer products, so that within a block

        x[t] W1  =  x[t] W1 before  +  sum over s < t of (x[t] . x[s]) u[s],    u[s] = -rate dloss/da[s]

    and three products per block (x W1, x x', x' u) replace two passes over W1 per step.
    """
    act, (outer, second), white = net.layers[1], matrices(net, weights), ops.dtype.type(net.white)
    hidden, classes = net.layers[2].weights["W"]
    V, y, z = second.T.copy(), np.empty(classes, ops.dtype), np.ones(hidden + 1, ops.dtype)
    a, column, row, inner = np.empty(hidden, ops.dtype), y[:, None], z[None], V[:, :-1]
    rows, products, update = (np.empty(shape, ops.dtype) for shape in ((BLOCK, hidden), (BLOCK, BLOCK), V.shape))
    turns = [(products[t, : t + 1], rows[: t + 1], rows[t]) for t in range(BLOCK)]
    dot, add, exp, multiply, ones = np.dot, np.add, np.exp, np.multiply, np.ones(classes, ops.dtype)

    def run(chosen: Array, rates: Array) -> Array:
        V[...] = second.T
        starts = range(0, len(chosen), BLOCK)
        losses = [block(chosen[start : start + BLOCK], rates[start : start + BLOCK].tolist()) for start in starts]
        second[...] = V.T
        return np.concatenate(losses)

    def block(chosen: Array, rates: list[float]) -> Array:
        m, x = len(chosen), lit(images[chosen], len(outer)).astype(ops.dtype, copy=False)
        x /= white
        used = outer[-x.shape[1] :]
        np.matmul(x, used, out=rows[:m])
        np.matmul(x, x.T, out=products[:m, :m])
        np.fill_diagonal(products, 1)  # row t of `rows` is x[t] W1 until step t, and u[t] afterwards
        losses = np.empty(m)
        for t, (label, rate) in enumerate(zip(labels[chosen].tolist(), rates, strict=True)):
            product, before, u = turns[t]
            z[:-1], cache = act.forward(ops, {}, dot(product, before, a))
            logits = dot(V, z, y).tolist()
            most = max(logits)
            if abs(most) < SAFE:
                most = 0.0
            else:
                np.subtract(y, most, out=y)
            total = dot(exp(y, y), ones)
            losses[t] = math.log(total) + most - logits[label]
            multiply(y, -rate / total, y)
            y[label] += rate
            u[:] = act.backward(ops, {}, {}, dot(y, inner, u), cache)
            add(V, dot(column, row, update), V)
        used += x.T @ rows[:m]
        return losses

    return run


class Bounded:
    """A matrix with a bound on its largest number, so that a step can round it without reading all of it.

    The grid depends on the first power of two that is not below `largest`. It holds as long as nothing can have grown
    past that power, and `witness`, the number that was largest, has not shrunk to half of it.
    """

    def __init__(self, matrix: Array) -> None:
        self.matrix, self.flat = matrix, matrix.reshape(-1)
        self.measure()

    def measure(self) -> None:
        """Look at all of the matrix."""
        self.largest = self.limit = exact.largest(self.matrix)
        fraction, exponent = math.frexp(self.largest)
        self.power = math.ldexp(1.0, exponent - (fraction == 0.5)) if self.largest < exact.LARGEST else math.nan
        self.witness = int(np.abs(self.flat).argmax())

    def bound(self) -> float:
        """The largest number, or one that leads to the same grid."""
        if not (self.limit <= self.power and abs(self.flat[self.witness]) > self.power / 2):
            self.measure()
        return self.largest

    def grow(self, most: float) -> None:
        """Note that no number moved further than about `most`."""
        self.limit = (self.limit + 1.001 * most) * UP


def exact_steps(ops: Arithmetic, net: Net, weights: Array, images: Images, labels: Array) -> Steps:
    """Steps that touch only those rows of W1 whose pixels are lit: the others have a gradient of 0.

    Each line does what the layer, the loss or the optimizer does there, with the same bits.
    """
    (first, act, second), behind = net.layers, net.places[2]
    outer, inner = map(Bounded, matrices(net, weights))
    shape = inner.matrix.shape
    z = np.ones(shape[0])
    found, spare, R, g = (np.empty(like) for like in (outer.matrix.shape, outer.matrix.shape, shape, shape))
    sum_bits = min(exact.MANTISSA - (shape[1] - 1).bit_length(), exact.MOST_BITS)

    def run(chosen: Array, rates: Array) -> Array:
        totals, wanted = np.empty((2, len(chosen)))
        found = images[chosen][:, -len(outer.matrix) :]
        for i, (image, label, rate) in enumerate(zip(found, labels[chosen].tolist(), rates.tolist(), strict=True)):
            totals[i], wanted[i] = step(image, label, rate)
        losses = ops.log(totals) - wanted
        return exact.rounded(losses, exact.MOST_BITS, np.maximum(np.abs(losses), exact.SMALLEST))

    def step(image: Array, label: int, rate: float) -> tuple[float, float]:
        rows = image.nonzero()[0]  # pixels that are lit
        inputs, W, spare_rows = image[rows].astype(ops.dtype), found[: len(rows)], spare[: len(rows)]
        outer.matrix.take(rows, axis=0, out=W, mode="clip")
        a = np.dot(inputs, exact.rounded(W, first.bits.w, outer.bound(), spare_rows))
        a /= net.white
        y, cache = act.forward(ops, {}, a)
        z[:-1] = ops.operand(y, second.bits.x, behind.bound)
        exact.rounded(inner.matrix, second.bits.w, inner.bound(), R)
        p = np.dot(z, R)
        p -= p.max()
        wanted = p[label]
        ops.exp(p, out=p)
        total = exact.rounded(p, sum_bits, 1.0).sum()
        p /= total
        p[label] -= 1
        largest = exact.largest(p)
        dy = exact.rounded(p, second.bits.dy, largest, p)
        da: Any = act.backward(ops, {}, {}, np.dot(R[:-1], dy), cache)
        descend(inner.matrix, z, dy, rate, g)
        inner.grow(rate * (behind.bound or exact.largest(z)) * largest)
        da /= net.white
        largest = exact.largest(da)
        descend(W, inputs, exact.rounded(da, first.bits.dy, largest, da), rate, spare_rows)
        outer.matrix[rows] = W
        outer.grow(rate * BRIGHTEST * largest)
        return total, wanted

    return run


def descend(matrix: Array, x: Array, dy: Array, rate: float, spare: Array) -> None:
    """Subtract rate x' dy; `spare` is memory of the same shape."""
    np.dot(x[:, None], dy[None], out=spare)
    spare *= rate
    matrix -= spare
