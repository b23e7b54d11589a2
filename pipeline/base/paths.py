"""Paths that a person names: an input must be a file, and an output must not be an input."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from pipeline.base.errors import PipelineError

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP)


def kind(path: Path) -> int:
    """What `path` leads to, as stat.S_IFMT says it; 0 if nothing is there.

    It asks once: between two questions, another process may remove the file or put another one in its place.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        if error.errno in ABSENT:
            return 0
        raise


def opened(path: Path, advice: str) -> BinaryIO:
    """A file, open to be read. Raises PipelineError, with `advice`, where there is no file.

    A pipe may never begin, and a device may never end: both are refused without being opened.
    """
    if kind(path) not in (0, stat.S_IFREG):
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
