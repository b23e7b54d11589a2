"""The paper of a picture: one colour, or a smooth surface where light makes it uneven.

Shapes: pictures (Y, X, 3) of colours 0-255; masks (Y, X), in which the paper is searched.
"""

from collections.abc import Iterator

import numpy as np

from pipeline.base.arrays import Array
from pipeline.digit.resize import shrunk

EXPONENTS = np.arange(5)
POWERS = np.add.outer(EXPONENTS, EXPONENTS)  # powers of the terms of a polynomial of two variables
DEGREE = 4  # degree of the surface of unevenly lit paper
PLAIN = 2  # degree of the surface that is fitted to the rim alone
ROUNDS = 20
CELLS = 64  # a surface is fitted to a grid with at most this many cells per side


def papers(picture: Array, mask: Array) -> Iterator[tuple[Array, bool]]:
    """Each paper (Y, X, 3) that `picture` may have within `mask`, and whether it is the paper of a photo.

    Drawing programs leave one colour along the rim. In a photo the paper is what the rim shows, or what most of the
    picture shows: a table may lie along the rim, or the inside may have more ink than paper.
    """
    flat = flat_paper(picture[rim(mask)])
    if flat is not None:
        yield np.broadcast_to(flat, picture.shape), False
        return
    for from_rim in (True, False):
        yield lit_paper(picture, mask, from_rim), True


def rim(mask: Array) -> Array:
    """The border pixels of `mask` (Y, X): a pixel beside them is outside `mask` or outside the picture."""
    p = np.pad(mask, 1)
    edge: Array = mask & ~(p[:-2, 1:-1] & p[2:, 1:-1] & p[1:-1, :-2] & p[1:-1, 2:])
    return edge


def flat_paper(colours: Array) -> Array | None:
    """The one colour that most of `colours` (N, 3) have, as in a drawing program; None in a photo."""
    each, counts = np.unique(colours, axis=0, return_counts=True)
    most = int(counts.argmax())
    paper: Array = each[most]
    return paper if 2 * counts[most] > len(colours) else None


def lit_paper(picture: Array, mask: Array, from_rim: bool) -> Array:
    """The colours (Y, X, 3) of unevenly lit paper: a smooth surface, fitted robustly, so that ink is an outlier.

    Least squares in rounds: a residual r has the weight 1 / (1 + (r / s)^2)^2, s is the median (Geman & McClure 1985).
    The degree grows from 0. With `from_rim` the first rounds use only the rim of `mask`, and s stays the rim's median.
    """
    known = shrunk(mask[..., None].astype(np.float64), CELLS)
    cells = shrunk(picture * mask[..., None], CELLS) / np.maximum(known, 1e-9)
    inside = known[..., 0] > min(0.5, float(known.max()) / 2)  # a thin mask fills no cell by half
    seen = rim(inside)[inside] if from_rim else np.ones(np.count_nonzero(inside), bool)
    basis, colours = terms(inside.shape)[inside], cells[inside]
    paper = np.median(colours[seen], axis=0)
    for round_ in range(ROUNDS):
        residual = np.sqrt(((colours - paper) ** 2).sum(axis=1, keepdims=True))
        weights = 1 / (1 + (residual / max(float(np.median(residual[seen])), 1.0)) ** 2) ** 2
        if round_ < ROUNDS // 2:
            weights *= seen[:, None]
        used = POWERS[POWERS <= DEGREE] <= min(round_ // 3, PLAIN if from_rim else DEGREE)
        fitted = solved(basis[:, used], weights, colours)
        paper = basis[:, used] @ fitted
    return surface(fitted, used, picture.shape[:2])


def solved(basis: Array, weights: Array, colours: Array) -> Array:
    """The coefficients (T, 3) by which `basis` (N, T) fits `colours` (N, 3): least squares with `weights` (N, 1)."""
    equations = basis.T @ (weights * basis) + 1e-6 * np.eye(basis.shape[1])  # solvable for a few pixels, too
    solution: Array = np.linalg.solve(equations, basis.T @ (weights * colours))
    return solution


def terms(shape: tuple[int, ...]) -> Array:
    """The terms of a polynomial up to DEGREE at every place of a picture: (Y, X, T)."""
    down, across = (powers(length) for length in shape)
    products: Array = np.einsum("yi,xj->yxij", down, across)[..., POWERS <= DEGREE]
    return products


def surface(fitted: Array, used: Array, shape: tuple[int, ...]) -> Array:
    """The values (Y, X, 3) of a polynomial in each pixel: `fitted` (T, 3) are the coefficients of the terms `used`."""
    table = np.zeros((DEGREE + 1, DEGREE + 1, 3))
    table[tuple(np.argwhere(POWERS <= DEGREE)[used].T)] = fitted
    down, across = (powers(length) for length in shape)
    return np.moveaxis(down @ np.moveaxis(table, 2, 0) @ across.T, 0, 2)


def powers(length: int) -> Array:
    """Places along a picture's side, from -1 to 1, to the powers of EXPONENTS: (length, DEGREE + 1)."""
    return ((2 * np.arange(length)[:, None] + 1) / length - 1) ** EXPONENTS
