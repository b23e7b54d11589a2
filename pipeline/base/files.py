"""Files appear under their final name complete or not at all."""

import contextlib
import glob
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from pipeline.base.errors import PipelineError
from pipeline.base.text import strict_json

if sys.platform != "win32":  # whose open files nobody can remove
    import fcntl


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write to a unique temporary file beside `path`; on success flush it to disk and rename it to `path`.

    Whatever goes wrong, `path` keeps what it held and the temporary file is removed; one that a killed process
    left goes with the next write to `path`. A link at `path` is replaced, never written through: DVC may have
    hard-linked it to its cache. Raises PipelineError where `path` is a folder, OSError where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        raise PipelineError(f"{path} is a folder where a file belongs; move it away and run again.")
    sweep(path)
    handle, temporary = _create_beside(path)
    with contextlib.ExitStack() as lock:
        if sys.platform != "win32":
            lock.callback(os.close, os.dup(handle))  # the lock lasts until the file has its final name
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~current_umask())
            os.replace(temporary, path)
        except BaseException as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(path)  # a full disk does not say on which file
            raise
    sync_folder(path.parent)


def _create_beside(path: Path) -> tuple[int, str]:
    """A new temporary file, open and locked, by which a sweep tells it from an abandoned one."""
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        _lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return handle, temporary
        os.close(handle)  # a sweep took it before it was locked


def sweep(path: Path) -> None:
    """Remove the temporary files for `path` whose writers are gone: nobody holds their lock.

    Where locks hold nobody off, as on some network file systems, a second one succeeds as well: nothing can be
    known there and nothing is removed.
    """
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.????????.part"):
        if orphan.is_file():
            with contextlib.suppress(OSError), orphan.open("rb") as first, orphan.open("rb") as second:
                if _lock(first.fileno(), wait=False) and not _lock(second.fileno(), wait=False):
                    orphan.unlink()


def _lock(descriptor: int, wait: bool) -> bool:
    """Whether this open file could be locked."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` against a second process. Raises PipelineError while another holds it; the dead hold nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            yield
    except Timeout:
        raise PipelineError(f"another process is writing to {folder}; wait for it, or stop it.") from None


def current_umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the platform can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` with `content`."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Replace `path` with strict JSON."""
    write_bytes(path, strict_json(content))


def publish(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace files that belong together, by name: all are on the disk before the first takes its place.

    The last name vouches for the others: it is gone before the first of them changes, and comes back when all have.
    """
    *others, last = contents
    with contextlib.ExitStack() as renames:  # which happen in reverse order, or not at all
        for name in (last, *others):
            renames.enter_context(replacing(folder / name)).write(contents[name])
        renames.enter_context(_withdrawing(folder / last))


@contextlib.contextmanager
def _withdrawing(path: Path) -> Iterator[None]:
    yield
    path.unlink(missing_ok=True)
