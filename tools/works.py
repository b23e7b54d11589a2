"""The data of the benchmarks (MNIST if it is there, else pixels as sparse as MNIST's), and their clock."""

import gzip
import os
import time
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import numpy as np

FOLDER = Path(os.environ.get("MNIST_FOLDER", "data/raw"))
ORDER = {"two_layer": ["W1", "b1", "W2", "b2"], "cnn": ["W1", "b1", "W2", "b2", "W3", "b3"]}


class Work(NamedTuple):
    """A training step to be timed."""

    title: str
    model: str
    hidden: int
    activation: str
    batch: int
    rate: float
    steps: int  # per shot

    @property
    def layers(self):
        """The net as train.layers has it."""
        dense = [f"affine {self.hidden}", self.activation, "affine"]
        return ["conv 3 3", "relu", "max_pool 2", *dense] if self.model == "cnn" else dense


def have_mnist():
    return (FOLDER / "train-images-idx3-ubyte.gz").exists()


def mnist():
    """(images (60000, 784) float32 from 0 to 1, labels, whether they are MNIST's)."""
    if not have_mnist():
        rng = np.random.default_rng(0)
        often = rng.beta(0.35, 1.5, 784)  # how often each pixel is lit: many almost never, few in half of the images
        pixels = np.empty((60000, 784), np.float32)
        for image in pixels:
            image[:] = rng.random(784, np.float32) * (rng.random(784) < often)
        return pixels, rng.integers(0, 10, 60000), False
    pixels = np.frombuffer(gzip.decompress((FOLDER / "train-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16)
    labels = np.frombuffer(gzip.decompress((FOLDER / "train-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    return pixels.reshape(-1, 784) / np.float32(255), labels.astype(np.int64), True


def timed(runs, shots):
    """(name, median, half the middle half) of processor microseconds, from shots in turn of (name, run, its share)."""
    times = {name: [] for name, _, _ in runs}
    for _ in range(shots):
        for name, run, share in runs:
            start = time.process_time()
            run()
            times[name].append((time.process_time() - start) / share * 1e6)
    for name, found in times.items():
        low, middle, high = quantiles(found, n=4)
        yield name, middle, (high - low) / 2
