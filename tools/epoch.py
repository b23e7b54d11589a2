"""An epoch of the textbook's CNN (30 filters 5×5, Adam), on one thread and on two, beside torch: docs/epoch.csv.

In each round, each contender takes 600 steps of 100 images, then classifies all 60,000 and the first 10,000 again.
The shortest round counts, because other programs only add to it. It takes some minutes.
$MNIST_FOLDER says where MNIST's files are.
"""

import os
import platform
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

DOCS, ROUNDS, SHAPE = Path(__file__).parents[1] / "docs", 3, (1, 28, 28)
TEXTBOOK = PLAIN | {
    "layers": ["conv 30 5", "relu", "max_pool 2", "affine 100", "relu", "affine"],
    "initializer": "he", "optimizer": "adam", "learning_rate": 0.001, "sampling": "shuffle", "length": "9 epochs",
}  # fmt: skip


def ours(arithmetic, count, train, others):
    """A function that takes an epoch."""
    workers = Workers(ALONE, [threads(count)])
    trainer = Trainer(TEXTBOOK | {"arithmetic": arithmetic}, SHAPE, train, others, 10, workers)
    trainer.begin(None)
    steps, per_epoch = trainer.steps(), trainer.plan.per_epoch

    def epoch(number):
        done = number * per_epoch
        for batches in trainer.plan.blocks(done, 60):
            steps(batches, done)
            done += len(batches)
            if done % per_epoch == 0:
                break
        return trainer.measure()

    return epoch


def torch(count, train, others):
    """The same in eager mode, with the fused optimizer."""
    import torch

    net = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 30, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten()),
        *(torch.nn.Linear(30 * 12 * 12, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10)),
    )
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    sets = [
        (torch.from_numpy(images.reshape(-1, *SHAPE)), torch.from_numpy(labels)) for images, labels in (train, others)
    ]
    images, labels = sets[0]

    def epoch(number):
        torch.set_num_threads(count)
        for batch in torch.randperm(len(labels)).reshape(-1, 100):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            parts = [zip(images.split(1000), labels.split(1000), strict=True) for images, labels in sets]
            return [float(np.mean([(net(x).argmax(1) == y).float().mean() for x, y in part])) for part in parts]

    return epoch


def main():
    images, labels, real = mnist()
    if not real:
        sys.exit("MNIST is not there: set MNIST_FOLDER to the folder of its files.")
    sets = (images, labels), (images[:10_000], labels[:10_000])
    contenders = {
        ("exact", 1): ours("exact", 1, *sets),
        ("exact", 2): ours("exact", 2, *sets),
        ("float32", 1): ours("float32", 1, *sets),
        ("torch", 1): torch(1, *sets),
        ("torch", 2): torch(2, *sets),
    }
    processors, times = os.sched_getaffinity(0), {key: [] for key in contenders}
    for number in range(ROUNDS):
        for (name, count), epoch in contenders.items():
            os.sched_setaffinity(0, sorted(processors)[:count])  # accuracies are measured on all processors
            start = time.perf_counter()
            right = epoch(number)
            times[name, count].append(time.perf_counter() - start)
            print(
                number, name, count, f"{times[name, count][-1]:.1f} s", *(f"{share:.2%}" for share in right), flush=True
            )
    rows = [(*key, round(min(found), 1)) for key, found in times.items()]
    about = f"# {len(processors)} processors of {platform.machine()}; the shortest of {ROUNDS} rounds in turn\n"
    write_bytes(DOCS / "epoch.csv", about.encode() + table(("contender", "threads", "seconds per epoch"), rows))


if __name__ == "__main__":
    with computing():
        main()
