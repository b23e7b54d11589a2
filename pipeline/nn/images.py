"""How images enter a net: as bytes where all pixels are whole 255ths, and shifted where answers are averaged."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pipeline.base.arrays import Array

BRIGHTEST = 255
BLOCK = 1024  # images handled at a time
HELD = 1 << 26  # bytes of images that are copied to memory; MNIST has 47 million
FRACTIONS = np.arange(BRIGHTEST + 1, dtype=np.float32) / np.float32(BRIGHTEST)


class Images:
    """Images (N, ...) as rows (N, D) in the form that a net takes, made when they are asked for: see `stored`.

    The array may be mapped from a file and larger than memory. `white` is the byte that stands for a pixel of 1.
    `make` is a function of rows that is still to be applied.
    """

    def __init__(self, images: Array, white: int | None, make: Callable[[Array], Array] | None = None) -> None:
        self.source, self.white, self.make = images.reshape(len(images), -1), white, make
        self.fractions = white is not None and images.dtype != np.uint8

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, which: slice | Array) -> Array:
        """Some images, as an array."""
        if isinstance(which, slice):
            found = self.source[which]
        else:  # a file's numbers may begin at any byte; NumPy would copy all of them first, but not if they are bytes
            found = self.source.view(np.uint8).take(which, axis=0, mode="clip").view(self.source.dtype)
        if self.fractions:
            found = as_bytes(found)
        return self.make(found) if self.make else found

    def blocks(self) -> Iterator[Array]:
        """All images, BLOCK at a time."""
        return (self[start : start + BLOCK] for start in range(0, len(self), BLOCK))

    def part(self, rows: slice | Array) -> "Images":
        """The images in `rows`, still to be made."""
        return Images(self.source[rows], self.white, self.make)

    def then(self, make: Callable[[Array], Array]) -> "Images":
        """The same images, with `make` applied to each block."""
        before = self.make
        return Images(self.source, self.white, make if before is None else lambda rows: make(before(rows)))

    def held(self) -> "Images":
        """The same images, copied to memory if they have at most HELD bytes."""
        one = self[:1]
        if len(self) * one.nbytes > HELD:
            return self
        found, start = np.empty((len(self), one.size), one.dtype), 0
        for block in self.blocks():
            found[start : start + len(block)] = block
            start += len(block)
        return Images(found, self.white)


def as_bytes(fractions: Array) -> Array:
    """Pixels from 0 to 1 as the nearest of 0 to 255."""
    with np.errstate(over="ignore", invalid="ignore"):  # `stored` also tries pixels that no byte can hold
        return (fractions * np.float32(BRIGHTEST) + np.float32(0.5)).astype(np.uint8)


def stored(images: Array | Images) -> Images:
    """Images (N, ...) as bytes if they are bytes, or float32 pixels that are all whole 255ths; or as they are.

    Bytes take a quarter of the memory. The first layer of a net divides its sums by 255, instead of the pixels.
    """
    if isinstance(images, Images):
        return images
    if images.dtype == np.uint8:
        return Images(images, 1)
    whole = images.dtype == np.float32 and all(
        np.array_equal(FRACTIONS[as_bytes(block)], block) for block in Images(images, None).blocks()
    )
    return Images(images, BRIGHTEST if whole else None)


def together(images: Array | Images, others: Array) -> list[Images]:
    """Two sets of images, both as bytes with the same white, or both unchanged."""
    parts = [stored(images), stored(others)]
    return parts if parts[0].white == parts[1].white else [Images(part.source, None) for part in parts]


def shifted(images: Array, shape: Sequence[int]) -> Iterator[Array]:
    """The images (N, ...) of Y x X pixels and their 8 shifts by one pixel, in a fixed order; zeros fill the edge."""
    rows, columns = shape
    framed = np.pad(images.reshape(-1, rows, columns), ((0, 0), (1, 1), (1, 1)))
    for y in range(3):
        for x in range(3):
            yield framed[:, y : y + rows, x : x + columns].reshape(images.shape)
