"""How a data set frames its digits, measured on its images. Other pictures can then be framed in the same way.

Shapes: images (N, Y, X) of 0-255, ink (Y, X), where 0 is bare paper; places in pixels from the upper left corner.
"""

from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError

MEASURED = 1000  # images that a framing is measured on
WRITTEN = 127  # a pixel above this is more ink than paper


class Framing(NamedTuple):
    """How a data set frames its digits, in pixels: longest side, place of the centre of mass, width of the stroke.

    least_slant, most_slant: quartiles of how far the digits lean to the right, in columns per row.
    """

    side: float
    row: float
    column: float
    stroke: float
    least_slant: float
    most_slant: float


def framing(images: Array) -> Framing:
    """Medians and quartiles over the first MEASURED of `images`; for MNIST 20, 14.5, 14.5, 2.5, 0.0 and 0.4.

    Sums of whole numbers are exact, and only * and / come after them: the same bits everywhere. Raises PipelineError
    where all images are dark.
    """
    each = np.array([measure(image) for image in images[:MEASURED] if image.max() > WRITTEN])
    if not len(each):
        raise PipelineError(f"no pixel of the first {MEASURED} images is above {WRITTEN} of 255; make them brighter.")
    slants = np.sort(each[:, -1])
    quartiles = (float(slants[len(slants) * quarter // 4]) for quarter in (1, 3))
    return Framing(*np.median(each[:, :-1], axis=0).tolist(), *quartiles)


def measure(image: Array) -> tuple[float, ...]:
    """Longest side, centre of mass, stroke and slant of one digit (Y, X)."""
    top, bottom, left, right = bounds(image > 0)
    written = image > WRITTEN
    return max(bottom - top, right - left), *centre_of_mass(image), stroke_width(written), slant(written)


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
    """Twice the area of `mask` (Y, X) divided by its outline; an outline along pixels is 4 / pi too long on average."""
    edged = np.zeros(np.add(mask.shape, 2), np.int8)  # np.pad takes ten times as long
    edged[1:-1, 1:-1] = mask
    outline = sum(np.count_nonzero(np.diff(edged, axis=axis)) for axis in (0, 1))
    return 2 * np.count_nonzero(mask) / (outline * np.pi / 4)


def slant(mask: Array) -> float:
    """How far `mask` (Y, X) leans to the right, in columns per row: the slope of a line by least squares."""
    rows, columns = np.nonzero(mask)
    n, y, x = len(rows), int(rows.sum()), int(columns.sum())
    along, across = int((rows * rows).sum()) * n - y * y, int((rows * columns).sum()) * n - y * x
    return -across / along if along else 0.0
