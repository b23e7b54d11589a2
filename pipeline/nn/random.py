"""Random numbers that are the same everywhere: made from raw generator output by exact steps only.

NumPy promises that the raw stream of a bit generator stays the same, but not its distributions (NEP 19).
"""

from collections.abc import Iterator

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.elementary import log

PART = 1 << 20  # numbers drawn or sorted at a time
MOST_PARTS = 64  # parts of a permutation: each costs the time to draw all numbers
FAR = 256  # rows: to jump over a larger gap is faster than to draw it


class Stream:
    """One of the independent streams of a seed, named by `key`."""

    def __init__(self, seed: int, *key: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))

    def integers(self, below: int, shape: tuple[int, ...]) -> Array:
        """Integers from 0 to `below` - 1, `below` at most 2**32; the bias is under below / 2**32."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        return (((raw >> np.uint64(32)) * np.uint64(below)) >> np.uint64(32)).astype(np.intp).reshape(shape)

    def permutation(self, n: int) -> Array:
        """0 to n - 1 in random order."""
        return np.concatenate([*self.permuted(n)])

    def permuted(self, n: int) -> Iterator[Array]:
        """The same, part by part: it is the order of the stream's next n numbers by size.

        For each part, all n numbers are drawn again, and those of one range are kept: memory does not grow with n up
        to PART x MOST_PARTS. Nothing else may be drawn before the last part.
        """
        start, parts = self._bits.state, min(-(-n // PART), MOST_PARTS) or 1
        for part in range(parts):
            low, last = (part << 64) // parts, (part + 1 << 64) // parts - 1
            self._bits.state, found, sizes = start, [], []
            for first in range(0, n or 1, PART):
                raw = self._bits.random_raw(min(PART, n - first))
                inside = np.flatnonzero((raw >= np.uint64(low)) & (raw <= np.uint64(last)))
                found.append(inside + first)
                sizes.append(raw[inside])
            yield np.concatenate(found)[np.argsort(np.concatenate(sizes), kind="stable")]

    def bits16(self, rows: int, columns: int, start: int = 0) -> Array:
        """Random uint16 numbers (rows, columns), the rows from `start` on of a new stream."""
        a_row = -(-columns // 4)
        self._bits.advance(start * a_row)
        raw = self._bits.random_raw(rows * a_row).astype("<u8", copy=False)
        return raw.view("<u2").reshape(rows, -1)[:, :columns]

    def rows(self, numbers: Array, columns: int) -> Array:
        """The rows `numbers` (n, columns) of a new stream that is cut into rows of uint32 numbers; `columns` is even.

        A row depends on its number alone. Rows between those asked for are drawn, too, unless they are many.
        """
        order, at = np.argsort(numbers, kind="stable"), 0
        rows = np.empty((len(numbers), columns), np.uint32)
        for near in np.split(order, np.flatnonzero(np.diff(numbers[order]) > FAR) + 1):
            first, last = int(numbers[near[0]]), int(numbers[near[-1]])
            self._bits.advance((first - at) * columns // 2)
            at = last + 1
            raw = self._bits.random_raw((at - first) * columns // 2).astype("<u8", copy=False)
            rows[near] = raw.view("<u4").reshape(-1, columns)[numbers[near] - first]
        return rows

    def uniform(self, size: int) -> Array:
        """Float64 numbers from 0 to 1 (excluded), all 53 bits random."""
        return (self._bits.random_raw(size) >> np.uint64(11)) * 2.0**-53

    def normal(self, size: int) -> Array:
        """Float64 numbers of mean 0 and standard deviation 1, by Marsaglia's polar method (1964)."""
        found, count = [np.empty(0)], 0
        while count < size:
            u, v = 2 * self.uniform(2 * (size - count) + 16).reshape(2, -1) - 1
            s = u * u + v * v
            inside = (s > 0) & (s < 1)
            u, s = u[inside], s[inside]
            found.append(u * np.sqrt(-2 * log(s) / s))
            count += len(u)
        return np.concatenate(found)[:size]
