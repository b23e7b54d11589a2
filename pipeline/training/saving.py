"""The files that a training writes: the curves, and the weights with the hashes of the curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base.arrays import Array
from pipeline.base.files import write_bytes
from pipeline.base.provenance import digest
from pipeline.base.text import table
from pipeline.model import save_model
from pipeline.nn.net import Shapes
from pipeline.training.loop import History


def save_training(folder: Path, history: History, weights: Array, shapes: Shapes, about: Mapping[str, Any]) -> None:
    """Write loss.csv, accuracy.csv and at last weights.npz, which names the SHA-256 of both.

    If it is killed in between, the old weights do not fit the new curves, and `evaluate` says so.
    """
    curves = {
        "loss.csv": table(["iteration", "loss"], enumerate(history.losses, 1)),
        "accuracy.csv": table(["epoch", "train", "held_out"], history.accuracies),
    }
    for name, curve in curves.items():
        write_bytes(folder / name, curve)
    about = {**about, "curves": {name: digest(curve) for name, curve in curves.items()}}
    save_model(folder / "weights.npz", weights, shapes, about)
