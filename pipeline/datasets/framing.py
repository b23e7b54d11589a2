"""How a data set frames its digits: measured on its images, so that other pictures can be framed likewise.

Shapes: images (N, Y, X) of 0-255, ink (Y, X), where 0 is bare paper; places in pixels from the upper left corner.
"""

from typing import NamedTuple

import numpy as np

from pipeline.npz import Array

MEASURED = 1000  # images that a framing is measured on
WRITTEN = 127  # a pixel above is more ink than paper


class Framing(NamedTuple):
    """How a data set frames its digits, in pixels: longest side, place of the centre of mass, width of the stroke."""

    side: float
    row: float
    column: float
    stroke: float


def framing(images: Array) -> Framing:
    """The medians over the first of `images`; for MNIST 20, 14.5, 14.5 and 2.5, and the same bits everywhere.

    They are sums of whole numbers and single divisions, exact until the last.
    """
    each = [measure(image) for image in images[:MEASURED] if image.max() > WRITTEN]
    return Framing(*np.median(np.array(each), axis=0).tolist())


def measure(image: Array) -> Framing:
    """The framing of one digit (Y, X)."""
    top, bottom, left, right = bounds(image > 0)
    return Framing(max(bottom - top, right - left), *centre_of_mass(image), stroke_width(image > WRITTEN))


def bounds(mask: Array) -> tuple[int, int, int, int]:
    """First row, row after the last, first column, column after the last of `mask` (Y, X)."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def centre_of_mass(ink: Array) -> tuple[float, float]:
    """Row and column, in pixels from the upper left corner, of the middle of `ink` (Y, X)."""
    total = ink.sum()
    row, column = ((ink.sum(axis=1 - axis) * (np.arange(ink.shape[axis]) + 0.5)).sum() / total for axis in (0, 1))
    return float(row), float(column)


def stroke_width(mask: Array) -> float:
    """Twice the area of `mask` (Y, X) by its outline, which a walk along pixels makes 4 / pi too long on average."""
    edged = np.pad(mask, 1).astype(np.int8)
    outline = sum(np.count_nonzero(np.diff(edged, axis=axis)) for axis in (0, 1))
    return 2 * np.count_nonzero(mask) / (outline * np.pi / 4)
