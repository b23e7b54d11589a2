"""One training on several threads: the bits are the same, but how much faster is it? docs/workers.csv.

Every net takes the same steps on 1, 2, 3 and 4 threads, shot by shot in turn, so that what else the machine does hits
all alike. A time is the shortest of all shots, because other programs only add to it. The hash is that of all weights
and losses. float64 is forced to work together, to show that hashes can differ.
$MNIST_FOLDER may say where MNIST's files are, by default data/raw; without them pixels are synthetic.
python tools/workers.py 784-800-10 measures only what has that in its title.
"""

import hashlib
import os
import sys
import time
from pathlib import Path

import numpy as np
from short_run import PLAIN
from works import mnist

from pipeline.base.files import write_bytes
from pipeline.base.text import table
from pipeline.nn.arithmetic import computing
from pipeline.training.team import ALONE, Workers, threads
from pipeline.training.trainer import Trainer

DOCS = Path(__file__).parents[1] / "docs"
HEADER = ("net", "threads", "ms_a_step", "times_faster", "sha256")
SIZES, SHOTS = (1, 2, 3, 4), 12
RELU = {"initializer": "he", "optimizer": "adam", "learning_rate": 0.001, "sampling": "shuffle"}
WIDE = RELU | {"layers": ["affine 800", "relu", "affine"]}
TEXTBOOK = RELU | {"layers": ["conv 30 5", "relu", "max_pool 2", "affine 100", "relu", "affine"]}
TWO = ["conv 16 5", "relu", "max_pool 2", "conv 32 5", "relu", "max_pool 2", "affine 128", "relu", "affine"]
NETS = {  # title: settings, steps per shot
    "784-50-10, batch 100": ({}, 100),
    "784-50-10, batch 100, float64": ({"arithmetic": "float64"}, 100),
    "784-800-10, batch 100": (WIDE, 20),
    "784-800-10, batch 1000": (WIDE | {"batch_size": 1000}, 2),
    "784-800-10, batch 5000": (WIDE | {"batch_size": 5000}, 1),
    "CNN of 30 filters 5×5, batch 100": (TEXTBOOK, 3),
    "CNN of 30 filters 5×5, batch 1000": (TEXTBOOK | {"batch_size": 1000}, 1),
    "CNN of two convolutions, batch 64": (RELU | {"layers": TWO, "batch_size": 64}, 3),
}


def main(part=""):
    images, labels, _ = mnist()
    rows = []
    for title, (settings, steps) in NETS.items():
        if part in title:
            rows += measured(title, settings, steps, images, labels)
    if not part:
        about = f"# {os.cpu_count()} processors; the shortest of {SHOTS} shots in turn\n"
        write_bytes(DOCS / "workers.csv", about.encode() + table(HEADER, rows))


def measured(title, settings, steps, images, labels):
    """The rows of a net: every number of threads takes the same steps."""
    held_out = images[:100], labels[:100]
    plain = PLAIN | {"length": "1000000 iterations"} | settings
    trainers = {
        size: Trainer(plain, (1, 28, 28), (images, labels), held_out, 10, Workers(ALONE, [threads(size)]))
        for size in SIZES
    }
    runs, times, losses = {}, {size: [] for size in SIZES}, {size: [] for size in SIZES}
    for size, one in trainers.items():
        one.begin(None)
        runs[size] = one.steps()
    done = 0
    for batches in trainers[1].plan.blocks(0, steps):
        for size, run in runs.items():
            start = time.perf_counter()
            losses[size].append(run(batches, done))
            times[size].append((time.perf_counter() - start) / len(batches))
        done += len(batches)
        if len(times[1]) == SHOTS:
            break
    rows = []
    for size in SIZES:
        seconds, alone = min(times[size][1:]), min(times[1][1:])  # the first warms up
        found = hashlib.sha256(np.concatenate([trainers[size].result, *losses[size]]).tobytes()).hexdigest()[:16]
        rows.append((title, size, round(1000 * seconds, 3), round(alone / seconds, 2), found))
        print(*rows[-1], sep="  ", flush=True)
    return rows


if __name__ == "__main__":
    with computing():
        main(*sys.argv[1:])
