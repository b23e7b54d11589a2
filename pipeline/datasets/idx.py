"""The IDX container of MNIST, and the gzip around it, read strictly.

Two zero bytes, a type code, the number of dimensions, each size in four bytes, the elements in C order; all big-endian.
Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", the last section.
"""

import contextlib
import gzip
import itertools
import math
import os
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from pipeline.base.arrays import Array, Rows
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing
from pipeline.base.paths import opened

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
MOST_DIMENSIONS = 64  # the most that NumPy can hold; IDX can say 255
GZIP = b"\x1f\x8b"  # starts every gzip file
DEFLATE = 1032  # bytes that one byte of gzip can become at most: 258 from two bits
BLOCK = 1 << 18  # bytes read or inflated at a time
REMAKE = "delete it and fetch it again: python -m pipeline.download"


class Header(NamedTuple):
    """What an IDX header says."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    start: int  # byte of the first element

    @property
    def size(self) -> int:
        """Bytes of header and elements, as a Python integer, so that no product of sizes overflows."""
        return self.start + self.dtype.itemsize * math.prod(self.shape)


def decode_idx(data: bytes | bytearray | memoryview, where: str) -> Array:
    """The array in the IDX bytes `data`, in this machine's byte order; an array of bytes is a view of `data`.

    Raises PipelineError, naming the file `where`, unless `data` is exactly one array.
    """
    header = read_header(data, where)
    require_size(header, len(data), where)
    try:
        array = np.ndarray(header.shape, header.dtype, data, header.start)
    except ValueError as error:  # no elements, but sizes beyond what NumPy can multiply
        raise unsound(where, "a shape that NumPy can hold", f"{header.shape} ({error})") from None
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def require_size(header: Header, found: int, where: str | Path) -> None:
    """Raise PipelineError unless `found` is the number of bytes that the header promises."""
    if found != header.size:
        expected = f"{header.size} bytes for {header.dtype.name} of shape {header.shape}"
        raise unsound(where, expected, f"{'only ' if found < header.size else ''}{found}")


def read_header(data: bytes | bytearray | memoryview, where: str) -> Header:
    """The header at the start of `data`."""
    if len(data) < 4:
        raise unsound(where, "an IDX header of at least 4 bytes", f"{len(data)} bytes")
    zeros, code, dimensions = bytes(data[:2]), data[2], data[3]
    start = 4 + 4 * dimensions
    if any(zeros):
        raise unsound(where, "two zero bytes at byte 0", f"{zeros.hex(' ')}{_likeness(bytes(data[:64]))}")
    if code not in TYPES:
        raise unsound(where, f"a type code at byte 2 ({', '.join(f'{known:#04x}' for known in TYPES)})", f"{code:#04x}")
    if dimensions > MOST_DIMENSIONS:
        raise unsound(where, f"at most {MOST_DIMENSIONS} dimensions at byte 3", str(dimensions))
    if len(data) < start:
        raise unsound(where, f"{dimensions} sizes in a header of {start} bytes", f"only {len(data)} bytes")
    shape = tuple(int.from_bytes(data[byte : byte + 4], "big") for byte in range(4, start, 4))
    return Header(np.dtype(TYPES[code]).newbyteorder(">"), shape, start)


def _likeness(first: bytes) -> str:
    """What a file that starts with these bytes may be instead; the error message ends with it."""
    if first[:2] == GZIP:
        return ", which is gzip: its name should end in .gz"
    if first[:2] == b"\0\0":
        return ", which is IDX: its name should not end in .gz"
    if first[3:4] == b"\0" and first[1] in TYPES:
        return ", which is little-endian: IDX is big-endian"
    return ", which is HTML" if first.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" else ""


def encode_idx(array: Array) -> bytes:
    """`array` as IDX. Raises ValueError for a type that IDX lacks, or a size of 2**32 and more."""
    codes = {name: code for code, name in TYPES.items()}
    code = codes.get(array.dtype.str[1:])
    if code is None or max(array.shape, default=0) >= 1 << 32:
        raise ValueError(f"IDX has no room for {array.dtype} of shape {array.shape}")
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">"), copy=False).tobytes()


def read_idx(path: Path) -> Array:
    """The array in the IDX file `path`, inflated if its name ends in .gz, in memory of its own, so writable.

    Raises PipelineError where the file is missing, or is not exactly one sound array.
    """
    content = bytearray()
    for piece in pieces(path):
        content += piece
    return decode_idx(content, str(path))


def read_rows(path: Path) -> Rows:
    """The same, a block of rows at a time: at first only the header is read and checked.

    Raises PipelineError like `read_idx`, and for an array of no dimensions.
    """
    with contextlib.closing(pieces(path)) as start:
        header = read_header(next(start), str(path))
    if not header.shape:
        raise unsound(path, "at least one dimension at byte 3", "0")
    size = math.prod(header.shape[1:]) * header.dtype.itemsize
    step = size * max(BLOCK // max(size, 1), 1)

    def blocks() -> Iterator[Array]:
        content, found = bytearray(), -header.start
        for piece in pieces(path):
            content += piece[header.start :] if found < 0 else piece
            found += len(piece)
            whole = len(content) // step * step if step else 0
            for at in range(0, whole, step or 1):
                yield decoded(content[at : at + step])
            del content[:whole]
        require_size(header, header.start + found, path)
        if content:
            yield decoded(content)

    def decoded(content: bytearray) -> Array:
        rows = np.frombuffer(content, header.dtype).reshape(-1, *header.shape[1:])
        return rows.astype(native, copy=False)

    native = header.dtype.newbyteorder("=")
    return Rows(header.shape, native, blocks)


def pieces(path: Path) -> Generator[bytes]:
    """The content of an IDX file, inflated if its name ends in .gz: no more than its header promises.

    A header is not believed where it promises more than the file can hold.
    """
    with opened(path, REMAKE.removeprefix("delete it and ")) as file:
        blocks = inflate(file, str(path)) if path.suffix == ".gz" else iter(lambda: file.read(BLOCK), b"")
        first = next(blocks, b"")
        promised, most = read_header(first, str(path)).size, DEFLATE * os.fstat(file.fileno()).st_size
        if path.suffix == ".gz" and promised > most:
            raise unsound(path, f"a header that promises at most {most} bytes", str(promised))
        found = 0
        for piece in itertools.chain([first], blocks):
            found += len(piece)
            if found > promised:
                raise unsound(path, f"{promised} bytes", "more")
            yield piece


def inflate(file: IO[bytes], where: str) -> Iterator[bytes]:
    """The content of a gzip file of one member, BLOCK bytes at a time; its CRC and length are checked at the end."""
    inflater = zlib.decompressobj(wbits=31)  # gzip, with the largest window
    while block := file.read(BLOCK):
        if file.tell() == len(block) and not GZIP.startswith(block[:2]):
            raise unsound(where, f"gzip, {GZIP.hex(' ')} at byte 0", f"{block[:2].hex(' ')}{_likeness(block[:64])}")
        while block:
            try:
                piece = inflater.decompress(block, BLOCK)
            except zlib.error as error:
                found = f"{str(error).rpartition(': ')[2]} after byte {file.tell() - len(block)}"
                raise unsound(where, "a sound gzip file", found) from None
            if piece:
                yield piece
            if rest := inflater.unused_data:
                raise unsound(where, "the end of the gzip member", f"more after it, starting with {rest[:2].hex(' ')}")
            block = inflater.unconsumed_tail
    if not inflater.eof:
        raise unsound(where, "a whole gzip file", f"its end after {file.tell()} bytes")


def write_idx(path: Path, array: Array) -> None:
    """Replace `path` with `array` as IDX, compressed if its name ends in .gz; the same array gives the same bytes."""
    content = encode_idx(array)
    with replacing(path) as file:
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
                packed.write(content)
        else:
            file.write(content)


def unsound(where: str | Path, expected: str, found: str) -> PipelineError:
    """The error for a file that is not what it should be."""
    return PipelineError(f"{where}: expected {expected}, found {found}; {REMAKE}.")
