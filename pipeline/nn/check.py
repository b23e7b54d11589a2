"""The check that backpropagation is right: against derivatives that know nothing of the chain rule."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn import MODELS, architecture, build
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic
from pipeline.nn.gradients import TINY, backprop, complex_step, loss_of, numerical
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.losses import LOSSES, Loss
from pipeline.nn.model import Model
from pipeline.nn.random import Stream
from pipeline.nn.weights import views

FLOAT64 = ARITHMETICS["float64"]


class Disagreement(NamedTuple):
    """Largest error of backpropagation in one weight array, relative to the largest derivative there."""

    array: str
    differences: float
    complex_step: float
    directions: float


def check(ops: Arithmetic, model: Model, loss: Loss, weights: Array, x: Array, labels: Array) -> list[Disagreement]:
    """Backpropagation against every derivative by central differences, by complex step, and along random directions."""
    exact, near, grads = (np.empty_like(weights) for _ in range(3))
    backprop(ops, model, loss, weights, grads)(x, labels)
    numerical(ops, model, loss, weights, near, 1e-5)(x, labels)
    complex_step(ops, model, loss, weights, exact)(x, labels)
    along = directions(ops, model, loss, weights, grads, x, labels)
    rows = zip(*(views(way, model.shapes).items() for way in (grads, near, exact)), strict=True)
    return [
        Disagreement(name, difference(mine, theirs), difference(mine, others), along[name])
        for (name, mine), (_, theirs), (_, others) in rows
    ]


def directions(
    ops: Arithmetic, model: Model, loss: Loss, weights: Array, grads: Array, x: Array, labels: Array
) -> dict[str, float]:
    """Error of `grads` along four random directions in each array, by complex step: one loss each, at any size."""
    stream, errors = Stream(0), {}
    point = weights.astype(complex)
    value = loss_of(ops, model, loss, point)
    named = views(point, model.shapes)
    for name, grad in views(grads, model.shapes).items():
        slopes, products = np.empty(4), np.empty(4)
        for i in range(4):
            direction = stream.normal(grad.size).reshape(grad.shape)
            named[name] += TINY * 1j * direction
            slopes[i] = value(x, labels).imag / TINY
            products[i] = np.vdot(direction, grad)
            point[:] = weights
        errors[name] = difference(slopes, products)
    return errors


def difference(a: Array, b: Array) -> float:
    """The largest |a - b|, relative to the largest number in either."""
    scale = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / scale) if scale else 0.0


def every_net(side: int, classes: int, hidden: int) -> Iterator[tuple[str, Model, str]]:
    """Each model with each activation that it has and each loss, for images of side by side pixels."""
    for name in MODELS:
        for activation in ACTIVATIONS if architecture(name, {"activation": ""}) else [""]:
            knobs = architecture(name, {"hidden": hidden, "activation": activation})
            for loss in LOSSES:
                yield f"{name} {activation}".strip(), build(name, FLOAT64, (1, side, side), classes, **knobs), loss


def example(model: Model, images: int, side: int, classes: int, seed: int) -> tuple[Array, Array, Array]:
    """Random float64 weights (P,), images (N, 1, Y, X) with the blank border of handwritten digits, and labels (N,)."""
    stream = Stream(seed)
    weights = initialize(model.shapes, glorot, stream)
    weights += 0.1 * stream.normal(len(weights))
    x = np.zeros((images, 1, side, side))
    inner = x[:, :, 1:-1, 1:-1]
    inner[...] = stream.uniform(inner.size).reshape(inner.shape)
    return weights, x, stream.integers(classes, (images,))
