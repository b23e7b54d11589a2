"""How cost grows with hidden units, with images and with epochs: time per image, and memory besides the data set.

python tools/growth.py 1 8 134    writes docs/beyond_memory.csv: that many copies of MNIST's training images, each moved
                                  by some pixels, are converted and trained on, in files below the current folder.
                                  134 copies need 13 GB there, and are deleted again.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from statistics import median

import numpy as np
from described import described
from ours import Ours, first_weights
from short_run import PLAIN
from works import Work, mnist

from pipeline.base.files import write_bytes
from pipeline.base.provenance import sha256
from pipeline.base.text import table
from pipeline.datasets.arrays import load_splits
from pipeline.nn.arithmetic import computing
from pipeline.nn.images import Images
from pipeline.training.loop import plan
from pipeline.training.trainer import Trainer

ROOT = Path(__file__).parents[1]
ABOUT = ("name", "title", "homepage", "licence", "class_names", "image_shape")
BYTES = ("convert.normalize=false", "convert.one_hot=false")
SCALED = ("train.initializer=normal 0.0001", "train.learning_rate=0.01")  # for pixels up to 255
SHOTS, STEPS = 60, 20  # the least of SHOTS times counts, each of STEPS steps
HEADER = (
    *("images", "seconds to convert", "megabytes to convert", "seconds to train", "megabytes to train"),
    *("microseconds an image", "microseconds to read an image, shuffle", "microseconds to read an image, blocks"),
)


def growth(images, labels):
    """(what grows, how much of it, microseconds an image, megabytes beside the images)."""
    few = images[: len(images) // 8], labels[: len(images) // 8]
    parts = [len(few[0]) * times for times in (1, 2, 4, 8)]
    rows = [("hidden units", hidden, *cost(hidden, 1, *few)) for hidden in (50, 100, 200, 400, 800, 1600, 3200)]
    rows += [("images", part, *cost(50, 1, images[:part], labels[:part])) for part in parts]
    rows += [("epochs", epochs, *cost(50, epochs, *few)) for epochs in (1, 2, 4)]
    print(f"\n{'':26}{'us an image':>12}{'megabytes':>11}")
    for what, much, seconds, memory in rows:
        print(f"{much:10,} {what:15}{seconds:12.2f}{memory:11.1f}", flush=True)
    return rows


def cost(hidden, epochs, images, labels):
    work = Work("", "two_layer", hidden, "sigmoid", 100, 0.1, 0)
    weights = first_weights(work)
    rng, shots = np.random.default_rng(0), []
    tracemalloc.start()
    contender = Ours(work, weights, images, labels)
    for _ in range(epochs):
        order = rng.permutation(len(images))[: len(images) // 100 * 100].reshape(-1, 100)
        for start in range(0, len(order), 100):
            contender.run(order[start : start + 100])
    memory = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    batches = rng.integers(0, len(images), (1 + 5000 // hidden, 100))
    for _ in range(5):
        start = time.process_time()
        contender.run(batches)
        shots.append((time.process_time() - start) / batches.size * 1e6)
    return round(median(shots), 3), round(memory, 2)


def beyond_memory(copies, images, labels):
    """A row of HEADER. Megabytes are the most anonymous memory: the system can free pages of a file.

    The training has 1,000 steps of the default net, and the accuracy on all images before and after. Times are of the
    processor, because other work changes them least; to read an image that is in no cache, of the clock.
    """
    folder = Path(tempfile.mkdtemp(prefix="growth-", dir="."))
    try:
        raw, count = folder / "data/raw", copies * len(images)
        raw.mkdir(parents=True)
        shutil.copy(ROOT / "params.yaml", folder)
        describe(raw, [write(raw, *part) for part in parts(copies, images, labels)])
        stages = watched(folder, "convert", *BYTES), watched(folder, "train", "train.length=1000 iterations", *SCALED)
        us = a_step(folder / "data/processed/dataset.npz")
        reads = [cold(raw / "train_images", count, sampling) for sampling in ("shuffle", "blocks")]
        return count, *stages[0], *stages[1], us, *reads
    finally:
        shutil.rmtree(folder)


def parts(copies, images, labels):
    """(role, shape, blocks) of the four files: the last 10,000 images are the test images, too."""
    yield "train_images", (copies * len(images), 28, 28), (moved(images, copy) for copy in range(copies))
    yield "train_labels", (copies * len(labels),), (labels for _ in range(copies))
    yield "test_images", (10_000, 28, 28), [images[-10_000:]]
    yield "test_labels", (10_000,), [labels[-10_000:]]


def moved(images, copy):
    """Each image moved by up to 5 pixels along each axis, differently in each copy. All copies light as many pixels."""
    found = np.empty_like(images)
    for i in range(11 * 11):
        y, x = divmod((i + copy) % (11 * 11), 11)
        found[i :: 11 * 11] = np.roll(images[i :: 11 * 11], (y - 5, x - 5), (1, 2))
    return found


def write(raw, role, shape, blocks):
    with (raw / role).open("wb") as file:
        file.write(bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape))
        file.writelines(np.ascontiguousarray(block).data for block in blocks)
    return role


def describe(raw, roles):
    files = {role: {"name": role, "bytes": (raw / role).stat().st_size, "sha256": sha256(raw / role)} for role in roles}
    about = {key: described((28, 28))[key] for key in ABOUT} | {"framed": True, "files": files}
    (raw / "dataset.json").write_text(json.dumps(about))


def watched(folder, stage, *overrides):
    """Seconds of the processor, and megabytes of anonymous memory at most, that a stage takes."""
    settings = (part for override in overrides for part in ("-S", override))
    before, most = resource.getrusage(resource.RUSAGE_CHILDREN), 0
    with subprocess.Popen([sys.executable, "-m", f"pipeline.{stage}", *settings], cwd=folder) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            most = max([most, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))])
            time.sleep(0.005)
    if process.returncode:
        sys.exit(f"{stage} ended with exit code {process.returncode}.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return round(seconds, 1), round(most / 1000)


def a_step(path):
    """Microseconds of the processor per image of a step."""
    splits = load_splits(path, described((28, 28)), ["train", "test"])
    one = Trainer(PLAIN, (1, 28, 28), *splits, 10)
    steps, rng, shots = one.steps(), np.random.default_rng(0), []
    for _ in range(SHOTS):
        batches = rng.integers(0, len(splits[0].images), (STEPS, 100))
        start = time.process_time()
        steps(batches, 0)
        shots.append((time.process_time() - start) / batches.size * 1e6)
    return round(min(shots), 2)


def cold(path, count, sampling):
    """Microseconds to read an image in the order of that sampling, from a file that is in no cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    images = Images(np.asarray(np.memmap(path, np.uint8, "r", 16, (count, 784))), 1)
    batches = next(plan(count, 100, "1 epochs", sampling, 1).blocks(0, 200))
    start = time.monotonic()
    for batch in batches:
        images[batch]
    return round((time.monotonic() - start) / batches.size * 1e6, 1)


def main(*copies):
    images, labels, real = mnist()
    if not real:
        sys.exit("MNIST is not there: set MNIST_FOLDER to the folder of its files.")
    images, labels = np.rint(images * 255).astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8)
    rows = [beyond_memory(int(count), images, labels) for count in copies]
    write_bytes(ROOT / "docs/beyond_memory.csv", table(HEADER, rows))
    print(table(HEADER, rows).decode())


if __name__ == "__main__":
    with computing():
        main(*sys.argv[1:])
