"""Pictures averaged to another resolution.

Shapes: pictures (Y, X, C); ink (Y, X).
"""

import numpy as np

from pipeline.base.arrays import Array


def resize(ink: Array, rows: tuple[float, float], columns: tuple[float, float], step: float) -> Array:
    """The window of `ink` (Y, X) between these rows and columns, averaged to cells with sides of `step` pixels.

    If the window is not a whole number of cells, it grows evenly at both ends. Outside the picture is bare paper.
    """
    matrices = []
    for length, (start, stop) in zip(ink.shape, (rows, columns), strict=True):
        cells = int(np.ceil((stop - start) / step - 1e-9))
        grow = (cells * step - (stop - start)) / 2
        matrices.append(area(length, start - grow, stop + grow, cells))
    return matrices[0] @ ink @ matrices[1].T


def area(length: int, start: float, stop: float, cells: int) -> Array:
    """The share (cells, length) of each pixel in the mean of each cell between `start` and `stop`."""
    edges = start + (stop - start) / cells * np.arange(cells + 1)
    pixels = np.arange(length)
    overlap: Array = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(0) * (cells / (stop - start))


def shrunk(picture: Array, most: int) -> Array:
    """`picture` (Y, X, C) averaged over squares, at most `most` along a side; the last may reach beyond the side."""
    factor = -(-max(picture.shape[:2]) // most)
    sides = [area(length, 0, -(-length // factor) * factor, -(-length // factor)) for length in picture.shape[:2]]
    return np.moveaxis(sides[0] @ np.moveaxis(picture, 2, 0) @ sides[1].T, 0, 2)
