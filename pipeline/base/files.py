"""Files appear under their final name complete or not at all."""

import contextlib
import errno
import glob
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from filelock import lock_descriptor

from pipeline.base.errors import PipelineError, tell
from pipeline.base.paths import kind
from pipeline.base.text import strict_json

# the errors of file systems that do not support flush, lock or mode: CIFS, NFS, vboxsf, Lustre and FUSE differ
UNSUPPORTED = {
    *(errno.EACCES, errno.EBADF, errno.EINVAL, errno.ENOLCK),
    *(errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM),
}
_missed: set[str] = set()


@contextlib.contextmanager
def _optional(what: str, path: Path) -> Iterator[None]:
    """Continue without an operation that the file system of `path` does not support, and warn once."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            error.filename = error.filename or str(path)
            raise
        if what not in _missed:
            tell(f"warning: {path}: cannot {what} ({error.strerror}); going on without.")
        _missed.add(what)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write to a unique temporary file beside `path`; on success flush it to disk and rename it to `path`.

    Whatever goes wrong, `path` keeps its content and the temporary file is removed. The next write to `path` removes
    a temporary file that a killed process left. A link at `path` is replaced, never written through: DVC may have
    hard-linked it to its cache. Raises PipelineError where `path` is a folder, or is or leads to a device, a pipe or
    a socket; OSError where the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _require_replaceable(path)
    remove_abandoned(path)
    handle, temporary = _create_beside(path)
    with contextlib.ExitStack() as lock:
        if sys.platform != "win32":
            lock.callback(os.close, os.dup(handle))  # the lock lasts until the file has its final name
        try:
            with os.fdopen(handle, "w+b") as file:
                yield file
                file.flush()
                with _optional("flush a file to disk", path):
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException as error:
            temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno and error.filename is None:
                error.filename = str(path)  # a full disk does not say on which file
            raise
    sync_folder(path.parent)


def _require_replaceable(path: Path) -> None:
    found, link = kind(path), _link(path)
    if found == stat.S_IFDIR and not link:
        raise PipelineError(f"{path} is a folder where a file belongs; move it away and run again.")
    # a link into /proc, such as /dev/stdout, belongs to the system, even if it leads to a file
    system = link and link.is_relative_to("/proc")
    if system or found not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise PipelineError(f"{path} is not a regular file, and is not replaced by one; choose another name.")


def _link(path: Path) -> Path | None:
    """Where a link leads; None if there is no link."""
    try:
        return path.readlink()
    except OSError:
        return None


def _create_beside(path: Path) -> tuple[int, Path]:
    """A new temporary file, open and locked: the lock tells remove_abandoned that its writer lives."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        # not tempfile: its files are private, and the chmod that the umask asks for may be refused by CIFS
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        _lock(handle, wait=True)
        if temporary.exists():  # st_nlink is 0 for any file on some file systems
            return handle, temporary
        os.close(handle)  # remove_abandoned took it before it was locked


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files for `path` whose writers are gone: nobody holds their lock.

    On some network file systems a second lock of a locked file succeeds. There a lock says nothing: nothing is removed.
    """
    for orphan in path.parent.glob(f".{glob.escape(path.name)}.????????.part"):
        if orphan.is_file():
            with contextlib.suppress(OSError), orphan.open("rb") as first, orphan.open("rb") as second:
                if _lock(first.fileno(), wait=False) and not _lock(second.fileno(), wait=False):
                    orphan.unlink()


def _lock(descriptor: int, wait: bool) -> bool:
    """Whether this open file could be locked; never on Windows, where nobody can remove an open file."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:  # not lock_descriptor, which waits for ever where SELinux forbids locks
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold `folder` against other processes. Raises PipelineError while another living process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _open_lock(folder / ".lock")
    try:
        with _optional("lock a file", folder / ".lock"):
            if not lock_descriptor(descriptor, blocking=False):
                raise PipelineError(f"another process is writing to {folder}; wait for it, or stop it.")
        yield
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """Open a lock file; another user's file may be read-only, but can be locked."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        if not os.access(path, os.R_OK):
            raise
        return os.open(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut, where the platform can open folders."""
    if os.name == "posix":
        with _optional("flush a folder to disk", folder), contextlib.ExitStack() as opened:
            descriptor = os.open(folder, os.O_RDONLY)
            opened.callback(os.close, descriptor)
            os.fsync(descriptor)


def write_bytes(path: Path, content: bytes | bytearray) -> None:
    """Replace `path` with `content`."""
    with replacing(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Replace `path` with strict JSON."""
    write_bytes(path, strict_json(content))


def publish(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Replace files that belong together, by name: all are on the disk before the first takes its place.

    The last file shows that the others are complete: it is removed before they change, and replaced after them.
    """
    *others, last = contents
    with contextlib.ExitStack() as renames:  # the renames happen in reverse order, or not at all
        for name in (last, *others):
            renames.enter_context(replacing(folder / name)).write(contents[name])
        renames.enter_context(_withdrawing(folder / last))


@contextlib.contextmanager
def _withdrawing(path: Path) -> Iterator[None]:
    yield
    path.unlink(missing_ok=True)
