"""Train every net of the README's table on MNIST, by the settings beside it: docs/results.csv, and the table itself.

$PIPELINE_MIRRORS may say where the data is. `python tools/results.py CNN` trains only what is called so.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.base.files import write_bytes
from pipeline.base.text import table

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "results.csv"
HEADER = ("net", "settings", "accuracy", "seconds")

EPOCHS = "train.sampling=shuffle train.unit=epochs"
CNN = "convert.layout=image train.model=cnn train.initializer=he"
RECIPES = {
    "two-layer net 784-50-10, sigmoid": "",
    "the same by numerical differentiation": "train.gradient=numerical train.arithmetic=float64",
    "the same on edges": "convert.features=edges",
    "two-layer net on Fourier features, tanh, Adam": "convert.features=fourier train.hidden=200 train.activation=tanh "
    "train.initializer=glorot train.optimizer=adam train.learning_rate=0.003",
    "two-layer net 784-800-10, relu, Adam": f"train.hidden=800 train.activation=relu train.initializer=he "
    f"train.optimizer=adam train.learning_rate=0.001 {EPOCHS} train.length=10",
    "tanh net 784-128-10, one image a step": f"train.hidden=128 train.activation=tanh train.learning_rate=0.01 "
    f"train.initializer=glorot train.batch_size=1 {EPOCHS} train.length=10",
    "small CNN, 3 filters 3×3": f"{CNN} train.hidden=128 {EPOCHS} train.length=5",
    "the textbook's CNN, 30 filters 5×5, Adam": f"{CNN} train.filters=30 train.kernel=5 train.hidden=100 "
    f"train.optimizer=adam train.learning_rate=0.001 {EPOCHS} train.length=5",
    "softmax regression": f"train.model=linear {EPOCHS} train.length=10",
    "linear SVM": f"train.model=linear train.loss=hinge train.learning_rate=0.01 {EPOCHS} train.length=10",
}


def main(part: str = "") -> None:
    rows = []
    for name, settings in RECIPES.items():
        if part in name:
            rows.append((name, settings, *measure(settings.split())))
            print("| {} | `{}` | {:.2%} | {:.0f} s |".format(*rows[-1]), flush=True)
    if not part:
        write_bytes(OUT, table(HEADER, rows))


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
