"""Paths that a person names: an input must be a file, and an output must not be an input."""

import os
from pathlib import Path
from typing import BinaryIO

from pipeline.base.errors import PipelineError


def opened(path: Path, advice: str) -> BinaryIO:
    """A file, open to be read. Raises PipelineError, with `advice`, where there is no file.

    A pipe may never begin, and a device may never end: both are refused without being opened.
    """
    if path.exists() and not path.is_file():
        raise PipelineError(f"{path} is not a regular file; {advice}.")
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise PipelineError(f"{path} does not exist; {advice}.") from None


def bundled(name: str) -> Path:
    """A file of the repository that a wheel has too: inside the package in a wheel, beside it in the repository."""
    package = Path(__file__).absolute().parents[1]
    within = package / "bundled" / name
    return within if within.exists() else package.parent / name


def same(path: Path, other: Path) -> bool:
    """Whether both exist and are one file, by any name or link; inode numbers may change at every call."""
    both = os.path.exists(path) and os.path.exists(other)
    return both and (path.resolve() == other.resolve() or path.samefile(other))


def require_other(output: Path, *inputs: Path) -> None:
    """Raise PipelineError where `output` is one of `inputs`, by whatever name or link."""
    for path in inputs:
        if same(output, path):
            raise PipelineError(f"{output} is {path}, which is an input; name another file to write.")
