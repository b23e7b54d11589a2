"""The four published files as arrays, checked against each other and against the description that download wrote."""

import collections
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.arrays import Array, Rows
from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened
from pipeline.base.provenance import sha256
from pipeline.base.schema import Downloaded, read_json
from pipeline.datasets.arrays import BLOCK, Split, Unread, normalize, one_hot
from pipeline.datasets.features import features
from pipeline.datasets.idx import read_rows

RAW = Path("data/raw")
DESCRIPTION = "dataset.json"
REMAKE = "fetch it again: python -m pipeline.download"


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False, folder: Path = RAW
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The tutorials' call: (train images, train labels), (test images, test labels).

    normalize: pixels as float32 from 0 to 1, else uint8 from 0 to 255. flatten: images (N, D), else
    (N, 1, Y, X). one_hot_label: labels (N, K), else (N,) class indices. Reads what `python -m pipeline.download`
    put into `folder`; raises PipelineError where a file is missing or unsound.
    """
    about, splits = load_raw(folder)
    classes = len(about["class_names"]) if one_hot_label else None
    train, test = (arrange(splits[name], classes, "pixels", normalize, flatten) for name in ("train", "test"))
    return train, test


def arrange(split: Split, classes: int | None, shown: str, normalized: bool, flat: bool) -> Split:
    """Pixels (N, Y, X) and class indices (N,) in the form asked for; labels are one-hot if `classes` is a number."""
    labels = split.labels if classes is None else one_hot(split.labels, classes)
    return Split(formed(split.images, shown, normalized, flat), labels)


def formed(images: Array, shown: str, normalized: bool, flat: bool) -> Array:
    """Pixels (N, Y, X) in the form asked for."""
    if shown != "pixels":
        images = features(shown, images)
    elif normalized:
        images = normalize(images)
    return images.reshape(len(images), -1) if flat else images[:, None]


def arranged(split: Unread, classes: int | None, *form: Any) -> tuple[Rows, Rows]:
    """The same as `arrange`, but the arrays are made when they are asked for."""
    labels = Rows.of(split.labels, BLOCK)
    if classes is not None:
        labels = labels.each(lambda block: one_hot(block, classes))
    return split.images.each(lambda block: formed(block, *form)), labels


def load_raw(folder: Path) -> tuple[dict[str, Any], dict[str, Split]]:
    """The description of a data set, and its splits train and test: uint8 images (N, Y, X) and class indices (N,).

    Raises PipelineError where a file is missing or damaged, or does not fit the others.
    """
    about, splits = open_raw(folder)
    return about, {name: Split(split.images.whole(), split.labels) for name, split in splits.items()}


def open_raw(folder: Path) -> tuple[dict[str, Any], dict[str, Unread]]:
    """The same, but images are read when they are asked for. All files have been checked, and none may change."""
    about = describe(folder)
    splits = {}
    for name in ("train", "test"):
        images, labels = (folder / about["files"][f"{name}_{part}"]["name"] for part in ("images", "labels"))
        found = read_rows(images), read_rows(labels).each(first_column)
        require_form(*found, images, labels, tuple(about["image_shape"]))
        splits[name] = Unread(found[0].each(lambda block: upright(block, about)), found[1].whole())
        require_contents(splits[name], images, labels, len(about["class_names"]))
    for file in about["files"].values():
        path, expected = folder / file["name"], file["sha256"]
        if (found_hash := sha256(path)) != expected:
            for split in splits.values():  # a file that is damaged gives a better error here
                collections.deque(split.images, maxlen=0)
            raise PipelineError(
                f"{path}: expected SHA-256 {expected}, as {DESCRIPTION} says, found {found_hash}; {REMAKE}."
            )
    return about, splits


def upright(images: Array, about: Mapping[str, Any]) -> Array:
    """Images (N, Y, X) as a person sees them: EMNIST exchanges rows and columns."""
    return images.swapaxes(1, 2).copy() if about.get("transposed") and images.ndim == 3 else images


def first_column(labels: Array) -> Array:
    """Class indices (N,): QMNIST's labels (N, 8) say more than the class, which comes first."""
    return labels[:, 0].copy() if labels.ndim == 2 and labels.size else labels


def describe(folder: Path) -> dict[str, Any]:
    """What download wrote about the files in `folder`."""
    path = folder / DESCRIPTION
    with opened(path, REMAKE) as file:
        return read_json(file.read(), path, Downloaded, REMAKE)


def require_form(found: Rows, named: Rows, images: Path, labels: Path, shape: tuple[int, ...]) -> None:
    """Raise PipelineError unless images and labels, by their headers, are of one data set."""
    if found.dtype != np.uint8 or found.shape[1:] != shape or not len(found):
        expected = f"uint8 images of {' x '.join(map(str, shape))}"
        raise PipelineError(f"{images}: expected {expected}, found {found.dtype} of shape {found.shape}; {REMAKE}.")
    if named.shape != (len(found),) or named.dtype.kind not in "iu":
        raise PipelineError(
            f"{labels}: expected {len(found)} labels, one per image of {images.name}, found {named.dtype} "
            f"of shape {named.shape}; {REMAKE}."
        )


def require_contents(split: Unread, images: Path, labels: Path, classes: int) -> None:
    """Raise PipelineError where a label is of no class, all pixels are equal, or a class has no image."""
    if not 0 <= split.labels.min() <= split.labels.max() < classes:
        wrong = int(np.flatnonzero((split.labels < 0) | (split.labels >= classes))[0])
        raise PipelineError(f"{labels}: label {wrong} is {split.labels[wrong]}, expected 0 to {classes - 1}; {REMAKE}.")
    pixel = next(iter(split.images)).flat[0]
    if all((block == pixel).all() for block in split.images):  # usually the first block decides
        raise PipelineError(f"{images}: every pixel is {pixel}, so there is nothing to learn; {REMAKE}.")
    absent = sorted(set(range(classes)) - set(np.unique(split.labels).tolist()))
    if absent:
        raise PipelineError(f"{labels}: no image of class {absent[0]}; every class must occur; {REMAKE}.")
