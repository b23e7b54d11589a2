"""Three ways to the same gradient, of one signature.

Each binds a net to its flat vectors once and returns a function (x, labels) -> loss that fills `grads` (P,)
with the derivative of the mean loss of that batch by `weights` (P,). x is (N, ...), labels (N,) class indices.
"""

from collections.abc import Callable

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.losses import Loss
from pipeline.nn.model import Model
from pipeline.nn.weights import views

Gradient = Callable[[Array, Array], float]

TINY = 1e-30  # step along the imaginary axis: nothing is subtracted there, so nothing is too small


def backprop(ops: Arithmetic, model: Model, loss: Loss, weights: Array, grads: Array) -> Gradient:
    """The chain rule, from the loss backwards: Rumelhart, Hinton & Williams 1986."""
    w, g = views(weights, model.shapes), views(grads, model.shapes)

    def gradient(x: Array, labels: Array) -> float:
        logits, cache = model.forward(w, x)
        value, dlogits = loss(ops, logits, labels)
        model.backward(w, cache, dlogits, g)
        return value

    return gradient


def loss_of(ops: Arithmetic, model: Model, loss: Loss, weights: Array) -> Gradient:
    """The mean loss of a batch at `weights`, whatever they are when it is called; no gradient."""
    w = views(weights, model.shapes)
    return lambda x, labels: loss(ops, model.forward(w, x)[0], labels)[0]


def numerical(ops: Arithmetic, model: Model, loss: Loss, weights: Array, grads: Array, step: float) -> Gradient:
    """Central differences, (loss(w + step) - loss(w - step)) / (2 step), one weight at a time: two losses a weight."""
    value = loss_of(ops, model, loss, weights)

    def gradient(x: Array, labels: Array) -> float:
        for i, weight in enumerate(weights.copy()):
            weights[i] = weight + step
            above = value(x, labels)
            weights[i] = weight - step
            grads[i] = (above - value(x, labels)) / (2 * step)
            weights[i] = weight
        return value(x, labels)

    return gradient


def complex_step(ops: Arithmetic, model: Model, loss: Loss, weights: Array, grads: Array) -> Gradient:
    """Im loss(w + i h) / h, one weight at a time: no subtraction, so exact to rounding (Squire & Trapp 1998).

    Where the formula bends (relu, pooling, hinge), NumPy compares complex numbers by their real parts first, so
    that each takes the branch of the real computation and is differentiated there.
    """
    point = weights.astype(complex)
    value = loss_of(ops, model, loss, point)

    def gradient(x: Array, labels: Array) -> float:
        point[:] = weights
        for i in range(len(point)):
            point[i] += TINY * 1j
            grads[i] = value(x, labels).imag / TINY
            point[i] = weights[i]
        return value(x, labels).real

    return gradient
