"""Two ways to the same gradient, of one signature, and the check that they agree.

Each binds a net to its flat vectors once and returns a function (x, labels) -> loss that fills `grads` (P,)
with the derivative of the mean loss of that batch by `weights` (P,). x is (N, ...), labels (N,) class indices.
"""

from collections.abc import Callable

from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.losses import Loss
from pipeline.nn.model import Model
from pipeline.nn.weights import views
from pipeline.npz import Array

Gradient = Callable[[Array, Array], float]


def backprop(ops: Arithmetic, model: Model, loss: Loss, weights: Array, grads: Array) -> Gradient:
    """The chain rule, from the loss backwards: Rumelhart, Hinton & Williams 1986."""
    w, g = views(weights, model.shapes), views(grads, model.shapes)

    def gradient(x: Array, labels: Array) -> float:
        logits, cache = model.forward(w, x)
        value, dlogits = loss(ops, logits, labels)
        model.backward(w, cache, dlogits, g)
        return value

    return gradient
