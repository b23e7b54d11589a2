"""A net at work: probabilities and classes of images, a bounded number at a time."""

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic, inputs
from pipeline.nn.losses import softmax
from pipeline.nn.model import Model

BATCH = 1000  # images classified at a time while training


def logits(ops: Arithmetic, model: Model, weights: Mapping[str, Array], images: Array, batch: int) -> Iterator[Array]:
    """The logits (<= batch, K) of every image in turn; the last piece holds what is left."""
    for start in range(0, len(images), batch):
        x = inputs(ops, images[start : start + batch]).astype(ops.dtype)
        yield model.forward(dict(weights), x)[0]


def probabilities(ops: Arithmetic, model: Model, weights: Mapping[str, Array], images: Array, batch: int) -> Array:
    """Softmax of the logits of `images` (N, ...): (N, K)."""
    return np.concatenate([softmax(ops, piece) for piece in logits(ops, model, weights, images, batch)])


def accuracy(ops: Arithmetic, model: Model, weights: Mapping[str, Array], images: Array, labels: Array) -> float:
    """Share of `images` whose largest logit is their label's."""
    classes = [piece.argmax(axis=1) for piece in logits(ops, model, weights, images, BATCH)]
    return float(np.count_nonzero(np.concatenate(classes) == labels)) / len(labels)
