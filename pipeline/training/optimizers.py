"""Optimizers on the flat vector: each changes the weights in place, and may also change the gradient.

`slots` are the arrays an optimizer remembers between steps; they go into checkpoints with the weights.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number

Slots = dict[str, Array]


class Optimizer(NamedTuple):
    """start: weights -> slots; update: (weights, grads, slots, learning rate) -> None.

    local: a weight with a gradient of 0 does not change, so that its update can be left out.
    """

    start: Callable[[Array], Slots]
    update: Callable[[Array, Array, Slots, float], None]
    local: bool = False


def sgd() -> Optimizer:
    """w -= rate g."""

    def update(weights: Array, grads: Array, slots: Slots, rate: float) -> None:
        grads *= rate
        weights -= grads

    return Optimizer(lambda weights: {}, update, local=True)


def momentum(kept: float) -> Optimizer:
    """v = kept v - rate g; w += v (Polyak 1964, as the tutorials write it)."""

    def update(weights: Array, grads: Array, slots: Slots, rate: float) -> None:
        velocity = slots["velocity"]
        velocity *= kept
        grads *= rate
        velocity -= grads
        weights += velocity

    return Optimizer(lambda weights: {"velocity": np.zeros_like(weights)}, update)


def adam(beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Optimizer:
    """Kingma & Ba 2015, algorithm 1. The powers of beta are running products, so that no pow is needed."""

    def start(weights: Array) -> Slots:
        return {"mean": np.zeros_like(weights), "square": np.zeros_like(weights), "powers": np.ones(2)}

    def update(weights: Array, grads: Array, slots: Slots, rate: float) -> None:
        mean, square, powers = slots["mean"], slots["square"], slots["powers"]
        powers *= (beta1, beta2)
        mean *= beta1
        mean += (1 - beta1) * grads
        square *= beta2
        grads *= grads
        grads *= 1 - beta2
        square += grads
        correction1, correction2 = (1 - powers).tolist()
        step = square / correction2
        np.sqrt(step, out=step)
        step += epsilon
        np.divide(mean, step, out=step)
        step *= rate / correction1
        weights -= step

    return Optimizer(start, update)


OPTIMIZERS: dict[str, Choice] = {
    "sgd": Choice(sgd),
    "momentum": Choice(momentum, (Number("share", 0, 1, below=True),)),
    "adam": Choice(adam),
}
