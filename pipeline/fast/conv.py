"""A convolution with the relu and the max pooling after it, several times faster: the batch is the innermost axis.

One matrix S holds the filters for all columns of a pooling cell: block j of its rows has every filter moved by j
columns. The patches P hold, for each row of the image, the q = k + p - 1 columns that a cell sees. So the k rows of a
filter are a view P[y : y + k], and each row of the result is one product S P[y : y + k]. P has p k times fewer columns
than a matrix of all windows. Pooling is the maximum of slabs of memory. Its result lies in memory as (F, Y, X, N).
Other layers get a view of it, (N, F, Y, X).

Why the bits are the same in exact arithmetic: each sum has the terms of pipeline.nn.layers.conv, and zeros, and no
partial sum is rounded. The bias is the same for all places and is added after the maximum: adding it does not change
which sum is the largest. relu and max pooling may change places, and so may relu and scaling.
Shapes: N images; C channels, F filters, k by k pixels; cells of p by p, Y X rows and columns of cells.
"""

from itertools import product
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import Layer, Place, Weights, as_image


def conv_block(at: Place, plain: Layer, padding: int, pool: int, rectified: bool) -> Layer:
    """One layer for conv (stride 1), max_pool of `pool` (1: none) and, if `rectified`, relu; `plain`: only the conv."""
    channels, rows, columns = as_image(at.shape)
    filters, _, k, _ = plain.weights["W"]
    bits, p, q = plain.bits, pool, k + pool - 1
    m = p if at.first and p <= k else 1  # rows of the result that one product yields; more zeros in S for larger cells
    high, wide = (side // p for side in plain.shape[1:])

    def moved(S: Array) -> list[Array]:
        """The p places of the filters in S, as views (F, C, k, k)."""
        blocks = S.reshape(m, p, filters, k + m - 1, channels, q)
        places = product(range(m), range(p))
        return [blocks[i, j, :, i : i + k, :, j : j + k].transpose(0, 2, 1, 3) for i, j in places]

    def patches(x: Array, dtype: np.dtype[Any]) -> Array:
        """P (rows, C q, X N) from x (N, C, rows, columns)."""
        x = x.reshape(-1, channels, rows, columns).transpose(1, 2, 3, 0)
        if padding:
            x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
        x = np.ascontiguousarray(x)[:, : p * high + k - 1]
        P = np.empty((x.shape[1], channels, q, wide, x.shape[3]), dtype)
        for j in range(q):
            np.copyto(P[:, :, j], x[:, :, j : j + p * wide : p].transpose(1, 0, 2, 3))
        return P.reshape(len(P), channels * q, -1)

    def windows(P: Array) -> Array:
        """P[m y : m y + k + m - 1] for each product y: views of P as (p Y / m, (k + m - 1) C q, X N)."""
        row, height = P.strides[0], (k + m - 1) * P.shape[1]
        return np.ndarray((p * high // m, height, P.shape[2]), P.dtype, P, 0, (m * row, *P.strides[1:]))

    def slabs(c: Array) -> list[Array]:
        """The p p pixels of all cells, row by row, as views (F, Y, X N) of c (p Y, p F, X N)."""
        parts = c.reshape(high, p, p, filters, -1)
        return [parts[:, i, j].swapaxes(0, 1) for i, j in product(range(p), range(p))]

    def forward(ops: Arithmetic, w: Weights, x: Array) -> tuple[Array, Any]:
        S = np.zeros((m * p * filters, (k + m - 1) * channels * q), w["W"].dtype)
        for place in moved(S):
            place[...] = w["W"]
        P = windows(patches(x if at.bytes else ops.operand(x, bits.x, at.bound), S.dtype))
        c = np.empty((len(S), len(P), P.shape[2]), S.dtype).swapaxes(0, 1)  # slabs without gaps for pixels of one row
        if not at.first:
            c = np.empty(c.shape, S.dtype)  # rows without gaps, for `inputs`
        first, *others = slabs(np.matmul(S, P, out=c))
        b = w["b"][:, None, None]
        most = np.maximum(first, -b if rectified else first)  # max(sums, -b) + b = max(sums + b, 0)
        for slab in others:
            np.maximum(most, slab, out=most)
        y = most + b
        return y.reshape(filters, high, wide, -1).transpose(3, 0, 1, 2), (S, P, c, most, y)

    def backward(ops: Arithmetic, w: Weights, g: Weights, dy: Array, cache: Any) -> Array | None:
        S, P, c, most, y = cache
        n = len(dy)
        dy = dy.transpose(1, 2, 3, 0).reshape(y.shape)
        if rectified:
            dy *= y > 0
        dy = ops.grid(dy, bits.dy, dy)
        np.add.reduce(dy.reshape(filters, -1), axis=1, out=g["b"])
        free = np.ones(dy.shape, bool)
        for slab in slabs(c):
            first = slab == most
            first &= free
            free ^= first
            np.copyto(slab, first)  # two passes in place take two thirds of the time of one that fills a third array
            slab *= dy
        dS = np.matmul(c, P.swapaxes(1, 2)).sum(axis=0)
        g["W"][...] = sum(moved(dS))
        return None if at.first else inputs(S, c).reshape(*at.shape, n).transpose(3, 0, 1, 2)

    def inputs(S: Array, c: Array) -> Array:
        """dx (C, rows, columns, N) from dc: row r of the patches was seen by rows r - k + 1 to r of the result."""
        backwards = S.reshape(p * filters, k, -1)[:, ::-1].transpose(2, 1, 0).reshape(-1, k, p * filters)
        dx = np.zeros((channels, rows + 2 * padding, columns + 2 * padding, c.shape[2] // wide), c.dtype)
        for r in range(p * high + k - 1):
            low, stop = max(r - k + 1, 0), min(r + 1, p * high)
            seen = backwards[:, low - r + k - 1 : stop - r + k - 1].reshape(channels * q, -1)
            dP = np.matmul(seen, c[low:stop].reshape(-1, c.shape[2])).reshape(channels, q, wide, -1)
            for j in range(q):
                dx[:, r, j : j + p * wide : p] += dP[:, j]
        return dx[:, padding : padding + rows, padding : padding + columns]

    return Layer((filters, high, wide), forward, backward, plain.weights, bits)
