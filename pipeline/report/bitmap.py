"""Small pictures inside a page: PNG files as data URLs, the same bytes everywhere.

The pixels are stored, not compressed: compressed bytes depend on the build of zlib.
"""

import base64
import math
import struct
import zlib

import numpy as np

from pipeline.base.arrays import Array

STORED = 65_535  # bytes a stored block of deflate can hold (RFC 1951)
GREY, PALETTE = 0, 3  # colour types (PNG specification, section 11.2.1)
AGAINST, NEITHER, FOR = (190, 30, 45), (247, 247, 247), (20, 90, 170)


def grey(picture: Array) -> str:
    """Ink (Y, X) from 0 to its greatest value, black on white."""
    levels = 255 - scaled(picture, 255)
    return png(levels.astype(np.uint8), GREY)


def signed(pictures: Array, columns: int) -> str:
    """Pictures (M, Y, X) side by side in `columns`, each on its own scale: red below zero, blue above."""
    count, rows, width = pictures.shape
    sheet = np.full((math.ceil(count / columns) * (rows + 1), columns * (width + 1)), 255)  # 255: see-through
    for i, picture in enumerate(pictures):
        y, x = i // columns * (rows + 1), i % columns * (width + 1)
        sheet[y : y + rows, x : x + width] = 127 + scaled(picture, 127)
    middle, arm = np.array(NEITHER), np.arange(1, 128)[:, None] / 127
    down, up = middle + arm[::-1] * (np.array(AGAINST) - middle), middle + arm * (np.array(FOR) - middle)
    palette = np.rint(np.concatenate([down, [middle], up, [middle]])).astype(np.uint8)
    return png(
        sheet.astype(np.uint8), PALETTE, chunk(b"PLTE", palette.tobytes()), chunk(b"tRNS", b"\xff" * 255 + b"\0")
    )


def scaled(picture: Array, most: int) -> Array:
    """Whole numbers, the greatest magnitude `most`."""
    reach = float(np.abs(picture).max()) or 1.0
    return np.rint(picture / reach * most)


def png(pixels: Array, colour: int, *more: bytes) -> str:
    """A PNG of bytes (Y, X) as a data URL."""
    rows, columns = pixels.shape
    raw = np.pad(pixels, [(0, 0), (1, 0)]).tobytes()  # each row begins with its filter: none
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, colour, 0, 0, 0))
    file = b"".join([b"\x89PNG\r\n\x1a\n", header, *more, chunk(b"IDAT", stored(raw)), chunk(b"IEND", b"")])
    return "data:image/png;base64," + base64.b64encode(file).decode()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One part of a PNG file."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def stored(raw: bytes) -> bytes:
    """`raw` as a zlib stream (RFC 1950) that compresses nothing."""
    blocks = [raw[start : start + STORED] for start in range(0, len(raw), STORED)]
    last = len(blocks) - 1
    parts = [struct.pack("<BHH", i == last, len(b), len(b) ^ 0xFFFF) + b for i, b in enumerate(blocks)]
    return b"\x78\x01" + b"".join(parts) + struct.pack(">I", zlib.adler32(raw))
