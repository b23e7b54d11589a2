"""Losses: the terms of the loss of each image, and the derivative of the mean loss by the logits, together.

Shapes: logits (N, K), labels (N,) class indices, terms (N,) or (N, T). If the N images are a part of a batch, `of`
is the number of images in the whole batch. Inside, a class is a row: a sum over classes is then a sum of rows.
"""

from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number
from pipeline.nn.arithmetic import Arithmetic

Loss = Callable[..., tuple[Array, Array]]  # (ops, logits, labels, of=N) -> terms, derivative (N, K)


def mean(ops: Arithmetic, terms: Array) -> float:
    """The mean loss of images from all their terms; a complex number if the terms are complex."""
    total: float = ops.sum(terms).item() / len(terms)
    return total


def softmax(ops: Arithmetic, logits: Array) -> Array:
    """Probabilities (N, K) of logits (N, K); the largest is subtracted, so nothing overflows."""
    y = logits.T.copy()
    y -= np.maximum.reduce(y, axis=0)
    ops.exp(y, out=y)
    y /= ops.sum(y, axis=0, bound=1.0)
    return y.T


def cross_entropy(smoothing: float) -> Loss:
    """-sum over k of t[k] log softmax(logits)[k], and the derivative of the mean, (softmax - t) / N.

    The target t is smoothing / K for every class, and 1 - smoothing more for the label: Szegedy et al. 2016, section 7.
    """

    def loss(ops: Arithmetic, logits: Array, labels: Array, of: int = 0) -> tuple[Array, Array]:
        n, y = len(labels), logits.T.copy()
        y -= np.maximum.reduce(y, axis=0)
        flat, at = y.reshape(-1), labels * n + np.arange(n)  # places of the logits of the labels
        wanted = flat[at]
        if smoothing:
            wanted = (1 - smoothing) * wanted + smoothing / len(y) * ops.sum(y, axis=0)
        ops.exp(y, out=y)
        total = ops.sum(y, axis=0, bound=1.0)
        values = ops.log(total) - wanted
        y /= total
        flat[at] -= 1 - smoothing
        if smoothing:
            y -= smoothing / len(y)
        y /= of or n
        return values, y.T

    return loss


def hinge() -> Loss:
    """The sum over the other classes of max(0, 1 + logit - label's logit), and the derivative of the mean over images.

    The loss of the multi-class support vector machine of Weston & Watkins 1999; where it bends, the slope is 0.
    """

    def loss(ops: Arithmetic, logits: Array, labels: Array, of: int = 0) -> tuple[Array, Array]:
        images = np.arange(len(labels))
        margins = logits.T - logits[images, labels]
        margins += 1
        margins[labels, images] = 0
        np.maximum(margins, 0, out=margins)
        slope = (margins > 0).astype(margins.dtype)
        slope[labels, images] = -slope.sum(axis=0)
        slope /= of or len(labels)
        return margins.T, slope.T

    return loss


LOSSES: dict[str, Choice] = {
    "cross_entropy": Choice(cross_entropy, (Number("smoothing", 0, 0.9, default=0.0),)),
    "hinge": Choice(hinge),
}
