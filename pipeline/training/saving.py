"""The files that a training writes: the curves, and the weights with the hashes of the curves."""

from pathlib import Path

import numpy as np

from pipeline.base.files import write_bytes
from pipeline.base.provenance import digest
from pipeline.base.text import table
from pipeline.model import Classifier, save_model
from pipeline.training.judging import Detect, judging
from pipeline.training.loader import Labelled
from pipeline.training.loop import History


def save_training(
    folder: Path, history: History, net: Classifier, train: Labelled, held_out: Labelled, detect: Detect | None
) -> None:
    """Write loss.csv, accuracy.csv and at last weights.npz, which names the SHA-256 of both curves.

    train, held_out: images (N, ...) and class indices (N,), which decide how answers are judged; detect: see `judging`.
    If the process is killed in between, the old weights do not fit the new curves, and `evaluate` says so.
    """
    curves = {
        "loss.csv": table(["iteration", "loss"], enumerate(history.losses, 1)),
        "accuracy.csv": table(["epoch", "train", "held_out"], history.accuracies),
    }
    judged, subspaces, detector = judging(net, train, held_out, detect)
    for name, curve in curves.items():
        write_bytes(folder / name, curve)
    about = {**net.about, **judged, "curves": {name: digest(curve) for name, curve in curves.items()}}
    weights = np.concatenate([array.reshape(-1) for array in net.weights.values()])
    shapes = {name: array.shape for name, array in net.weights.items()}
    save_model(folder / "weights.npz", weights, shapes, about, subspaces, detector)
