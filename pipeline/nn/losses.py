"""Losses: the mean loss of a batch and its derivative by the logits, together.

Shapes: logits (N, K), labels (N,) class indices. Each may change the logits it is handed.
"""

from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic

Loss = Callable[[Arithmetic, Array, Array], tuple[float, Array]]


def softmax(ops: Arithmetic, logits: Array) -> Array:
    """Probabilities (N, K) of logits (N, K), which are changed; the largest is subtracted, so nothing overflows."""
    logits -= logits.max(axis=1, keepdims=True)
    y = ops.exp(logits, out=logits)
    y /= ops.sum(y, axis=1, keepdims=True)
    return y


def softmax_cross_entropy(ops: Arithmetic, logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean of -log softmax(logits)[label], and (softmax - one-hot) / N."""
    n = len(labels)
    images = np.arange(n)
    logits -= logits.max(axis=1, keepdims=True)
    picked = logits[images, labels]
    y = ops.exp(logits, out=logits)
    total = ops.sum(y, axis=1, keepdims=True)
    loss = ops.sum(ops.log(total[:, 0]) - picked).item() / n
    y /= total
    y[images, labels] -= 1
    y /= n
    return loss, ops.grid(y, 1.0 / n, out=y)


def hinge(ops: Arithmetic, logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean over images of the sum over the other classes of max(0, 1 + logit - the label's), and its derivative.

    The loss of the multi-class support vector machine of Weston & Watkins 1999; where it bends, the slope is 0.
    """
    n = len(labels)
    images = np.arange(n)
    logits -= logits[images, labels][:, None]
    logits += 1
    logits[images, labels] = 0
    np.maximum(logits, 0, out=logits)
    loss = ops.sum(logits).item() / n
    slope = (logits > 0).astype(logits.dtype)
    slope[images, labels] = -slope.sum(axis=1)
    slope /= n
    return loss, ops.grid(slope, logits.shape[1] / n, out=slope)


LOSSES: dict[str, Loss] = {"cross_entropy": softmax_cross_entropy, "hinge": hinge}
