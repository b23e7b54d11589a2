"""A short training run of every kind of net and the SHA-256 of all its results; it needs only the package and NumPy.

python tools/short_run.py exact float32              prints one line per run: arithmetic, net, hash
mpiexec -n 2 python tools/short_run.py exact         prints the same
"""

import hashlib
import math
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from pipeline.base.signals import Stopping
from pipeline.nn.inference import logits
from pipeline.nn.random import Stream
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.mpi import launched, processes
from pipeline.training.team import ALONE, SOLE, Workers
from pipeline.training.trainer import Trainer

PLAIN = {
    "layers": ["affine 50", "sigmoid", "affine"], "initializer": "normal 0.01", "loss": "cross_entropy",
    "gradient": "backprop", "arithmetic": "exact", "optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant",
    "weight_decay": 0.0, "augment": [], "average": "none", "batch_size": 100, "sampling": "replacement",
    "length": "12 iterations", "seed": 1,
}  # fmt: skip
CNN = ["conv 3 3", "relu", "max_pool 2", "affine 128", "relu", "affine"]
LENET = ["conv 6 5 2", "tanh", "mean_pool 2", "conv 16 5", "tanh", "mean_pool 2", "affine 84", "tanh", "affine"]
NETS = {
    "sigmoid": {},
    "tanh": {
        "layers": ["affine 50", "tanh", "affine"], "initializer": "glorot", "optimizer": "momentum 0.9",
        "sampling": "shuffle", "schedule": "one_cycle", "average": "ema 0.9",
    },
    "relu": {
        "layers": ["affine 50", "relu", "dropout 0.2", "affine"], "initializer": "he", "optimizer": "adam",
        "learning_rate": 0.001, "schedule": "cosine", "weight_decay": 0.01, "loss": "cross_entropy 0.1",
    },
    "single": {"layers": ["affine 20", "tanh", "affine"], "initializer": "glorot", "batch_size": 1},
    "cnn": {
        "layers": CNN, "initializer": "he", "batch_size": 20,
        "augment": ["shift 1", "affine 10 0.1 0.1", "elastic 0.9 5"],
    },
    "lenet": {"layers": LENET, "initializer": "glorot", "batch_size": 20, "schedule": "linear"},
    "softmax": {"layers": ["affine"]},
    "svm": {"layers": ["affine"], "loss": "hinge", "learning_rate": 0.01},
}  # fmt: skip


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Ten random patterns under random noise: images (N, 1, 28, 28) from 0 to 1, and which pattern (N,)."""
    stream = Stream(0)
    patterns = stream.integers(256, (10, 1, 28, 28))
    labels = stream.integers(10, (count,))
    pixels = (patterns[labels] + stream.integers(256, (count, 1, 28, 28))) // 2
    return pixels.astype(np.float32) / np.float32(255), labels


def lines(arithmetic: str, workers: Workers = SOLE) -> Iterator[str]:
    """One for each net: weights, losses, accuracies and logits in one hash."""
    train, held_out = digits(300), digits(100)
    for name, settings in NETS.items():
        one = Trainer(PLAIN | settings | {"arithmetic": arithmetic}, (1, 28, 28), train, held_out, 10, workers)
        history = one.fit(lambda history: None, Checkpoints(Path(), {}, math.inf), Stopping())
        answers = np.concatenate(list(logits(one.ops, one.net, one.weights, one.loader.measured[1][0], 64)))
        total = hashlib.sha256()
        for part in one.result, history.losses, history.accuracies, answers:
            total.update(np.asarray(part).astype("<f8").tobytes())
        yield f"{arithmetic} {name} {total.hexdigest()[:16]}"


if __name__ == "__main__":
    with processes() if launched() else nullcontext(ALONE) as process:
        for arithmetic in sys.argv[1:]:
            for line in lines(arithmetic, Workers(process, [[process]])):
                if process.rank == 0:
                    print(line, flush=True)
