"""Logits and classes of images, a bounded number at a time."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.images import Images
from pipeline.nn.net import Net, forward, operands

BATCH = 250  # images classified at a time while training: the arrays between the layers stay in the cache
MOST_THREADS = 8  # each needs memory for the arrays between its layers


def logits(ops: Arithmetic, net: Net, weights: Array, images: Array | Images, batch: int) -> Iterator[Array]:
    """The logits (<= batch, K) of images (N, ...) in turn, each as if it were alone; the last piece holds the rest."""
    ops = ops.image_by_image()
    w = operands(ops, net, weights)()
    for start in range(0, len(images), batch):
        yield forward(ops, net, w, images[start : start + batch])[0]


def count_right(ops: Arithmetic, net: Net, weights: Array, images: Array | Images, labels: Array) -> int:
    """How many of `images` have their largest logit where their label is."""
    ops, w = ops.image_by_image(), operands(ops, net, weights)()

    count = min(processors(), MOST_THREADS)

    @np.errstate(over="ignore", invalid="ignore")  # each thread has its own; training reports divergence in one line
    def right(thread: int) -> int:
        found = 0
        for start in range(thread * BATCH, len(images), count * BATCH):
            part = slice(start, start + BATCH)
            found += int(np.count_nonzero(forward(ops, net, w, images[part])[0].argmax(axis=1) == labels[part]))
        return found

    with ThreadPoolExecutor(count) as threads:  # no image needs another, so the threads never wait
        return sum(threads.map(right, range(count)))


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
