"""Fetch one published file into a folder: one mirror after another is asked, until one sends exactly the right bytes.

A file is held in memory (the largest has 562 MB), and written when its size and checksum are right. So no other bytes
ever touch the disk. No download is resumed, and no process waits for another's: MNIST would save 11 MB at most.
"""

import contextlib
import hashlib
import random
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from pipeline.base.errors import PipelineError
from pipeline.base.files import remove_abandoned, write_bytes
from pipeline.base.provenance import digest, sha256
from pipeline.datasets.patience import in_time
from pipeline.datasets.registry import DataSet, File
from pipeline.datasets.transport import Failure, Head, open_url, shown


class Patience(NamedTuple):
    """Limits of a fetch, in seconds unless said otherwise; a test brings its own clock, sleep and dice."""

    connect: float = 10
    read: float = 30  # without a new byte
    start: float = 60  # of a try, plus the time that its bytes take at this speed:
    speed: float = 20_000  # bytes a second
    total: float = 3600  # for all tries together
    tries: int = 4  # at one mirror
    wait: float = 0.5  # before the second try, twice that before the third, and so on
    longest_wait: float = 30  # also where a server asks for more
    silence: float = 5  # until a line on stderr says what the fetch waits for
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    dice: Callable[[], float] = random.random  # 0 to 1: clients that failed together should not try again together


PATIENCE = Patience()
LARGEST = 1 << 26  # bytes of a file whose size nobody publishes


def fetch_all(dataset: DataSet, folder: Path, mirrors: list[str]) -> dict[str, str]:
    """Make sure that the four files of `dataset` are in `folder`; return, by name, where each came from.

    An archive that holds them is fetched if one of them is missing, and stays in `folder`. Raises what `fetch` does.
    """
    files, archive = dataset.files.values(), dataset.archive
    if not archive or all(is_kept(file, folder / file.name) for file in files):
        return {file.name: fetch(file, folder, mirrors) for file in files}
    source = fetch(archive, folder, mirrors)
    for file in files:
        extract(folder / archive.name, file, folder)
    return dict.fromkeys((file.name for file in files), source)


def found(path: Path) -> dict[str, Any]:
    """Name, size and SHA-256 of a file on this machine."""
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}


def fetch(file: File, folder: Path, mirrors: list[str], patience: Patience = PATIENCE) -> str:
    """Make sure that `file` is in `folder`; returns the URL it came from, or "kept" if it was there and is sound.

    A mirror is the URL of a folder: https, http or file. The same mirror is asked again after a fault that may
    pass: no connection, a body cut short, status 408, 425, 429 or 5xx. After any other fault, the next one is asked. A
    mirror that is down or slow moves to the end of `mirrors`, and is asked last for the next file. Raises PipelineError
    with every mirror's reason if all fail. If the file cannot be written, raises OSError and asks no other mirror.
    """
    target = folder / file.name
    if is_kept(file, target):
        remove_abandoned(target)
        return "kept"
    reasons = []
    end = patience.clock() + patience.total
    for mirror in list(mirrors):
        url, begin = f"{mirror.rstrip('/')}/{file.path or file.name}", patience.clock()
        try:
            content = _from_mirror(file, url, patience, end)
        except Failure as failure:
            reasons.append(f"{shown(url)}: {failure}")
            if failure.again or patience.clock() - begin > patience.read:
                mirrors.append(mirrors.pop(mirrors.index(mirror)))
        else:
            write_bytes(target, content)
            return shown(url)
    raise PipelineError(
        f"{target}: expected {file.expected}, which no mirror sent "
        f"({'; '.join(reasons) or 'none is named'}); check the network, or name a mirror or a folder that has the "
        "file: PIPELINE_MIRRORS=file:///its/path/."
    )


def is_kept(file: File, target: Path) -> bool:
    """Whether `target` holds exactly `file`."""
    try:
        # the size first: a pipe has no size, and to open a pipe might wait for ever
        if (file.bytes and target.stat().st_size != file.bytes) or not target.is_file():
            return False
        algorithm, checksum = file.checksum
        with target.open("rb") as content:
            return hashlib.file_digest(content, algorithm).hexdigest() == checksum
    except OSError:  # a file that cannot be read is replaced
        return False


def extract(archive: Path, file: File, folder: Path) -> None:
    """Make sure that `file` is in `folder`, from a zip file. Raises PipelineError where the zip file lacks it."""
    if is_kept(file, folder / file.name):
        return
    with zipfile.ZipFile(archive) as packed:
        content = packed.read(file.path) if file.path in packed.namelist() else b""
    if not is_it(file, content):
        raise PipelineError(f"{archive}: expected {file.path} in it, {file.expected}, found {len(content)} bytes.")
    write_bytes(folder / file.name, content)


def is_it(file: File, content: bytes | bytearray) -> bool:
    """Whether `content` is exactly `file`."""
    algorithm, checksum = file.checksum
    right = not file.bytes or len(content) == file.bytes
    return right and hashlib.new(algorithm, content, usedforsecurity=False).hexdigest() == checksum


def _from_mirror(file: File, url: str, patience: Patience, end: float) -> bytes | bytearray:
    tries = 0
    while True:
        with _told(f"waiting for {shown(url)} (try {tries + 1} of {patience.tries})", patience.silence):
            try:
                return _verified(file, *_try(file, url, patience, end))
            except Failure as failure:
                wait = patience.wait * 2**tries * (0.5 + patience.dice())
                wait = min(max(wait, failure.wait), patience.longest_wait)
                tries += 1
                if not failure.again or tries == patience.tries or patience.clock() + wait > end:
                    raise
            patience.sleep(wait)


@contextlib.contextmanager
def _told(line: str, seconds: float) -> Iterator[None]:
    """Print `line` on stderr if the block inside takes longer than `seconds`."""
    timer = threading.Timer(seconds, tqdm.write, (line, sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _try(file: File, url: str, patience: Patience, end: float) -> tuple[Head, bytearray]:
    """One reply, cut short where it is longer than `file` can be."""
    head, content, start = Head(), bytearray(), patience.clock()

    def left() -> float:
        return min(start + patience.start + len(content) / patience.speed, end) - patience.clock()

    if left() <= 0:
        raise Failure(f"not asked, {patience.total:g} s are over")
    with (
        contextlib.closing(in_time(open_url(url, patience.connect, patience.read), left)) as pieces,
        tqdm(
            desc=file.name, total=file.bytes or None, unit="B", unit_scale=True, leave=False, disable=None
        ) as progress,
    ):
        try:
            for piece in pieces:
                if isinstance(piece, Head):
                    head = piece
                elif len(content) <= _longest(file, head):
                    content += piece
                    progress.update(len(piece))
                else:
                    break
        except TimeoutError:
            raise Failure(f"out of time, {len(content)} bytes in {patience.clock() - start:.1f} s") from None
    return head, content


def _longest(file: File, head: Head) -> int:
    """Bytes that a reply may have: compressing a compressed file makes it a little longer."""
    size = file.bytes or LARGEST
    return size + (size // 100 + 1024 if head.encoding else 0)


def _verified(file: File, head: Head, content: bytearray) -> bytes | bytearray:
    """The bytes of `file`, as they came, or inflated if the server says that it compressed them on the way."""
    for candidate in (content, _gunzipped(content, file.bytes or LARGEST) if "gzip" in head.encoding else b""):
        if is_it(file, candidate):
            return candidate
    hint = f", got {head.kind}" if head.kind.startswith("text/") else ""
    if len(content) > _longest(file, head):
        raise Failure(f"sent more than {file.bytes or LARGEST} bytes{hint}")
    cut_short = len(content) < file.bytes and not hint
    raise Failure(f"sent {len(content)} bytes with SHA-256 {digest(content)}{hint}", again=cut_short)


def _gunzipped(content: bytearray, limit: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(content, limit + 1)
    except zlib.error:
        return b""
