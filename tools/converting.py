"""Conversion of MNIST beside what it cannot do without: gunzip, division, one write."""

import gzip
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from works import FOLDER

from pipeline.datasets.arrays import Split, save_dataset
from pipeline.datasets.idx import read_idx
from pipeline.datasets.raw import arrange
from pipeline.digit.framing import framing

TITLE = "convert MNIST: four files to one, pixels as float32"
PARTS = {"train": "train", "test": "t10k"}
SHOTS = 5


def conversion():
    """(way, median, spread) in processor microseconds."""
    shots = {"ours": [], "gunzip, divide, write": []}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(SHOTS):
            for name, way in zip(shots, (ours, least), strict=True):
                start = time.process_time()
                way(Path(scratch))
                shots[name].append((time.process_time() - start) * 1e6)
    for name, times in shots.items():
        low, middle, high = np.percentile(times, [25, 50, 75])
        yield name, float(middle), float(high - low) / 2


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
