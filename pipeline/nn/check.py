"""The check of backpropagation: it is compared with derivatives that do not use the chain rule."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number, read
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic
from pipeline.nn.gradients import TINY, backprop, complex_step, loss_of, numerical
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.layers import LAYERS
from pipeline.nn.losses import LOSSES, Loss
from pipeline.nn.net import Net, build, views
from pipeline.nn.random import Stream

FLOAT64 = ARITHMETICS["float64"]
STEP = 1e-6  # step of differences: so small that hardly any input of a relu changes its sign
FLOOR = 1e-2  # a smaller derivative counts as this: it may be only a rounding error
IMAGES, CLASSES, WHITE = 6, 3, 255


class Disagreement(NamedTuple):
    """Largest error of backpropagation in one weight array, relative to the largest derivative there."""

    array: str
    differences: float
    complex_step: float
    directions: float


def check(ops: Arithmetic, net: Net, loss: Loss, weights: Array, x: Array, labels: Array) -> list[Disagreement]:
    """Compare backpropagation with all central differences, all complex steps, and slopes in random directions."""
    exact, near, grads = (np.empty_like(weights) for _ in range(3))
    backprop(ops, net, loss, weights, grads)(x, labels, draw)
    numerical(ops, net, loss, weights, near, STEP)(x, labels, draw)
    complex_step(ops, net, loss, weights, exact)(x, labels, draw)
    along = directions(ops, net, loss, weights, grads, x, labels)
    rows = zip(*(views(way, net.shapes).items() for way in (grads, near, exact)), strict=True)
    return [
        Disagreement(name, difference(mine, theirs), difference(mine, others), along[name])
        for (name, mine), (_, theirs), (_, others) in rows
    ]


def directions(
    ops: Arithmetic, net: Net, loss: Loss, weights: Array, grads: Array, x: Array, labels: Array
) -> dict[str, float]:
    """Error of `grads` along four random directions in each array, by complex step: each direction takes one loss."""
    stream, errors = Stream(0), {}
    point = weights.astype(complex)
    value = loss_of(ops, net, loss, point)
    named = views(point, net.shapes)
    for name, grad in views(grads, net.shapes).items():
        slopes, products = np.empty(4), np.empty(4)
        for i in range(4):
            direction = stream.normal(grad.size).reshape(grad.shape)
            named[name] += TINY * 1j * direction
            slopes[i] = value(x, labels, draw).imag / TINY
            products[i] = np.vdot(direction, grad)
            point[:] = weights
        errors[name] = difference(slopes, products)
    return errors


def difference(a: Array, b: Array) -> float:
    """The largest |a - b|, relative to the largest number in both, or to FLOOR if that is larger."""
    return float(np.abs(a - b).max() / max(np.abs(a).max(), np.abs(b).max(), FLOOR))


def draw(layer: int, images: int, size: int) -> Array:
    """Random numbers for dropout, always the same."""
    return Stream(0, layer).bits16(images, size)


def every_net(side: int) -> Iterator[tuple[str, Net]]:
    """A title and a net for each word of LAYERS, as first and as second layer; images have `side` rows and columns."""
    for word, choice in LAYERS.items():
        text = example_of(word, choice)
        for words in [text, "affine"], ["conv 2 3", text, "affine"]:
            yield ", ".join(words), build(words, (1, side, side), CLASSES, IMAGES, WHITE)


def every_loss() -> Iterator[tuple[str, Loss]]:
    """Each word of LOSSES, without and with its optional numbers, as in params.yaml."""
    for word, choice in LOSSES.items():
        for text in sorted({word, example_of(word, choice)}):
            yield text, choice.make(*read(text, LOSSES)[1])


def example_of(word: str, choice: Choice) -> str:
    """The word with typical numbers, as in 'conv 3 3 1 2'."""
    return " ".join([word, *(f"{typical(number):g}" for number in choice.numbers)])


def typical(number: Number) -> float:
    """A small whole number, so that the windows of a convolution overlap, or the middle of the range."""
    return number.low + (2 if number.default is None else 1) if number.whole else (number.low + number.high) / 2


def example(net: Net, side: int, seed: int) -> tuple[Array, Array, Array]:
    """Random weights (P,), images (N, 1, Y, X) with the blank border of handwritten digits, and labels (N,)."""
    stream = Stream(seed)
    weights = initialize(net.shapes, glorot(), stream)
    weights += 0.1 * stream.normal(len(weights))
    x = np.zeros((IMAGES, 1, side, side), np.uint8)
    x[:, :, 1:-1, 1:-1] = stream.integers(WHITE + 1, (IMAGES, 1, side - 2, side - 2))
    return weights, x, stream.integers(CLASSES, (IMAGES,))
