"""Three ways to compute the same gradient, with one signature.

Each binds a net to its flat vectors once and returns a function (x, labels, draw) -> loss that fills `grads` (P,)
with the derivative of the mean loss of that batch by `weights` (P,). x is (N, ...), labels (N,) class indices; draw
makes the random numbers of dropout, the same for the same step.
"""

from collections.abc import Callable

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.exact import Most, alone
from pipeline.nn.losses import Loss, mean
from pipeline.nn.net import Draw, Net, backward, finish, forward, operands

Gradient = Callable[[Array, Array, Draw | None], float]
Part = Callable[[Array, Array, Draw | None, int], Array]

TINY = 1e-30  # step along the imaginary axis: nothing is subtracted, so the step can be that small
LEAST_MOVE = 2.0**-40  # the least move in a difference, as a share of the weight


def backprop(ops: Arithmetic, net: Net, loss: Loss, weights: Array, grads: Array) -> Gradient:
    """The chain rule, from the loss backwards: Rumelhart, Hinton & Williams 1986."""
    part = of_part(ops, net, loss, weights, grads)

    def gradient(x: Array, labels: Array, draw: Draw | None = None) -> float:
        terms = part(x, labels, draw, len(labels))
        finish(net, grads)
        return mean(ops, terms)

    return gradient


def of_part(ops: Arithmetic, net: Net, loss: Loss, weights: Array, grads: Array, most: Most = alone) -> Part:
    """Backpropagation of the part of a batch that one worker has.

    The function (x, labels, draw, images in the whole batch) -> terms of the loss fills `grads`. The gradients of all
    parts must be added up and then finished: see pipeline.nn.net. `most` finds the largest number of all parts.
    """
    rounded, g, ops = operands(ops, net, weights), net.by_layer(grads), ops.of_part(most)

    def part(x: Array, labels: Array, draw: Draw | None, of: int) -> Array:
        w = rounded()
        logits, caches = forward(ops, net, w, x, draw)
        terms, dlogits = loss(ops, logits, labels, of)
        backward(ops, net, w, g, dlogits, caches)
        return terms

    return part


def loss_of(ops: Arithmetic, net: Net, loss: Loss, weights: Array) -> Gradient:
    """Only the mean loss of a batch, with `weights` as they are at each call, without a gradient."""
    rounded = operands(ops, net, weights)

    def value(x: Array, labels: Array, draw: Draw | None = None) -> float:
        return mean(ops, loss(ops, forward(ops, net, rounded(), x, draw)[0], labels)[0])

    return value


def numerical(ops: Arithmetic, net: Net, loss: Loss, weights: Array, grads: Array, step: float) -> Gradient:
    """Central differences, (loss(w + step) - loss(w - step)) / (2 step), one weight at a time: two losses per weight.

    A very large weight moves further, because rounding would change the step. The divisor is the move after rounding.
    """
    value = loss_of(ops, net, loss, weights)

    def gradient(x: Array, labels: Array, draw: Draw | None = None) -> float:
        for i, weight in enumerate(weights.copy()):
            move = max(step, abs(weight) * LEAST_MOVE)
            weights[i] = high = weight + move
            above = value(x, labels, draw)
            weights[i] = low = weight - move
            grads[i] = (above - value(x, labels, draw)) / (high - low)
            weights[i] = weight
        return value(x, labels, draw)

    return gradient


def complex_step(ops: Arithmetic, net: Net, loss: Loss, weights: Array, grads: Array) -> Gradient:
    """Im loss(w + i h) / h, one weight at a time: no subtraction, so exact to rounding (Squire & Trapp 1998).

    Where the formula bends (relu, pooling, hinge), NumPy compares complex numbers by their real parts first, so
    that each takes the branch of the real computation and is differentiated there.
    """
    point = weights.astype(complex)
    value = loss_of(ops, net, loss, point)

    def gradient(x: Array, labels: Array, draw: Draw | None = None) -> float:
        point[:] = weights
        for i in range(len(point)):
            point[i] += TINY * 1j
            grads[i] = value(x, labels, draw).imag / TINY
            point[i] = weights[i]
        return value(x, labels, draw).real

    return gradient


GRADIENTS: dict[str, Choice] = {
    "backprop": Choice(backprop),
    "numerical": Choice(numerical, (Number("step", 1e-10, 1),)),
    "complex_step": Choice(complex_step),
}
