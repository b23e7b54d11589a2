"""Where a model comes from: hashes that are the same everywhere, and a record of what is not."""

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError

PACKAGE = Path(__file__).parents[1]


def digest(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """While a file is read more than once. Raises PipelineError where another has taken its place meanwhile."""
    before = _identity(path)
    yield
    if _identity(path) != before:
        raise PipelineError(f"{path} changed while it was read; run it again.")


def _identity(path: Path) -> tuple[int, ...] | None:
    with contextlib.suppress(FileNotFoundError):
        found = path.stat()
        return found.st_size, found.st_mtime_ns  # some network file systems invent an inode number at every call
    return None


def code_hash(parts: Iterable[str]) -> str:
    """SHA-256 of the source text of those files or folders of the package, by name, line ends as in git."""
    total = hashlib.sha256()
    for part in parts:
        path = PACKAGE / part
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            text = source.read_bytes().replace(b"\r\n", b"\n")
            total.update(f"{source.relative_to(PACKAGE).as_posix()} {len(text)}\n".encode() + text)
    return total.hexdigest()


def machine() -> dict[str, Any]:
    """What differs from machine to machine; it belongs in a run record, never in an output."""
    import numpy as np
    from threadpoolctl import threadpool_info

    blas = [
        {key: pool.get(key) for key in ("internal_api", "version", "architecture", "num_threads")}
        for pool in threadpool_info()
        if pool.get("user_api") == "blas"
    ]
    return {
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "blas": blas,
    }
