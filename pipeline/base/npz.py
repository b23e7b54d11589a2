"""NumPy's .npz container, written to the same bytes everywhere and read strictly.

The bytes that `np.savez` writes depend on Python and on the platform, and `np.load` believes what a header claims. Here
the zip directory is fixed when written, and checked in full when read.
"""

import errno
import hashlib
import io
import math
import os
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.files import replacing
from pipeline.base.paths import opened

EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date a zip can hold
BLOCK = 1 << 17  # bytes written at a time: they stay in the cache until their CRC is known
STREAMED = 1 << 3  # flag of a member whose sizes come after it, as zipfile writes it where it cannot seek
END = b"PK\5\6"  # starts the last 22 bytes of a zip, if nothing follows it
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00.."
    rb"{'descr': '(?P<dtype>[<|][biufcSU][0-9]{1,9})', 'fortran_order': False, 'shape': \((?P<shape>[0-9, ]*)\), } *\n",
    re.DOTALL,
)


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Replace `path` with an uncompressed .npz of `arrays`; the same arrays give the same bytes anywhere.

    The new file is read back before it replaces the old one. Raises OSError if the disk is full, or if other bytes are
    read than were written.
    """
    with replacing(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            written = [_write(archive, file, name, array) for name, array in arrays.items()]
        if not (_opens(file) and all(_reads_back(file, *place) for place in written)):
            raise OSError(errno.EIO, "other bytes are read than were written", str(path))


def _write(archive: zipfile.ZipFile, file: IO[bytes], name: str, array: Array) -> tuple[int, bytes, Array]:
    """Where in `file` the header of the array begins, the header, and the contents as bytes."""
    member = zipfile.ZipInfo(f"{name}.npy", EPOCH)
    member.create_system = 3  # Unix, whatever this machine is
    member.external_attr = 0o600 << 16
    content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).reshape(array.shape)
    header = _header(content)
    member.file_size = len(header) + content.nbytes
    flat = content.reshape(-1).view(np.uint8) if content.size else np.empty(0, np.uint8)
    with archive.open(member, "w") as output:
        begin = file.tell()
        output.write(header)
        for start in range(0, flat.size, BLOCK):
            output.write(flat[start : start + BLOCK].data)
    return begin, header, flat


def _opens(file: IO[bytes]) -> bool:
    """Whether the directory is sound, and each member where it says and of the kind that is always written."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                archive.open(member).close()
                if member.flag_bits & STREAMED:
                    return False
    except zipfile.BadZipFile:
        return False
    return True


def _reads_back(file: IO[bytes], begin: int, header: bytes, flat: Array) -> bool:
    """Whether a member holds these bytes: quicker than what zipfile does, which is to compute their CRC again."""
    file.seek(begin)
    if file.read(len(header)) != header:
        return False
    blocks = (flat[start : start + BLOCK] for start in range(0, flat.size, BLOCK))
    return all(np.array_equal(np.frombuffer(file.read(block.size), np.uint8), block) for block in blocks)


def _header(array: Array) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue()


def arrays_digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 of names, types, shapes and contents, as they are in a file: little-endian."""
    total = hashlib.sha256()
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name} {content.dtype.str} {array.shape}\n".encode())
        total.update(content.data)
    return total.hexdigest()


def read_npz(path: Path, names: Iterable[str] | None = None, remake: str = "make it again") -> dict[str, Array]:
    """The arrays of `path`, or just those in `names`, read-only.

    Raises PipelineError where the file is missing, is no .npz, lacks a name, or claims more than it holds;
    `remake` is the advice that ends the message.
    """
    try:
        with opened(path, remake) as file, zipfile.ZipFile(file) as archive:
            members = _members(archive, file)
            wanted = list(members) if names is None else list(names)
            missing = [name for name in wanted if name not in members]
            if missing:
                raise ValueError(f"no array {missing[0]!r}, only {', '.join(members)}")
            return {name: _read(archive, members[name]) for name in wanted}
    except (zipfile.BadZipFile, ValueError, TypeError, EOFError, NotImplementedError, RuntimeError) as error:
        raise PipelineError(f"{path} is not a sound .npz file: {error}; {remake}.") from None


def _members(archive: zipfile.ZipFile, file: IO[bytes]) -> dict[str, zipfile.ZipInfo]:
    """Every member by array name, none twice, none compressed, so none can be larger than the file, and no more."""
    size = file.seek(-22, os.SEEK_END) + 22
    if file.read(4) != END:
        raise ValueError("something follows its end")
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or "/" in name or "\\" in name or name in members:
            raise ValueError(f"unexpected member {member.filename!r}")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{member.filename} is compressed")
        if not 0 <= member.header_offset <= size - member.file_size:
            where = f"{member.file_size} bytes from byte {member.header_offset} on, in a file of {size}"
            raise ValueError(f"{member.filename} claims {where}")
        members[name] = member
    return members


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    content = archive.read(member)  # zipfile checks the CRC
    header = HEADER.match(content)
    if not header:
        raise ValueError(f"{member.filename} does not start as a plain array in C order does")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    count = math.prod(shape)
    if header.end() + count * dtype.itemsize != len(content):
        raise ValueError(f"{member.filename} claims {shape} of {dtype}, which is not what it holds")
    array = np.frombuffer(content, dtype, count, header.end())
    if dtype.kind == "U" and (array.view("<u4") > sys.maxunicode).any():
        raise ValueError(f"{member.filename} holds text that is none")
    return array.reshape(shape)
