"""How images enter a net: as bytes where all pixels are whole 255ths, and shifted where answers are averaged."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.base.arrays import Array

BRIGHTEST = 255
BLOCK = 1024  # images handled at a time
FRACTIONS = np.arange(BRIGHTEST + 1, dtype=np.float32) / np.float32(BRIGHTEST)


def stored(images: Array) -> tuple[Array, int | None]:
    """Images (N, ...) as bytes, and what stands for a pixel of 1 among them; or as they are, and None.

    Bytes are bytes already, or float32 pixels that are all whole 255ths. They take a quarter of the memory, and the
    first layer of a net divides its sums by 255 instead.
    """
    if images.dtype == np.uint8:
        return images, 1
    if images.dtype != np.float32:
        return images, None
    found = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        with np.errstate(over="ignore", invalid="ignore"):  # a pixel that has no byte is not equal below
            np.add(block * np.float32(BRIGHTEST), np.float32(0.5), out=found[start : start + BLOCK], casting="unsafe")
        if not np.array_equal(FRACTIONS[found[start : start + BLOCK]], block):
            return images, None
    return found, BRIGHTEST


def together(images: Array, others: Array) -> tuple[Array, Array, int | None]:
    """Two sets of images as rows (N, D), both as bytes or both as fractions, and what stands for 1 among bytes."""
    (first, white), (second, other) = (stored(part.reshape(len(part), -1)) for part in (images, others))
    if white == other:
        return first, second, white
    return images.reshape(len(images), -1), others.reshape(len(others), -1), None


def shifted(images: Array, shape: Sequence[int]) -> Iterator[Array]:
    """The images (N, ...) of Y x X pixels and their 8 shifts by one pixel, in a fixed order; zeros come in."""
    rows, columns = shape
    framed = np.pad(images.reshape(-1, rows, columns), ((0, 0), (1, 1), (1, 1)))
    for y in range(3):
        for x in range(3):
            yield framed[:, y : y + rows, x : x + columns].reshape(images.shape)
