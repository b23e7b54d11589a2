"""Random numbers that are the same everywhere: made from raw generator output by exact steps only.

NumPy promises that the raw stream of a bit generator stays the same, but not its distributions (NEP 19).
"""

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.elementary import log


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
        return np.argsort(self._bits.random_raw(n), kind="stable")

    def bits16(self, rows: int, columns: int, start: int = 0) -> Array:
        """Random uint16 numbers (rows, columns), of a new stream those from row `start` on."""
        a_row = -(-columns // 4)
        self._bits.advance(start * a_row)
        raw = self._bits.random_raw(rows * a_row).astype("<u8", copy=False)
        return raw.view("<u2").reshape(rows, -1)[:, :columns]

    def rows(self, numbers: Array, columns: int) -> Array:
        """Those rows (n, columns) of a new stream that is cut into rows of uint32 numbers; `columns` is even.

        A row depends on its number alone. All rows from the first to the last of them are drawn.
        """
        first, last = int(numbers.min()), int(numbers.max())
        self._bits.advance(first * columns // 2)
        raw = self._bits.random_raw((last - first + 1) * columns // 2).astype("<u8", copy=False)
        rows: Array = raw.view("<u4").reshape(-1, columns)[numbers - first]
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
