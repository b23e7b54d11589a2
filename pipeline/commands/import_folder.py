"""Not a stage: turn class folders of pictures into a data set for the pipeline, without a change to the code."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.base.errors import PipelineError, one_line, printable, reports_errors

if TYPE_CHECKING:
    from pipeline.base.arrays import Array

Pictures = dict[str, list[Path]]  # the files of each class, by its name
SPLIT, ORDER = 0, 1  # streams of the seed
TO = Path("datasets")


@reports_errors
def main(
    pictures: Annotated[Path, typer.Argument(metavar="PICTURES", help="A folder with one folder per class.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The files become datasets/NAME.json and datasets/NAME/.")],
    size: Annotated[
        str | None, typer.Option(metavar="YxX", help="Scale every picture to so many rows and columns, up to 256x256.")
    ] = None,
    test: Annotated[float, typer.Option(metavar="SHARE", help="Share of each class that becomes the test set.")] = 0.2,
    seed: Annotated[int, typer.Option(metavar="SEED", min=0, help="Decides which pictures are in the test set.")] = 1,
    framed: Annotated[bool, typer.Option("--framed", help="Digits, scaled and centred as in MNIST.")] = False,
) -> None:
    """Turn class folders of pictures into IDX files and a description of the data set.

    PICTURES holds one folder per class, or the folders train and test with one folder per class in each. The name of a
    folder is the name of its class. Colour becomes grey. Without --size, all pictures must have one size.
    A picture that cannot be read is named on stderr; then nothing is written, and the exit code is 1.

    Example: pipeline import-folder PICTURES/ --name shapes --size 28x28
    """
    require_free(name)
    shape = parsed(size) if size else None
    splits = listed(pictures, test, seed)
    images = read(splits, shape)
    write(name, splits, images, seed, framed)
    train, held = len(images["train"]), len(images["test"])
    form, path = " x ".join(map(str, images["train"][0].shape)), TO / f"{name}.json"
    typer.echo(f"{path}: {len(splits['train'])} classes, {train} training and {held} test images of {form} pixels")
    typer.echo(f"Next: in params.yaml, set download.dataset to {path}; then run: dvc repro")


def require_free(name: str) -> None:
    """Raise PipelineError where `name` is not a name for a file, or exists already."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise PipelineError(f"--name {name}: expected letters, digits, dots, dashes or underscores, such as my-shapes.")
    for path in (TO / f"{name}.json", TO / name):
        if path.exists():
            raise PipelineError(f"{path} exists; choose another --name, or delete it.")


def parsed(size: str) -> tuple[int, int]:
    """(28, 30) of '28x30'."""
    from pipeline.base.schema import MOST_PIXELS

    found = re.fullmatch("([1-9][0-9]{0,2})x([1-9][0-9]{0,2})", size)
    if not found or max(shape := (int(found[1]), int(found[2]))) > MOST_PIXELS:
        raise PipelineError(f"--size {size}: expected rows x columns up to {MOST_PIXELS}x{MOST_PIXELS}, such as 28x28.")
    return shape


def listed(folder: Path, test: float, seed: int) -> dict[str, Pictures]:
    """The pictures of the splits train and test, every class in both."""
    inside = {path.name: path for path in entries(folder)}
    if {"train", "test"} <= set(inside):
        if others := sorted(set(inside) - {"train", "test"}):
            raise PipelineError(
                f"{inside[others[0]]} lies beside train and test; move its pictures into them, or move it away "
                "(convert.validation holds out training images)."
            )
        splits = {split: of_classes(inside[split]) for split in ("train", "test")}
        if differing := set(splits["train"]) ^ set(splits["test"]):
            raise PipelineError(
                f"{folder}: class {min(differing)} is in only one of train and test; put pictures in both."
            )
        return splits
    return divided(of_classes(folder), test, seed)


def of_classes(folder: Path) -> Pictures:
    """The files in each folder in `folder`; folders with numbers as names come in the order of the numbers."""
    from pipeline.base.schema import MOST_CLASSES

    classes = sorted(entries(folder), key=lambda path: (len(path.name) if path.name.isdecimal() else 0, path.name))
    if not classes or not all(path.is_dir() for path in classes):
        wrong = next((path for path in classes if not path.is_dir()), folder)
        raise PipelineError(f"{wrong}: expected one folder per class, found {'a file' if classes else 'no folder'}.")
    if len(classes) > MOST_CLASSES:
        raise PipelineError(f"{folder}: expected at most {MOST_CLASSES} classes, found {len(classes)} folders.")
    found = {path.name: entries(path) for path in classes}
    for name, paths in found.items():
        if not paths or any(path.is_dir() for path in paths) or not name.isprintable():
            problem = "a name that can be printed" if not name.isprintable() else "pictures in it, and no folder"
            raise PipelineError(f"{printable(str(folder / name))}: expected {problem}; mend that, or remove it.")
    return found


def entries(folder: Path) -> list[Path]:
    """What is in `folder`, by name, without hidden files. Raises PipelineError where it is no folder."""
    if not folder.is_dir():
        raise PipelineError(f"{folder} is no folder; name one that holds one folder of pictures a class.")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def divided(classes: Pictures, test: float, seed: int) -> dict[str, Pictures]:
    """Each class divided at random into train and test, with at least one picture in each."""
    from pipeline.nn.random import Stream

    if not 0 < test < 1:
        raise PipelineError(f"--test {test}: expected a share above 0 and below 1, such as 0.2.")
    splits: dict[str, Pictures] = {"train": {}, "test": {}}
    for k, (name, paths) in enumerate(classes.items()):
        if len(paths) < 2:
            raise PipelineError(f"{paths[0].parent} holds one picture; a class needs two, to train and to test.")
        count = min(max(round(test * len(paths)), 1), len(paths) - 1)
        order = Stream(seed, SPLIT, k).permutation(len(paths)).tolist()
        splits["test"][name] = [paths[i] for i in sorted(order[:count])]
        splits["train"][name] = [paths[i] for i in sorted(order[count:])]
    return splits


def read(splits: Mapping[str, Pictures], size: tuple[int, int] | None) -> "dict[str, list[Array]]":
    """The images (Y, X) of each split. Raises PipelineError where a picture cannot be read: stderr names each."""
    from tqdm import tqdm

    images: dict[str, list[Array]] = {split: [] for split in splits}
    files = [(split, path) for split, classes in splits.items() for paths in classes.values() for path in paths]
    wrong, first = 0, None
    for split, path in tqdm(files, desc="pictures", leave=False, disable=None):
        try:
            images[split].append(look(path, size, first))
            first = first or (path, images[split][0].shape)
        except PipelineError as error:
            tqdm.write(f"error: {one_line(error)}", sys.stderr)
            wrong += 1
    if wrong:
        raise PipelineError(f"{wrong} of {len(files)} files are refused above; mend or remove them, then run it again.")
    return images


def look(path: Path, size: tuple[int, int] | None, first: tuple[Path, tuple[int, ...]] | None) -> "Array":
    """The picture in a file in grey: scaled to `size`; without `size` it must be as large as the `first`."""
    from pipeline.base.schema import MOST_PIXELS
    from pipeline.commands.predict import content
    from pipeline.digit.picture import fitted, grey

    name = printable(str(path))
    try:
        picture = grey(content(path), name)
    except OSError as error:
        raise PipelineError(f"{name} cannot be read: {error.strerror}.") from None
    rows, columns = picture.shape
    if not size and max(rows, columns) > MOST_PIXELS:
        raise PipelineError(f"{name} has {rows} x {columns} pixels, more than {MOST_PIXELS}; scale all: --size 28x28.")
    if not size and first and picture.shape != first[1]:
        other, expected = printable(str(first[0])), " x ".join(map(str, first[1]))
        raise PipelineError(f"{name} has {rows} x {columns} pixels, {other} has {expected}; scale all: --size 28x28.")
    return fitted(picture, size or (rows, columns))


def write(
    name: str, splits: Mapping[str, Pictures], images: "Mapping[str, list[Array]]", seed: int, framed: bool
) -> None:
    """Write IDX files in a random order, so that any last part has every class; then write the description."""
    import numpy as np

    from pipeline.base.files import write_json
    from pipeline.datasets.fetch import found
    from pipeline.datasets.idx import write_idx
    from pipeline.datasets.registry import NAMES
    from pipeline.nn.random import Stream

    files = {}
    for i, (split, classes) in enumerate(splits.items()):
        labels = np.repeat(np.arange(len(classes)), [*map(len, classes.values())])
        order = Stream(seed, ORDER, i).permutation(len(labels))
        arrays = {
            "images": np.stack(images[split])[order],
            "labels": labels[order].astype("u1" if len(classes) <= 256 else "i4"),
        }
        for part, array in arrays.items():
            path = TO / name / NAMES[role := f"{split}_{part}"]
            write_idx(path, array)
            files[role] = found(path)
    about = {"title": name, "homepage": "none stated", "licence": "none stated", "framed": framed, "mirrors": [name]}
    form = {"image_shape": images["train"][0].shape, "class_names": [*splits["train"]]}
    write_json(TO / f"{name}.json", about | form | {"files": files})
