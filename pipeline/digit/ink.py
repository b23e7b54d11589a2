"""The ink of a picture: it differs from the paper in one direction of colour, the main one.

Shapes: pictures (Y, X, 3) of colours 0-255; masks (Y, X); ink (Y, X), from 0 (bare paper) to 1.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.digit.blots import blots
from pipeline.digit.framing import bounds, stroke_width
from pipeline.digit.paper import flat_paper, papers, rim
from pipeline.digit.resize import shrunk
from pipeline.digit.sheets import sheets

FAINTEST = 8.0  # of 255: what differs less from the paper is not ink
NOISE = 4.0  # standard deviations of the paper: a smaller difference may be chance
RULED = 0.3  # share of the ink's strength: ruled lines, dust and ink on the other side of the paper are weaker
INNER = 0.1  # share of the largest blot: if a blot inside a photo is so large, no blot at the rim is the digit
LONG = 0.5  # share of a side of the picture: a blot that covers so much of the side is a bar, if another blot is inside
SMALL = 0.08  # share of the shorter side: a smaller blot is not the digit beside a bar
SPECK = 0.05  # share of the largest blot: a smaller one was not written
BLOT_CELLS = 400  # blots are separated on a grid with at most this many cells per side
THICK = 0.3  # share of a digit's longest side: no pen is thicker
DEEPEST = 4  # sheets within sheets: a frame, its inside, a card in it, its drawn border
BARE = 0.4  # share of the picture: if less is bare, this is not the paper
CUT = 0.1  # share of a sheet's rim: if more is ink, this is not a sheet but the inside of a digit
FAINTER = 0.4  # share of the contrast of a sheet: what differs less from the sheet is its texture


class Ink(NamedTuple):
    """Ink (Y, X), its difference from the paper in colour, and how well this paper explains the picture."""

    ink: Array
    contrast: float
    explained: float


def find_ink(picture: Array, name: str) -> Array:
    """The ink (Y, X) on the innermost sheet of `picture` that has any.

    Raises PipelineError, beginning with `name`, where there is none.
    """
    found = ink_within(picture, np.ones(picture.shape[:2], bool), DEEPEST)
    if found is None:
        raise PipelineError(f"{name} is blank: nothing stands out from its background; draw a digit on it.")
    return found.ink


def ink_within(picture: Array, mask: Array, deepest: int) -> Ink | None:
    """The ink within `mask`, on the paper that explains the picture best; None if `mask` is blank."""
    if not mask.any():
        return None
    first = None
    found = (stands_out(picture - paper, mask, photo) for paper, photo in papers(picture, mask))
    for ink in sorted(filter(None, found), key=lambda ink: -ink.explained):
        for sheet in sheets(ink.ink) if deepest else ():
            inner = ink_within(picture, sheet & mask, deepest - 1)
            if inner and inner.contrast >= FAINTER * ink.contrast and looks_written(inner.ink, sheet & mask):
                return inner
        left = ink._replace(ink=written(ink.ink, mask, flat_paper(picture[rim(mask)]) is None))
        if looks_written(left.ink):
            return left
        first = first or left
    return first


def stands_out(contrast: Array, mask: Array, photo: bool) -> Ink | None:
    """The ink, by its contrast to the paper (Y, X, 3) in the main direction of colour; None if it is too faint.

    `explained` is the share of the picture that is bare paper, plus the same share of the rim; 0 if too little is bare.
    """
    strength = np.sqrt((contrast**2).sum(axis=2)) * mask
    colour = contrast[strength >= strength.max() / 2].mean(axis=0)
    ink = contrast @ (colour / max(float(np.sqrt(colour @ colour)), 1e-9)) * mask
    full = float(np.median(ink[ink >= ink.max() / 2]))
    edge = rim(mask)
    noise = NOISE * 1.4826 * min(float(np.median(np.abs(ink[m]))) for m in (mask, edge)) if photo else 0.0
    if full < max(FAINTEST, noise):
        return None
    least = max(RULED, noise / full) if photo else 0.0
    bare, bare_rim = (float((strength[m] <= RULED * full).mean()) for m in (mask, edge))
    explained = bare + bare_rim if bare >= BARE else 0.0
    ink = np.clip(ink / full, 0, 1)
    return Ink(np.where(ink > least, ink, 0), full, explained)


def looks_written(ink: Array, sheet: Array | None = None) -> bool:
    """Whether a pen drew `ink`: its strokes are thin for its longest side, and hardly touch the rim of `sheet`."""
    mask = ink > 0.5
    if not mask.any() or (sheet is not None and mask[rim(sheet)].mean() > CUT):
        return False
    top, bottom, left, right = bounds(mask)
    return stroke_width(mask) < THICK * max(bottom - top, right - left)


def written(ink: Array, mask: Array, photo: bool) -> Array:
    """`ink` without specks and without foreign parts that touch the rim of `mask`, unless nothing else is there.

    In a photo, a part that touches the rim is the table, a shadow, or another line of writing. In a drawing, only a bar
    along the rim or from side to side is foreign.
    """
    factor = -(-max(ink.shape) // BLOT_CELLS)
    cells = shrunk(ink[..., None], BLOT_CELLS)[..., 0]
    blot = blots(cells > 0)
    amounts = np.bincount(blot.reshape(-1), cells.reshape(-1))
    edge = rim(shrunk(mask[..., None].astype(float), BLOT_CELLS)[..., 0] > 0.5)
    touching = np.unique(blot[edge])
    if photo:
        within = amounts.copy()
        within[touching] = 0
        amounts = within if within.max() >= INNER * amounts.max() else amounts
    else:
        amounts[[*bars(blot, edge, touching)]] = 0
    kept = ((amounts >= SPECK * amounts.max()) & ~around(blot, amounts))[blot]
    kept = kept.repeat(factor, axis=0).repeat(factor, axis=1)[: ink.shape[0], : ink.shape[1]]
    return np.where(kept, ink, 0)


def around(blot: Array, amounts: Array) -> Array:
    """Whether each blot has a heavier blot inside its box, as two axes have a plot inside; False for specks."""
    found = np.zeros(len(amounts), bool)
    large = np.flatnonzero(amounts >= SPECK * amounts.max())
    large = large[large > 0]
    boxes = np.array([bounds(blot == k) for k in large]).reshape(-1, 4) * (1, -1, 1, -1)
    for k, box in zip(large, boxes, strict=True):
        found[k] = ((boxes >= box).all(axis=1) & (amounts[large] > amounts[k])).any()
    return found


def bars(blot: Array, edge: Array, touching: Array) -> Iterator[int]:
    """Yield the numbers of blots along the rim or from side to side, but only if a blot of some size is inside."""
    top, bottom, left, right = bounds(edge)
    high, wide = bottom - top, right - left
    inside = np.where(np.isin(blot, touching), 0, blot)
    boxes = np.array([bounds(inside == k) for k in np.unique(inside[inside > 0])]).reshape(-1, 4)
    if not (boxes[:, 1::2] - boxes[:, ::2] >= SMALL * min(high, wide)).any():
        return
    for k in touching[touching > 0]:
        rows, columns = np.nonzero(edge & (blot == k))
        along = max(len(np.unique(columns)) / wide, len(np.unique(rows)) / high)
        across = np.ptp(rows) >= high - 3 or np.ptp(columns) >= wide - 3
        if along >= LONG or across:
            yield int(k)
