"""Images and labels as a net takes them, and dataset.npz, the file that holds and describes them.

Shapes: N images of C channels, Y rows, X columns; K classes. Pixels are 0-255 (uint8) or 0-1 (float32).
"""

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array, Rows
from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz, write_npz
from pipeline.base.schema import Converted, read_json

ABOUT = "about"  # the member of dataset.npz that describes the others, as JSON
REMAKE = "make it again: python -m pipeline.convert"
BRIGHTEST = 255
KINDS = ("uint8", "float32", "float64")  # types of images
LARGEST = 1 << 20  # size of a pixel: far above all features, far below an overflow in sums of products
BLOCK = 4096  # images normalized at a time, so that no second copy of a whole split is ever held


class Split(NamedTuple):
    """images (N, D) or (N, 1, Y, X); labels (N,) class indices or (N, K) one-hot."""

    images: Array
    labels: Array


class Unread(NamedTuple):
    """A split whose images (N, Y, X) are read when they are asked for; labels (N,) class indices."""

    images: Rows
    labels: Array


def normalize(images: Array) -> Array:
    """Pixels 0-255 as float32 from 0 to 1."""
    normalized = np.empty(images.shape, np.float32)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        np.divide(images[block], np.float32(BRIGHTEST), out=normalized[block])
    return normalized


def one_hot(labels: Array, classes: int) -> Array:
    """Class indices (N,) as float32 rows (N, K) of zeros with a single one."""
    rows = np.zeros((len(labels), classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def class_indices(labels: Array) -> Array:
    """The inverse of one_hot; class indices keep their value. Each has 8 bytes: no product with it overflows."""
    if labels.ndim == 1:
        return labels.astype(np.intp)
    indices = np.empty(len(labels), np.intp)
    for start in range(0, len(labels), BLOCK):
        indices[start : start + BLOCK] = labels[start : start + BLOCK].argmax(axis=1)
    return indices


def as_pictures(images: Array, shape: Sequence[int]) -> Array:
    """Images (N, ...) as pictures (N, Y, X), for people to look at."""
    return images.reshape(len(images), *shape)


def save_dataset(path: Path, splits: Mapping[str, tuple[Array | Rows, Array | Rows]], about: dict[str, Any]) -> None:
    """Replace `path` with the arrays `<split>_images` and `<split>_labels` and the description `about`.

    Raises PipelineError where the disk has no room for them, before anything is written.
    """
    description = json.dumps(about, sort_keys=True, allow_nan=False)
    arrays: dict[str, Array | Rows] = {ABOUT: np.array(description)}
    for name, split in splits.items():
        arrays |= {f"{name}_{part}": array for part, array in zip(Split._fields, split, strict=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    needed, disk = sum(array.nbytes for array in arrays.values()), shutil.disk_usage(path.parent)
    if disk.total and needed > disk.free:  # some file systems do not say
        raise PipelineError(
            f"{path}: expected {needed:,} bytes free on its disk, found {disk.free:,}; make room, or choose "
            "convert.normalize=false, which takes a quarter."
        )
    write_npz(path, arrays)


def describe_dataset(path: Path) -> dict[str, Any]:
    """The description in dataset.npz: data set, class names, splits, scale, layout, image shape."""
    return read_json(str(read_npz(path, [ABOUT], REMAKE)[ABOUT]), path, Converted, REMAKE)


def load_splits(path: Path, data: dict[str, Any], names: Iterable[str]) -> list[Split]:
    """The splits `names` of dataset.npz, which `data` describes; labels are class indices; nothing else is read.

    Images stay in the file, which is mapped: it may be larger than memory, and must not be written to meanwhile.
    Raises PipelineError where the file is missing or damaged, has no such split, or does not fit `data`.
    """
    names = list(names)
    arrays = read_npz(path, [f"{name}_{part}" for name in names for part in Split._fields], REMAKE, mapped=True)
    splits = [Split(arrays[f"{name}_images"], arrays[f"{name}_labels"]) for name in names]
    for name, split in zip(names, splits, strict=True):
        require_images(path, name, split.images, data["feature_shape"])
        require_labels(path, name, split, len(data["class_names"]))
        found, expected = (
            f"{array.dtype} of shape N x {array.shape[1:]}" for array in (split.images, splits[0].images)
        )
        if found != expected:
            found = f"{found} against {expected} in {names[0]}_images"
            raise PipelineError(f"{path}: {name}_images: expected images of one form, found {found}; {REMAKE}.")
    return [Split(split.images, class_indices(split.labels)) for split in splits]


def require_images(path: Path, name: str, images: Array, shape: Sequence[int]) -> None:
    """Raise PipelineError unless there are images, flat or of one channel, of `shape` (Y, X), with sound pixels.

    Sound pixels are uint8, float32 or float64 from -LARGEST to LARGEST.
    """
    where, wrong = f"{path}: {name}_images", images.shape[1:] not in ((math.prod(shape),), (1, *shape))
    if wrong or images.dtype.name not in KINDS or not len(images):
        expected = f"{', '.join(KINDS)} of shape N x {math.prod(shape)} or N x 1 x {' x '.join(map(str, shape))}"
        raise PipelineError(f"{where}: expected {expected}, found {images.dtype} of shape {images.shape}; {REMAKE}.")
    low, high = images.min(), images.max()
    if not -LARGEST <= low <= high <= LARGEST:  # also refuses NaN
        expected = f"pixels from {-LARGEST} to {LARGEST}"
        raise PipelineError(f"{where}: expected {expected}, found {low:g} to {high:g}; scale them, or {REMAKE}.")


def require_labels(path: Path, name: str, split: Split, classes: int) -> None:
    """Raise PipelineError unless each image has one label: an index below `classes`, or a one-hot row."""
    labels, where = split.labels, f"{path}: {name}_labels"
    if not labels.ndim or len(labels) != len(split.images):
        expected = f"{len(split.images)} labels, one per image"
        raise PipelineError(f"{where}: expected {expected}, found shape {labels.shape}; {REMAKE}.")
    if labels.ndim == 1:
        sound = labels.dtype.kind in "iu" and 0 <= labels.min() <= labels.max() < classes
    else:
        sound = labels.dtype.kind in "fiu" and labels.shape[1:] == (classes,)
        indices = class_indices(labels) if sound else labels
        blocks = (slice(start, start + BLOCK) for start in range(0, len(labels), BLOCK))
        sound = sound and all(np.array_equal(labels[part], one_hot(indices[part], classes)) for part in blocks)
    if not sound:
        expected = f"whole numbers from 0 to {classes - 1}, or one-hot rows of {classes}"
        found = f"{labels.dtype} of shape {labels.shape}"
        if labels.size and labels.dtype.kind in "fiu":
            found += f", {labels.min():g} to {labels.max():g}"
        raise PipelineError(f"{where}: expected {expected}, found {found}; {REMAKE}.")


def hold_out(splits: dict[str, Unread], count: int) -> dict[str, Unread]:
    """Split the last `count` training images off as `validation`, the convention for MNIST; none if 0."""
    if not count:
        return splits
    train = splits["train"]
    kept = len(train.images) - count
    if kept < 1:
        raise PipelineError(
            f"convert.validation is {count}, but there are only {len(train.images)} training images; choose fewer."
        )
    rest = Unread(train.images.cut(kept, len(train.images)), train.labels[kept:])
    return {"train": Unread(train.images.cut(0, kept), train.labels[:kept]), "validation": rest, "test": splits["test"]}


def sorted_by_class(labels: Array) -> bool:
    """Whether class indices (N,) are sorted: the share of equal neighbours is nearer to 1 than to chance."""
    alike = np.count_nonzero(labels[1:] == labels[:-1]) / max(len(labels) - 1, 1)
    chance = float(((np.unique(labels, return_counts=True)[1] / len(labels)) ** 2).sum())
    return bool(alike > (1 + chance) / 2)


def require_mixed(path: Path, labels: Array, sampling: str) -> None:
    """Raise PipelineError where images sampled in blocks are sorted by class: each batch would have few classes."""
    if sampling == "blocks" and sorted_by_class(labels):
        raise PipelineError(
            f"train.sampling is blocks, but the training images in {path} are sorted by class; a batch would see few "
            "classes and the net would learn little; choose shuffle or replacement, or mix the images of the data set."
        )
