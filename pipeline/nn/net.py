"""A net is a list of layers. Its weights are one flat vector, and names are views into it.

With this vector, an optimizer is one line, a numerical gradient one loop, and a gradient check one dot product. The
names W1, b1, W2 and so on are for people and for the keys of weights.npz.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.words import read
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import LAYERS, Layer, Place, Weights

Shapes = Mapping[str, tuple[int, ...]]
Draw = Callable[[int, int, int], Array]  # number of a layer that draws, N, D -> (N, D) random uint16
Caches = list[Any]


class Net(NamedTuple):
    """Layers; `white`, the byte that stands for a pixel of 1; the words and places that the layers were made from."""

    layers: tuple[Layer, ...]
    white: int
    scaled: bool  # the first layer takes bytes as they are, and its sums are divided by `white`
    words: tuple[tuple[str, tuple[float, ...]], ...]
    places: tuple[Place, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of each weight array, in the order of the flat vector."""
        weighted = [layer.weights for layer in self.layers if layer.weights]
        return {f"{name}{i}": shape for i, shapes in enumerate(weighted, 1) for name, shape in shapes.items()}

    def by_layer(self, flat: Array) -> list[Weights]:
        """The arrays of each layer, by their names there, as views into the flat vector."""
        named = iter(views(flat, self.shapes).values())
        return [{name: next(named) for name in layer.weights} for layer in self.layers]


def size(shapes: Shapes) -> int:
    """The number of weights in arrays of `shapes`."""
    return sum(map(prod, shapes.values()))


def views(flat: Array, shapes: Shapes) -> dict[str, Array]:
    """Name the parts of one flat vector: {"W1": flat[:39200].reshape(784, 50), ...}."""
    named, start = {}, 0
    for name, shape in shapes.items():
        named[name] = flat[start : start + prod(shape)].reshape(shape)
        start += prod(shape)
    return named


def build(words: Sequence[str], shape: tuple[int, ...], classes: int, batch: int = 1, white: int | None = None) -> Net:
    """The net that the words of train.layers describe, for images of `shape` (C, Y, X).

    batch: how many images are differentiated together. white: the byte that stands for 1; None for
    images of fractions. Raises PipelineError naming the layer that does not fit the one before it.
    """
    at = Place(shape, batch, white and 255 / white, bytes=white is not None, first=True)
    layers, parsed, places = [], [], []
    for i, text in enumerate(words):
        try:
            word, numbers = read(text, LAYERS)
            if word == "affine" and not numbers[0]:
                numbers = (classes,)
            layers.append(LAYERS[word].make(at, *numbers))
        except ValueError as error:
            raise PipelineError(f"train.layers[{i}] is {text!r}: {error}; choose other layers.") from None
        parsed.append((word, numbers))
        places.append(at)
        at = Place(layers[-1].shape, batch, layers[-1].bound, first=at.first and not layers[-1].weights)
    scaled = (white or 1) != 1 and bool(layers[0].weights)
    return Net(tuple(layers), white or 1, scaled, tuple(parsed), tuple(places))


def operands(ops: Arithmetic, net: Net, weights: Array) -> Callable[[], list[Weights]]:
    """A function that gives each layer the weights (P,) as they are now, rounded for its products.

    A bias is the weight of an input of 1, which is `white` in the first layer.
    """
    values = np.empty_like(weights) if ops.is_exact else weights
    w, parts, start = net.by_layer(values), [], 0
    for layer in net.layers:
        if layer.weights:
            part = slice(start, start + size(layer.weights))
            parts.append((weights[part], layer.bits.w, values[part]))
            start = part.stop
    bias = w[0].get("b", np.empty(0))

    def rounded() -> list[Weights]:
        for part, bits, out in parts:
            ops.grid(part, bits, out)
        if net.scaled:
            w[0]["b"] = bias * net.white
        return w

    return rounded


def forward(ops: Arithmetic, net: Net, w: list[Weights], x: Array, draw: Draw | None = None) -> tuple[Array, Caches]:
    """Images x (N, ...) -> logits (N, K), and what `backward` needs. w: from `operands`; draw: only in training."""
    caches, drawn = [], 0
    if not net.layers[0].weights:  # a layer with weights takes images as they are stored
        x = x.astype(ops.dtype, copy=False) / ops.dtype.type(net.white)
    for i, (layer, its) in enumerate(zip(net.layers, w, strict=True)):
        if layer.random and draw:
            its = {"random": draw(drawn, len(x), prod(layer.shape))}
            drawn += 1
        x, cache = layer.forward(ops, its, x)
        if i == 0 and net.scaled:
            x /= net.white
        caches.append(cache)
    return x, caches


def backward(ops: Arithmetic, net: Net, w: list[Weights], g: list[Weights], dy: Array | None, caches: Caches) -> None:
    """Fill g with the derivatives by the weights from dy (N, K), the derivative by the logits; then call `finish`."""
    scaled = net.scaled and not has_filters_first(net)
    for i in reversed(range(len(net.layers))):
        if dy is None:
            break
        if i == 0 and scaled:
            dy = dy / net.white
        dy = net.layers[i].backward(ops, w[i], g[i], dy, caches[i])


def has_filters_first(net: Net) -> bool:
    """Whether the first layer has filters, which are smaller than its output; a matrix is larger."""
    return len(net.layers[0].weights["W"]) == 4


def finish(net: Net, grads: Array, start: int = 0) -> None:
    """Scale the first layer's derivatives, which `backward` did not; `grads` is the flat vector from `start` on.

    This comes after the sums over images and over the parts of a batch: they are only exact before it.
    """
    if net.scaled:
        W, b = (prod(net.layers[0].weights[name]) for name in ("W", "b"))
        bias = max(W - start, 0)
        if has_filters_first(net):
            grads[:bias] /= net.white
        else:
            grads[bias : max(W + b - start, 0)] *= net.white
