"""CPU time on one core to 97, 98 and 99 % of MNIST's test images, beside other libraries: docs/speedrun.csv.

Each goal has a recipe (speedrun-97, -98, -99), whose settings were chosen on the last 10,000 training images. Every
contender trains that net from the same first weights on the same batches, and all take turns, seed by seed. The time
is that of the training from images in memory on, without measuring accuracy; JAX has compiled its step before.
$MNIST_FOLDER says where MNIST's files are, by default data/raw. `python tools/speedrun.py 97 98` runs those two alone,
and the row of 99 stays.
"""

import csv
import sys
import time
from collections import defaultdict
from importlib.util import find_spec
from statistics import median

import alone  # noqa: F401 - before NumPy
import numpy as np
from recipe import RECIPES, ROOT
from short_run import PLAIN
from works import FOLDER, mnist

from pipeline.base.files import write_bytes
from pipeline.base.text import table
from pipeline.base.words import read
from pipeline.datasets.idx import read_idx
from pipeline.nn.arithmetic import computing
from pipeline.nn.losses import LOSSES
from pipeline.nn.net import build, views
from pipeline.params import read_yaml
from pipeline.training.trainer import Trainer

GOALS, SEEDS = ("97", "98", "99"), range(1, 6)
RESULTS = ROOT / "docs" / "speedrun.csv"
HEADER = ("goal", "contender", "median_accuracy", "median_cpu_seconds", "least", "most")
SHAPE = (1, 28, 28)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam


def main(*goals):
    train, test = mnist()[:2], held_out()
    rows = [row for row in measured_before() if goals and row[0] not in goals]
    for goal in goals or GOALS:
        settings = PLAIN | read_yaml(RECIPES[f"speedrun-{goal}"])["train"]
        found = defaultdict(list)
        for seed in SEEDS:
            for contender in (ours, exactly, *[one for one in (torch, jax) if find_spec(one.__name__)]):
                found[contender.__name__].append(contender(settings | {"seed": seed}, train, test))
        for name, pairs in found.items():
            accuracies, seconds = zip(*pairs, strict=True)
            rows.append((goal, name, median(accuracies), *(round(f(seconds), 2) for f in (median, min, max))))
            print(*rows[-1], flush=True)
    write_bytes(RESULTS, table(HEADER, sorted(rows, key=lambda row: row[0])))


def measured_before():
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def held_out():
    images, labels = (read_idx(FOLDER / f"t10k-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    return images.reshape(-1, 784) / np.float32(255), labels.astype(np.int64)


def blocks(plan):
    """(steps done, batches (m, B)) of a whole training, with as many steps per block as a training takes."""
    done = 0
    for batches in plan.blocks(0, 128):
        yield done, batches
        done += len(batches)


def ours(settings, train, test):
    """(accuracy on the test images, CPU seconds of the training)."""
    start = time.process_time()
    trainer = Trainer(settings, SHAPE, train, test, 10)
    trainer.begin(None)
    steps = trainer.steps()
    for done, batches in blocks(trainer.plan):
        steps(batches, done)
    seconds = time.process_time() - start
    return trainer.measure()[1], seconds


def exactly(settings, train, test):
    return ours(settings | {"arithmetic": "exact"}, train, test)


def start_of(settings, train, test):
    """(what decides batches and learning rates, the layers as they are, the first weights by name, label smoothing)."""
    trainer = Trainer(settings, SHAPE, train, test, 10)
    net = build(settings["layers"], SHAPE, 10)
    first = views(trainer.turned(trainer.weights, back=True), net.shapes)
    return trainer, net, first, *read(settings["loss"], LOSSES)[1]


def torch(settings, train, test):
    """Modules, autograd and the fused optimizer, in eager mode."""
    import torch

    torch.set_num_threads(1)
    trainer, plain, first, smoothing = start_of(settings, train, test)
    modules = {"relu": torch.nn.ReLU, "max_pool": torch.nn.MaxPool2d}
    net = torch.nn.Sequential()
    for (word, numbers), at, layer in zip(plain.words, plain.places, plain.layers, strict=True):
        if word == "affine":
            net.extend([torch.nn.Flatten(), torch.nn.Linear(*layer.weights["W"])])
        elif word == "conv":
            net.append(torch.nn.Conv2d(at.shape[0], *map(int, numbers[:2])))
        else:
            net.append(modules[word](*map(int, numbers)))
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), first.values(), strict=True):
            parameter.copy_(torch.from_numpy(array.T if array.ndim == 2 else array))
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    images, labels = torch.from_numpy(train[0].reshape(-1, *SHAPE)), torch.from_numpy(train[1])
    start = time.process_time()
    for done, batches in blocks(trainer.plan):
        for i, batch in enumerate(torch.from_numpy(batches)):
            optimizer.param_groups[0]["lr"] = trainer.rate(done + i)
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(images[batch]), labels[batch], label_smoothing=smoothing)
            loss.backward()
            optimizer.step()
    seconds = time.process_time() - start
    with torch.no_grad():
        answers = net(torch.from_numpy(test[0].reshape(-1, *SHAPE))).argmax(dim=1).numpy()
    return float((answers == test[1]).mean()), seconds


def jax(settings, train, test):
    """One compiled scan over the batches of a block; Adam as in the paper."""
    import jax
    import jax.numpy as jnp

    trainer, plain, first, smoothing = start_of(settings, train, test)

    def logits(w, x):
        x, named = x.reshape(-1, *SHAPE), (w[name] for name in first)  # JAX sorts a dictionary
        for word, numbers in plain.words:
            if word == "affine":
                x = x.reshape(len(x), -1) @ next(named) + next(named)
            elif word == "conv":
                x = jax.lax.conv_general_dilated(x, next(named), (1, 1), "VALID") + next(named)[:, None, None]
            elif word == "max_pool":
                cell = (1, 1, int(numbers[0]), int(numbers[0]))
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, cell, cell, "VALID")
            else:
                x = jax.nn.relu(x)
        return x

    def loss(w, x, y):
        log = jax.nn.log_softmax(logits(w, x))
        return -((1 - smoothing) * jnp.take_along_axis(log, y[:, None], 1).mean() + smoothing * log.mean())

    def step(state, given):
        (w, mean, square, count), (batch, rate) = state, given
        g, count = jax.grad(loss)(w, images[batch], labels[batch]), count + 1
        mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, g)
        square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, g)

        def moved(w, m, v):
            return w - rate * (m / (1 - BETA1**count)) / (jnp.sqrt(v / (1 - BETA2**count)) + EPSILON)

        return (jax.tree.map(moved, w, mean, square), mean, square, count), None

    def run(state):
        for done, batches in blocks(trainer.plan):
            rates = jnp.array([trainer.rate(done + i) for i in range(len(batches))])
            state, _ = scan(state, (batches, rates))
        return jax.block_until_ready(state[0])

    images, labels = jnp.array(train[0]), jnp.array(train[1])
    scan = jax.jit(lambda state, given: jax.lax.scan(step, state, given))
    w = {name: jnp.array(array) for name, array in first.items()}
    zeros = jax.tree.map(jnp.zeros_like, w)
    begin = w, zeros, zeros, 0
    run(begin)  # compiles
    start = time.process_time()
    w = run(begin)
    seconds = time.process_time() - start
    return float((np.asarray(logits(w, jnp.array(test[0]))).argmax(axis=1) == test[1]).mean()), seconds


if __name__ == "__main__":
    with computing():
        main(*sys.argv[1:])
