"""The type of all arrays in this package, and a type for arrays that are larger than memory."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class Rows:
    """An array (N, ...) that may be larger than memory: each iteration makes its rows again, a block at a time."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Callable[[], Iterator[Array]]) -> None:
        self.shape, self.dtype, self.blocks = shape, dtype, blocks

    @classmethod
    def of(cls, array: Array, count: int) -> "Rows":
        """An array, `count` rows at a time."""
        starts = range(0, len(array), count)
        return cls(array.shape, array.dtype, lambda: (array[start : start + count] for start in starts))

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        return self.blocks()

    @property
    def nbytes(self) -> int:
        """Bytes of all rows together."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    def each(self, make: Callable[[Array], Array]) -> "Rows":
        """These rows after `make`, which treats each row alike."""
        one = make(np.zeros((1, *self.shape[1:]), self.dtype))
        return Rows((len(self), *one.shape[1:]), one.dtype, lambda: map(make, self))

    def cut(self, start: int, stop: int) -> "Rows":
        """The rows from `start` to before `stop`. Rows after them are not made; the last rows are read to the end."""

        def blocks() -> Iterator[Array]:
            at = 0
            for block in self:
                if len(part := block[max(start - at, 0) : max(stop - at, 0)]):
                    yield part
                at += len(block)
                if stop <= at and stop < len(self):
                    return

        stop = min(stop, len(self))
        return Rows((stop - start, *self.shape[1:]), self.dtype, blocks)

    def whole(self) -> Array:
        """All rows in memory."""
        array, at = np.empty(self.shape, self.dtype), 0
        for block in self:
            array[at : at + len(block)] = block
            at += len(block)
        return array
