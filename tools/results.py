"""Train every net of the README's table on MNIST, by the settings beside it: docs/results.csv, and the table itself.

$PIPELINE_MIRRORS may say where the data is. `python tools/results.py CNN` trains only what is called so.
"""

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.files import write_bytes
from pipeline.base.text import table

ROOT = Path(__file__).parents[1]
OUT, README = ROOT / "docs" / "results.csv", ROOT / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEADER = ("net", "settings", "accuracy", "seconds")


def recipe(layers: str = "", length: int = 0, **settings: str) -> str:
    """Settings as a shell takes them; `length` in epochs of all images in random order."""
    made = {"layers": f"[{layers}]"} if layers else {}
    made |= {"sampling": "shuffle", "length": f"{length} epochs"} if length else {}
    return shlex.join(f"train.{key}={value}" for key, value in (made | settings).items())


ADAM = {"initializer": "he", "optimizer": "adam", "learning_rate": "0.001"}
LENET = "conv 6 5 2, tanh, mean_pool 2, conv 16 5, tanh, mean_pool 2, affine 120, tanh, affine 84, tanh, affine"
DEEP = (
    "conv 16 3 1, relu, conv 16 3 1, relu, max_pool 2, conv 32 3 1, relu, conv 32 3 2, relu, max_pool 2, "
    "conv 64 3 1, relu, conv 64 3 1, relu, max_pool 2, affine 50, relu, dropout 0.5, affine, dropout 0.5"
)
RECIPES = {
    "784-50-10, sigmoid": "",
    "the same by numerical differentiation": recipe(gradient="numerical 1e-5", arithmetic="float64"),
    "the same on edges": "convert.features=edges",
    "on Fourier features, tanh, Adam": "convert.features=fourier "
    + recipe("affine 200, tanh, affine", initializer="glorot", optimizer="adam", learning_rate="0.003"),
    "784-800-10, relu, Adam": recipe("affine 800, relu, affine", 10, **ADAM),
    "784-128-10, tanh, one image a step": recipe(
        "affine 128, tanh, affine", 10, learning_rate="0.01", initializer="glorot", batch_size="1"
    ),
    "small CNN, 3 filters 3×3": recipe("conv 3 3, relu, max_pool 2, affine 128, relu, affine", 5, initializer="he"),
    "the textbook's CNN, 30 filters 5×5, Adam": recipe(
        "conv 30 5, relu, max_pool 2, affine 100, relu, affine", 5, **ADAM
    ),
    "LeNet-5, tanh and mean pooling, Adam": recipe(LENET, 5, **ADAM | {"initializer": "glorot"}, schedule="linear"),
    "the textbook's DeepConvNet, Adam, float32": recipe(DEEP, 3, **ADAM, arithmetic="float32"),
    "softmax regression": recipe("affine", 10),
    "linear SVM": recipe("affine", 10, loss="hinge", learning_rate="0.01"),
}


def main(part: str = "") -> None:
    rows = []
    for name, settings in RECIPES.items():
        if part in name:
            rows.append((name, settings, *measure(shlex.split(settings))))
            print(line(*rows[-1]), flush=True)
    if not part:
        write_bytes(OUT, table(HEADER, rows))
        write_bytes(README, with_table(README.read_text("utf-8"), rows).encode())


def line(net: str, settings: str, accuracy: float, seconds: float) -> str:
    """A row of the README's table."""
    return f"| {net} | {accuracy:.2%} | {f'`{settings}`' if settings else 'as it is'} | {seconds:.0f} s |"


def with_table(page: str, rows: Iterable[Sequence[Any]]) -> str:
    """The README with the table of these rows between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    head = "| Net | Test accuracy | Settings, each after a `-S` | Training |\n|---|---|---|---|"
    return "\n".join([before + BEGIN, head, *(line(*row) for row in rows), END]) + after


def measure(settings: list[str]) -> tuple[float, int]:
    """Test accuracy of a net, and the seconds that training it took."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        for stage in ("download", "convert", "train", "evaluate"):
            overrides = [part for setting in settings if setting.startswith(stage) for part in ("-S", setting)]
            start = time.monotonic()
            command = [sys.executable, "-m", f"pipeline.{stage}", *overrides]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            if stage == "train":
                seconds = round(time.monotonic() - start)
        return json.loads((folder / "data/evaluation/metrics.json").read_text())["accuracy"], seconds


if __name__ == "__main__":
    main(*sys.argv[1:])
