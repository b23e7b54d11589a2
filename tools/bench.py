"""Times of a training step, beside the times of other libraries, and how cost grows: docs/bench.csv and docs/bench.png.

Every contender takes the same steps on the same images, batches, first weights and dtype (the tutorials' own excepted,
which are float64 by their making), and must arrive at the same weights. All run in turn on one processor, shot by
shot, warmed up, so that what else the machine does hits all alike; times are processor time, medians of the shots.
$MNIST_FOLDER may say where MNIST's files are, by default data/raw; without them pixels are synthetic.
python tools/bench.py 784-50-10 measures only what has that in its title.
"""

import os
import platform
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import alone  # noqa: F401 - before NumPy
import converting
import numerical
import numpy as np
from growth import growth
from ours import Exact, Float64, Ours, Plain, Products, first_weights
from peers import PEERS
from picture import draw
from threadpoolctl import threadpool_info
from works import Work, have_mnist, mnist, timed

from pipeline.base.files import write_bytes
from pipeline.base.text import table
from pipeline.nn.arithmetic import computing

DOCS = Path(__file__).parents[1] / "docs"
MODULES = {"scikit-learn": "sklearn"}
SHOTS = 15
WORKS = [
    Work("784-50-10 sigmoid, 100 images a step", "two_layer", 50, "sigmoid", 100, 0.1, 200),
    Work("784-128-10 tanh, one image a step", "two_layer", 128, "tanh", 1, 0.01, 1024),
    Work("CNN 3 filters 3×3 - pool - 128 - 10, 100 images a step", "cnn", 128, "relu", 100, 0.1, 40),
    Work("784-800-10 sigmoid, 100 images a step", "two_layer", 800, "sigmoid", 100, 0.1, 40),
]
HEADER = ("work", "contender", "microseconds a step", "spread", "times ours")
GROWTH = ("what grows", "how much", "microseconds an image", "megabytes beside the images")


def main(part=""):
    images, labels, real = mnist()
    about = [*environment(real)]
    print(*about, sep="\n")
    rows = []
    for work in WORKS:
        if part in work.title:
            shape = (1, 28, 28) if work.model == "cnn" else (784,)
            rows += show(work.title, compare(work, images.reshape(-1, *shape), labels))
    if part in numerical.TITLE:
        rows += show(numerical.TITLE, numerical.numerical_gradients(images[:100], labels[:100]))
    if part in converting.TITLE and have_mnist():
        rows += show(converting.TITLE, converting.conversion())
    if not part:
        grown = growth(images, labels)
        said = "".join(f"# {line}\n" for line in about)
        write_bytes(DOCS / "bench.csv", said.encode() + table(HEADER, rows))
        write_bytes(DOCS / "growth.csv", table(GROWTH, grown))
        draw(DOCS / "bench.png", about, rows, grown)


def environment(real):
    """What is measured, on what, by which versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())
    blas = next(pool for pool in threadpool_info() if pool["user_api"] == "blas")
    yield f"{model}, one of {os.cpu_count()} processors; {platform.system()}, Python {platform.python_version()}"
    packages = ("numpy", "torch", "jax", "scikit-learn")
    found = [
        f"{package} {metadata.version(package)}" for package in packages if find_spec(MODULES.get(package, package))
    ]
    yield f"{', '.join(found)}; {blas['internal_api']} {blas['version']} for {blas['architecture']}, one thread"
    pixels = "MNIST" if real else "synthetic pixels as sparse as MNIST's"
    yield f"{pixels}; float32 unless said; medians of {SHOTS} shots in turn, processor time"


def compare(work, images, labels):
    """(contender, median, spread) in microseconds a step, ours first."""
    weights = first_weights(work)
    makers = [maker for maker in (Ours, Plain, Float64, Exact, Products, *PEERS) if maker.can(work)]
    contenders = [maker(work, weights, images, labels) for maker in makers]
    batches = np.random.default_rng(0).integers(0, len(images), (work.steps, work.batch))
    for contender in contenders:
        contender.run(batches)
    for contender in contenders:
        if contender.weights:
            require_equal(contender, contenders[1])
    return timed([(one.name, lambda one=one: one.run(batches), work.steps) for one in contenders], SHOTS)


def require_equal(contender, reference):
    """Stop unless all weights are those of the reference, but for rounding in single precision."""
    found = contender.weights()
    for name, expected in reference.weights().items():
        if not np.allclose(found[name], expected, rtol=1e-3, atol=1e-5):
            sys.exit(f"{contender.name} has other weights {name} after the same steps: not the same work.")


def show(title, results):
    """Print one work's table; its rows for the file."""
    rows, ours = [], None
    print(f"\n{title}\n  {'':40}{'us a step':>12}{'spread':>9}{'times ours':>12}")
    for name, middle, spread in results:
        ours = ours or middle
        rows.append((title, name, round(middle, 2), round(spread, 2), round(middle / ours, 3)))
        print(f"  {name:40}{middle:12,.1f}{spread:9.1f}{middle / ours:12.2f}", flush=True)
    return rows


if __name__ == "__main__":
    with computing():
        main(*sys.argv[1:])
