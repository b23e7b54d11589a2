"""A short training run of every kind of net and the SHA-256 of all that comes of it; needs the package and NumPy.

python tools/short_run.py exact float32    prints a line a run: arithmetic, net, hash
"""

import hashlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline.base.signals import Stopping
from pipeline.nn.inference import probabilities
from pipeline.nn.random import Stream
from pipeline.nn.weights import views
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.trainer import Trainer

PLAIN = {
    "model": "two_layer", "hidden": 50, "activation": "sigmoid", "filters": 3, "kernel": 3, "pool": 2,
    "initializer": "normal", "std": 0.01, "loss": "cross_entropy", "gradient": "backprop", "step": 1e-5,
    "optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9,
    "batch_size": 100, "sampling": "replacement", "length": 12, "unit": "iterations", "seed": 1,
}  # fmt: skip
NETS = {
    "sigmoid": {},
    "tanh": {"activation": "tanh", "initializer": "glorot", "optimizer": "momentum", "sampling": "shuffle"},
    "relu": {"activation": "relu", "initializer": "he", "optimizer": "adam", "learning_rate": 0.001},
    "cnn": {"model": "cnn", "initializer": "he", "batch_size": 20},
    "softmax": {"model": "linear"},
    "svm": {"model": "linear", "loss": "hinge", "learning_rate": 0.01},
}


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten random patterns under random noise: images (N, 1, 28, 28) from 0 to 1, and which pattern (N,)."""
    stream = Stream(0)
    patterns = stream.integers(256, (10, 1, 28, 28))
    labels = stream.integers(10, (count,))
    pixels = (patterns[labels] + stream.integers(256, (count, 1, 28, 28))) // 2
    return pixels.astype(np.float32) / np.float32(255), labels


def lines(arithmetic: str) -> Iterator[str]:
    """One for each net: weights, losses, accuracies and probabilities in one hash."""
    train, held_out = digits(300), digits(100)
    for name, settings in NETS.items():
        one = Trainer(PLAIN | settings | {"arithmetic": arithmetic}, train, held_out, 10)
        history = one.fit(lambda history: None, Checkpoints(Path(), {}, math.inf), Stopping())
        answers = probabilities(one.ops, one.model, views(one.weights, one.model.shapes), held_out[0], 64)
        total = hashlib.sha256()
        for part in one.weights, history.losses, history.accuracies, answers:
            total.update(np.asarray(part).astype("<f8").tobytes())
        yield f"{arithmetic} {name} {total.hexdigest()[:16]}"


if __name__ == "__main__":
    for arithmetic in sys.argv[1:]:
        for line in lines(arithmetic):
            print(line, flush=True)
