"""Probabilities that mean what they say: of answers given with 90 %, nine of ten should be right.

Shapes: logits and probabilities (N, K), labels (N,).
"""

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.losses import cross_entropy, mean, softmax

TEMPERATURES = np.arange(2, 101) / 20  # 0.1 to 5
BINS = 15


def tempered(ops: Arithmetic, logits: Array, temperature: float) -> Array:
    """Softmax of logits divided by the temperature, which keeps their order: Guo, Pleiss, Sun & Weinberger 2017."""
    return softmax(ops, logits / ops.dtype.type(temperature))


def fitted_temperature(ops: Arithmetic, logits: Array, labels: Array) -> float:
    """The temperature, of TEMPERATURES, with the least cross-entropy; the lowest of equal ones."""
    loss = cross_entropy(0.0)
    losses = [mean(ops, loss(ops, logits / ops.dtype.type(one), labels)[0]) for one in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(losses))])


def calibration_error(probabilities: Array, labels: Array) -> float:
    """The expected calibration error: the mean of |accuracy - mean probability| over BINS, weighted by their answers.

    Naeini, Cooper & Hauskrecht 2015, with Guo et al.'s 15 bins. Probabilities are rounded to 2**-30, so that their sums
    are exact.
    """
    sure = np.rint(probabilities.max(axis=1).astype(np.float64) * 2**30)
    right = (probabilities.argmax(axis=1) == labels) * 2.0**30
    bins = np.minimum(sure * BINS / 2**30, BINS - 1).astype(np.intp)
    gaps = np.abs(np.bincount(bins, right - sure, BINS))
    return float(gaps.sum() / (len(labels) * 2**30))
