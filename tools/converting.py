"""The time to convert MNIST, beside the time of its necessary parts: gunzip, division, one write."""

import gzip
import os
import tempfile
from pathlib import Path

import numpy as np
from works import FOLDER, timed

from pipeline.datasets.arrays import Split, save_dataset
from pipeline.datasets.idx import read_idx
from pipeline.datasets.raw import arrange
from pipeline.digit.framing import framing

TITLE = "convert MNIST: four files to one, pixels as float32"
PARTS = {"train": "train", "test": "t10k"}
SHOTS = 5


def conversion():
    """(way, median, spread) in processor microseconds."""
    with tempfile.TemporaryDirectory() as scratch:
        ways = {"ours": ours, "gunzip, divide, write": least}
        yield from timed([(name, lambda way=way: way(Path(scratch)), 1) for name, way in ways.items()], SHOTS)


def ours(folder):
    splits = {
        name: Split(*(read_idx(FOLDER / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")))
        for name, part in PARTS.items()
    }
    arranged = {name: arrange(split, 10, "pixels", True, True) for name, split in splits.items()}
    save_dataset(folder / "dataset.npz", arranged, {"framing": framing(splits["train"].images)._asdict()})


def least(folder):
    with (folder / "pixels").open("wb") as file:
        for part in PARTS.values():
            content = gzip.decompress((FOLDER / f"{part}-images-idx3-ubyte.gz").read_bytes())
            pixels = np.frombuffer(content, np.uint8, offset=16)
            file.write((pixels / np.float32(255)).data)
        file.flush()
        os.fsync(file.fileno())
