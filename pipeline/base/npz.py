"""NumPy's .npz container, written with the same bytes everywhere and read strictly.

The bytes that `np.savez` writes depend on Python and on the platform, and `np.load` believes what a header claims. Here
the zip directory is fixed when written, and checked in full when read.
"""

import errno
import hashlib
import io
import math
import mmap
import os
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.base.arrays import Array, Rows
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


def write_npz(path: Path, arrays: Mapping[str, Array | Rows]) -> None:
    """Replace `path` with an uncompressed .npz of `arrays`; the same arrays give the same bytes anywhere.

    The new file is read back before it replaces the old one. Raises OSError if the disk is full, or if the
    bytes that are read are not the bytes that were written.
    """
    with replacing(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                _write(archive, name, array if isinstance(array, Rows) else _alone(array))
        if not _reads_back(file):
            raise OSError(errno.EIO, "other bytes are read than were written", str(path))


def _alone(array: Array) -> Rows:
    """An array as it is, as a single block."""
    return Rows(array.shape, array.dtype, lambda: iter([array]))


def _write(archive: zipfile.ZipFile, name: str, rows: Rows) -> None:
    member = zipfile.ZipInfo(f"{name}.npy", EPOCH)
    member.create_system = 3  # Unix, whatever this machine is
    member.external_attr = 0o600 << 16
    dtype = rows.dtype.newbyteorder("<")
    header = _header(dtype, rows.shape)
    member.file_size = len(header) + rows.nbytes
    with archive.open(member, "w") as output:
        output.write(header)
        for block in rows:
            content = np.ascontiguousarray(block).astype(dtype, copy=False).reshape(-1)
            flat = content.view(np.uint8) if content.size else np.empty(0, np.uint8)
            for start in range(0, flat.size, BLOCK):
                output.write(flat[start : start + BLOCK].data)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    header, descr = io.BytesIO(), np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


def _reads_back(file: IO[bytes]) -> bool:
    """Whether the directory is sound, and each member has its place, its CRC and the form that is always written."""
    try:
        with zipfile.ZipFile(file) as archive:
            streamed = any(member.flag_bits & STREAMED for member in archive.infolist())
            return not streamed and archive.testzip() is None
    except zipfile.BadZipFile:
        return False


def arrays_digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 of names, types, shapes and contents, as they are in a file: little-endian."""
    total = hashlib.sha256()
    for name, array in arrays.items():
        content = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name} {content.dtype.str} {array.shape}\n".encode())
        total.update(content.data)
    return total.hexdigest()


def read_npz(
    path: Path, names: Iterable[str] | None = None, remake: str = "make it again", mapped: bool = False
) -> dict[str, Array]:
    """The arrays of `path`, or just those in `names`, read-only; with `mapped` they stay in the file.

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
            content = partial(_mapped, archive, file) if mapped else archive.read  # both check the CRC
            return {name: _read(content(members[name]), members[name].filename) for name in wanted}
    except (zipfile.BadZipFile, ValueError, TypeError, EOFError, NotImplementedError, RuntimeError) as error:
        raise PipelineError(f"{path} is not a sound .npz file: {error}; {remake}.") from None


def _members(archive: zipfile.ZipFile, file: IO[bytes]) -> dict[str, zipfile.ZipInfo]:
    """The members by array name. Raises ValueError where one is compressed, comes twice, or claims too many bytes."""
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


def _mapped(archive: zipfile.ZipFile, file: IO[bytes], member: zipfile.ZipInfo) -> memoryview:
    """The bytes of a member, as a view of the file: they follow the member's own header, whose length varies."""
    archive.open(member).close()  # zipfile checks the header
    whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    begin = member.header_offset + 30 + sum(struct.unpack_from("<HH", whole, member.header_offset + 26))
    content = whole[begin : begin + member.file_size]
    if len(content) < member.file_size or zlib.crc32(content) != member.CRC:
        raise ValueError(f"{member.filename} has another CRC than the directory says")
    return content


def _read(content: bytes | memoryview, name: str) -> Array:
    header = HEADER.match(content)
    if not header:
        raise ValueError(f"{name} does not start like a plain array in C order")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(size) for size in header["shape"].split(b",") if size.strip())
    count = math.prod(shape)
    if header.end() + count * dtype.itemsize != len(content):
        raise ValueError(f"{name} claims {shape} of {dtype}, which is not what it holds")
    array = np.frombuffer(content, dtype, count, header.end())
    if dtype.kind == "U" and (array.view("<u4") > sys.maxunicode).any():
        raise ValueError(f"{name} holds text that is not Unicode")
    return array.reshape(shape)
