"""A net at work: logits and classes of images, a bounded number at a time."""

from collections.abc import Iterator

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.net import Net, forward, operands

BATCH = 200  # images classified at a time while training: what lies between their layers stays in the cache


def logits(ops: Arithmetic, net: Net, weights: Array, images: Array, batch: int) -> Iterator[Array]:
    """The logits (<= batch, K) of images (N, ...) in turn, each as if it were alone; the last piece holds the rest."""
    ops = ops.image_by_image()
    w = operands(ops, net, weights)()
    for start in range(0, len(images), batch):
        yield forward(ops, net, w, images[start : start + batch])[0]


def accuracy(ops: Arithmetic, net: Net, weights: Array, images: Array, labels: Array) -> float:
    """Share of `images` whose largest logit is their label's."""
    classes = [piece.argmax(axis=1) for piece in logits(ops, net, weights, images, BATCH)]
    return float(np.count_nonzero(np.concatenate(classes) == labels)) / len(labels)
