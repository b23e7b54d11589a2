"""Whole numbers: which ink belongs to which digit, and which digits stand on one line.

Strokes of one digit overlap from left to right or nearly touch; strokes of two digits do not.

Shapes: ink (Y, X), from 0 (bare paper) to 1; boxes (N, 4): first row, row after the last, first column, column after
the last.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.digit.blots import blots
from pipeline.digit.framing import bounds, stroke_width

INKED = 0.25  # a pixel with more ink is part of a stroke
SPECK = 0.05  # share of the digit's largest part: a smaller part was not written
OVERLAP = 0.5  # share of the narrower of two parts: if so much overlaps from left to right, both are of one digit
STACKED = 0.2  # share of the taller part: the largest gap, from top to bottom, between such strokes
GAP = 0.6  # widths of the pen: parts with a smaller gap are strokes of one digit
LEVEL = 0.5  # share of the shorter of two digits: if so much of it is beside the other, they stand on one line
AWAY = 3.0  # heights of a digit: digits further apart stand on different lines
MOST_PARTS = 500  # parts: 100 digits in broken strokes have fewer


class Piece(NamedTuple):
    """One digit: its ink (Y, X), its place (top, bottom, left, right) in the picture, and its line, from 0."""

    ink: Array
    box: tuple[int, int, int, int]
    line: int


def pieces(ink: Array, name: str) -> list[Piece]:
    """The digits of `ink`, line by line, from left to right.

    Raises PipelineError, beginning with `name`, where `ink` has more than MOST_PARTS parts: every two are compared.
    """
    part = blots(ink > INKED)
    numbers = np.unique(part[part > 0])
    if len(numbers) > MOST_PARTS:
        raise PipelineError(f"{name} holds {len(numbers)} marks, more than {MOST_PARTS}; cut out one number.")
    boxes = np.array([bounds(part == k) for k in numbers])
    near = GAP * stroke_width(ink > INKED)
    owner = united(len(numbers), one_digit(boxes, near))
    of_part = np.zeros(part.max() + 1, int)
    of_part[numbers] = owner + 1
    whose = of_part[part]
    whole = np.array([bounds(whose == k + 1) for k in np.unique(owner)])
    lines = united(len(whole), one_line(whole))
    found = [
        Piece(np.where((whose == 0) | (whose == k + 1), ink, 0), tuple(box.tolist()), int(line))
        for k, box, line in zip(np.unique(owner), whole, lines, strict=True)
    ]
    return list(in_order(found))


def one_digit(boxes: Array, near: float) -> Array:
    """For any two parts (N, N), whether they are strokes of one digit, by their boxes."""
    top, bottom, left, right = boxes.T
    wide, high = right - left, bottom - top
    across, down = overlap(left, right), overlap(top, bottom)
    over = (across >= OVERLAP * np.minimum.outer(wide, wide)) & (-down <= STACKED * np.maximum.outer(high, high))
    related: Array = over | ((-across <= near) & (-down <= near))
    return related


def one_line(boxes: Array) -> Array:
    """For any two digits (N, N), whether they stand on one line, by their boxes."""
    top, bottom, left, right = boxes.T
    high = bottom - top
    level = overlap(top, bottom) >= LEVEL * np.minimum.outer(high, high)
    related: Array = level & (-overlap(left, right) <= AWAY * np.maximum.outer(high, high))
    return related


def overlap(start: Array, stop: Array) -> Array:
    """For any two of the ranges (N,), how far they overlap (N, N); if they do not, minus the gap between them."""
    both: Array = np.minimum.outer(stop, stop) - np.maximum.outer(start, start)
    return both


def united(count: int, related: Array) -> Array:
    """For each of `count` things, the first one that `related` (N, N) connects it to, directly or through others."""
    group = np.arange(count)
    for _ in range(count):
        group = np.where(related, group, count).min(axis=1)
    return group


def in_order(found: list[Piece]) -> Iterator[Piece]:
    """The pieces line by line from the top, and from left to right; the lines get numbers from 0."""
    lines = sorted({piece.line for piece in found}, key=lambda line: min(p.box[0] for p in found if p.line == line))
    for number, line in enumerate(lines):
        for piece in sorted((p for p in found if p.line == line), key=lambda p: p.box[2] + p.box[3]):
            yield piece._replace(line=number)
