"""How cost grows with hidden units, with images and with epochs: time an image, and memory beside the data set's."""

import time
import tracemalloc
from statistics import median

import numpy as np
from ours import Ours, first_weights
from works import Work


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
