"""Invented images that show no class, from which a net learns what to refuse.

Most are strokes of a pen, lines, curves and arcs, framed as the data set frames its digits. The others are two training
images, over each other or beside each other. A net that was shown such images refuses other kinds, too: Hendrycks,
Mazeika & Dietterich 2019, *Deep anomaly detection with outlier exposure*. Only exact steps make them, so they have the
same bytes on every machine.

Shapes: n images of Y rows and X columns, as bytes.
"""

from collections.abc import Mapping

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.random import Stream

BLOCK = 250  # images drawn at a time, with one pen
CELLS = 4  # a side of a pixel, in which strokes are drawn in black and white
STROKES, NODES, DOTS = 6, 5, 16  # of a drawing; of a stroke, at most; between two nodes
GRID = 12  # steps of a node along each side
RING = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # the nodes of an arc, around its centre
PENS = (0, 0, 0, 1, 1, 2, 3, 5)  # cells that the pen's radius is larger than the data set's


def overlaid(one: Array, other: Array, stream: Stream) -> Array:
    """Two images over each other, one a little aside."""
    down, across = (int(k) - 3 for k in stream.integers(7, (2,)))
    return np.maximum(one, np.roll(other, (down, across), axis=(1, 2)))


def beside(one: Array, other: Array, stream: Stream) -> Array:
    """Two images beside each other, each half as wide."""
    both = np.concatenate([one, other], axis=2).astype(np.uint16)
    found: Array = ((both[:, :, ::2] + both[:, :, 1::2]) // 2).astype(np.uint8)
    return found


MIXED = (overlaid, beside)


def strokes(count: int, stream: Stream) -> tuple[Array, Array]:
    """The nodes (n, STROKES, NODES, 2) of the strokes of so many drawings, and which are smooth (n, STROKES).

    A stroke with fewer nodes repeats its last one, and a drawing with fewer strokes its last stroke.
    """
    shape = (count, STROKES)
    nodes = stream.integers(GRID + 1, (*shape, NODES, 2))
    bars = stream.integers(3, (count, 1)) == 0  # as in E, H and +: single lines, many of them level or upright
    coarse = bars | (stream.integers(2, (count, 1)) == 0)
    nodes = np.where(coarse[..., None, None], (nodes + 3) // 6 * 6, nodes)
    smooth, arcs = (~bars & (stream.integers(parts, shape) == 0) for parts in (2, 3))
    last = np.where(bars, 1, np.maximum(stream.integers(NODES - 1, shape) + 1, np.where(smooth | arcs, 2, 1)))
    for axis in (0, 1):
        level = bars & (stream.integers(3, shape) == 0)
        nodes[..., 1:, axis] = np.where(level[..., None], nodes[..., :1, axis], nodes[..., 1:, axis])
    turn = (np.arange(NODES) + stream.integers(4, shape)[..., None]) % 4
    radii = 1 + stream.integers(GRID // 2, (*shape, 1, 2))
    nodes = np.where(arcs[..., None, None], nodes[:, :, :1] + RING[turn] * radii, nodes)
    join(nodes, last, ~arcs & (last > 1) & (stream.integers(4, shape) == 0), stream)
    used = np.maximum(1 + stream.integers(STROKES - 1, (2, count)).min(axis=0), 3 * bars[:, 0])
    which = np.minimum(np.arange(STROKES), used[:, None])
    nodes = np.take_along_axis(nodes, which[:, :, None, None], 1)
    aspect = np.stack([np.full(count, GRID), GRID // 2 + stream.integers(GRID - 3, (count,))], axis=-1)
    return nodes * aspect[:, None, None], np.take_along_axis(smooth | arcs, which, 1)


def join(nodes: Array, last: Array, closed: Array, stream: Stream) -> None:
    """Move most strokes so that they begin at a node of the stroke before; end each at its node `last`.

    last (n, STROKES); closed (n, STROKES): strokes that end where they begin.
    """
    every, at, apart = np.arange(len(nodes)), stream.integers(NODES, last.shape), stream.integers(4, last.shape) == 0
    chained = stream.integers(6, (len(nodes),)) == 0  # the pen is never lifted
    for k in range(STROKES):
        if k:
            joint = nodes[every, k - 1, np.where(chained, NODES - 1, at[:, k])]
            move = np.where((chained | ~apart[:, k])[:, None], joint - nodes[:, k, 0], 0)
            nodes[:, k] += move[:, None]
        end = np.where(closed[:, k, None], nodes[:, k, 0], nodes[every, k, last[:, k]])
        nodes[:, k] = np.where((np.arange(NODES) >= last[:, k, None])[..., None], end[:, None], nodes[:, k])


def curves(nodes: Array, smooth: Array) -> Array:
    """Dots (n, dots, 2) along strokes: straight lines, or Catmull-Rom curves, through their nodes."""
    p = np.concatenate([nodes[:, :, :1], nodes, nodes[:, :, -1:]], axis=2).astype(np.float64)[:, :, :, None]
    t = (np.arange(DOTS) / DOTS)[:, None]
    a, b, c, d = (p[:, :, i : i + NODES - 1] for i in range(4))
    curved = b + t * ((c - a) / 2 + t * (a - 2.5 * b + 2 * c - d / 2 + t * (1.5 * (b - c) + (d - a) / 2)))
    dots = np.where(smooth[:, :, None, None, None], curved, b + t * (c - b))
    return np.concatenate([dots.reshape(len(nodes), -1, 2), nodes[:, :, -1]], axis=1)


def drawn(count: int, shape: tuple[int, int], like: Mapping[str, float], stream: Stream) -> Array:
    """So many drawings of random strokes, half of them symmetric, framed as `like` says."""
    dots = curves(*strokes(count, stream))
    pen = max(int(like["stroke"] * CELLS / 2 + 0.5) - 1, 1) + PENS[int(stream.integers(len(PENS), (1,))[0])]
    low, high = dots.min(axis=1, keepdims=True), dots.max(axis=1, keepdims=True)
    size = np.maximum((high - low).max(axis=2, keepdims=True), 1.0)
    room = max(like["side"] * CELLS - 2 * pen, 1.0)
    middle = np.array(shape) * CELLS / 2
    at = np.floor((dots - (low + high) / 2) * room / size + middle).astype(np.intp)
    canvas = np.zeros((count, shape[0] * CELLS, shape[1] * CELLS), bool)
    canvas[np.arange(count)[:, None], at[..., 0], at[..., 1]] = True
    canvas[::2] |= canvas[::2, :, ::-1]
    return centred(reduced(thicker(canvas, pen), shape), like)


def thicker(canvas: Array, steps: int) -> Array:
    """Black cells (n, Y, X) and all within so many steps: an octagon around each."""
    for i in range(steps):
        grown = canvas.copy()
        grown[:, 1:] |= canvas[:, :-1]
        grown[:, :-1] |= canvas[:, 1:]
        source = grown.copy() if i % 2 else canvas
        grown[:, :, 1:] |= source[:, :, :-1]
        grown[:, :, :-1] |= source[:, :, 1:]
        canvas = grown
    return canvas


def reduced(canvas: Array, shape: tuple[int, int]) -> Array:
    """How much of each pixel is black, as bytes."""
    cells = canvas.reshape(len(canvas), shape[0], CELLS, shape[1], CELLS)
    found: Array = (cells.sum(axis=(2, 4), dtype=np.uint16) * 255 // CELLS**2).astype(np.uint8)
    return found


def centred(images: Array, like: Mapping[str, float]) -> Array:
    """Images moved by whole pixels, so that their centre of mass is where the data set has it."""
    for axis, wanted in ((1, like["row"]), (2, like["column"])):
        size = images.shape[axis]
        ink = images.sum(axis=3 - axis, dtype=np.int64)
        found = (ink * (2 * np.arange(size) + 1)).sum(axis=1) / (2 * np.maximum(ink.sum(axis=1), 1))
        most = int((size - like["side"]) // 2)
        by = np.clip(np.floor(wanted - found + 0.5).astype(np.intp), -most, most)
        rows = (np.arange(size) - by[:, None]) % size
        images = np.take_along_axis(images, rows[:, :, None] if axis == 1 else rows[:, None, :], axis)
    return images


def negatives(images: Array, count: int, like: Mapping[str, float], stream: Stream) -> Array:
    """So many images (n, Y, X) of no class, made of `images` (N, Y, X), or drawn and framed as `like` says."""
    blocks = []
    for k in range(-(-count // BLOCK)):
        if k % 5 == 4:
            one, other = (images[stream.integers(len(images), (BLOCK,))] for _ in range(2))
            blocks.append(MIXED[k % len(MIXED)](one, other, stream))
        else:
            blocks.append(drawn(BLOCK, images.shape[1:], like, stream))
    return np.concatenate(blocks)[:count]
