"""Sheets, cards, windows and frames in a picture: parts with four straight sides that may have a digit inside.

Shapes: ink and masks (Y, X); quadrangles (4, 2), the rows and columns of their corners in order.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.base.arrays import Array
from pipeline.digit.blots import blots
from pipeline.digit.framing import bounds
from pipeline.digit.resize import shrunk

SHEET_CELLS = 200  # sheets are searched on a grid with at most this many cells per side
LEAST = 0.2  # share of the picture's longer side: a smaller part is not a sheet
MOST = 3  # parts that may be sheets, the largest first
TURNS = 6  # directions in which corners are searched
NEAR = 0.015  # share of a sheet's longest side: its sides are straight up to this
BARE = 0.1  # share of the sides of a sheet: at most so much is not covered
OUTSIDE = 0.12  # share of a sheet's area: at most so much lies outside its sides, such as ticks at axes
ROOM = 0.02  # share of a sheet's size: its inside begins so far from its sides


def sheets(ink: Array) -> Iterator[Array]:
    """The inside of each filled or empty box in `ink`, as a mask (Y, X), the largest box first."""
    factor = -(-max(ink.shape) // SHEET_CELLS)
    blot = blots(shrunk(ink[..., None], SHEET_CELLS)[..., 0] > 0.1)
    if not blot.any():
        return
    for part in largest(blot):
        top, bottom, left, right = bounds(part)
        near = NEAR * max(bottom - top, right - left)
        corners = quadrangle(part, near)
        if corners is not None:
            yield inside(corners * factor, ink.shape, max(near, 1.0) * factor)


def largest(blot: Array) -> Iterator[Array]:
    """The MOST blots with the largest boxes around them, if they are large enough for a sheet."""
    numbers = np.unique(blot[blot > 0])
    boxes = np.array([bounds(blot == k) for k in numbers])
    high, wide = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    for k in np.argsort(-high * wide, kind="stable")[:MOST]:
        if min(high[k], wide[k]) >= LEAST * max(blot.shape):
            yield blot == numbers[k]


def quadrangle(part: Array, near: float) -> Array | None:
    """The corners of `part` (Y, X) in cells; None unless it covers the sides between them and hardly goes beyond."""
    points, best, least = np.argwhere(part) + 0.5, None, 1.0
    for turn in range(TURNS):
        angles = np.pi / 2 * (turn / TURNS + np.arange(4))
        corners: Array = points[np.argmax(points @ np.stack([np.sin(angles), np.cos(angles)]), axis=0)]
        area = float(np.sum(corners[:, 1] * np.roll(corners[:, 0], -1) - corners[:, 0] * np.roll(corners[:, 1], -1)))
        outside = np.count_nonzero(part & ~inside(corners, part.shape, -near)) / max(abs(area) / 2, 1.0)
        bare = 1 - covered(part, corners, int(near))
        if outside <= OUTSIDE and bare <= BARE and outside + bare < least:
            best, least = corners, outside + bare
    return best


def covered(part: Array, corners: Array, reach: int) -> float:
    """The share of the sides of a quadrangle that has a cell of `part` within `reach`."""
    steps = np.linspace(0, 1, 50)[:, None]
    sides = np.concatenate([a + steps * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)])
    near = np.pad(part, reach)
    hit = np.zeros(len(sides), bool)
    rows, columns = sides.astype(int).T
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            hit |= near[rows + dy, columns + dx]
    return float(hit.mean())


def inside(corners: Array, shape: tuple[int, ...], room: float) -> Array:
    """The mask (Y, X) of the pixels inside a quadrangle, at least `room` and ROOM of its size away from its sides."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    mask = np.ones(shape, bool)
    middle = corners.mean(axis=0)
    for (top, left), (bottom, right) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        length = max(float(np.hypot(bottom - top, right - left)), 1e-9)
        away = ((y - top) * (right - left) - (x - left) * (bottom - top)) / length
        centre = ((middle[0] - top) * (right - left) - (middle[1] - left) * (bottom - top)) / length
        sign = 1 if centre > 0 else -1
        mask &= sign * away >= room + (ROOM * abs(centre) if room > 0 else 0)
    return mask
