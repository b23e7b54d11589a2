"""Arithmetics: records of the few operations whose bits depend on the machine, or on the order of computing.

IEEE 754 fixes everything else that a net needs (+ - * / sqrt, max, comparisons) to the last bit. It does not fix matrix
products, long sums, exp, log and tanh. Layers take these from a record, so that one code serves all arithmetics.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.base import elementary
from pipeline.base.arrays import Array
from pipeline.nn import exact

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
MOST_KEPT = 1 << 30  # bytes


class Arithmetic(NamedTuple):
    """A way to compute.

    `grid` and `operand` prepare the factors of a product: see pipeline.nn.exact. In floating point they only turn bytes
    into numbers of `dtype`.
    """

    dtype: np.dtype[Any]
    grid: Callable[..., Array]
    operand: Callable[..., Array]
    sum: Callable[..., Any]
    exp: Callable[..., Array]
    log: Callable[..., Array]
    tanh: Callable[..., Array]
    is_exact: bool = False

    def image_by_image(self) -> "Arithmetic":
        """The same, but each image is rounded by itself, so that its answer does not depend on the batch."""
        return self._replace(operand=partial(exact.operand, each=True)) if self.is_exact else self

    def of_part(self, most: exact.Most) -> "Arithmetic":
        """The same for a part of a batch: `most` finds the largest number of all parts, and so their common grid."""
        if most is exact.alone or not self.is_exact:
            return self
        grid, operand, sum = (partial(one, most=most) for one in (self.grid, self.operand, self.sum))
        return self._replace(grid=grid, operand=operand, sum=sum)


def floating(dtype: type[np.floating[Any]]) -> Arithmetic:
    """NumPy's own operations, with the speed and the bits of this machine's BLAS."""

    def grid(a: Array, bits: int, out: Array | None = None) -> Array:
        return a

    def operand(x: Array, bits: int, bound: float | None = None) -> Array:
        return x if x.dtype.kind == "c" else x.astype(dtype, copy=False)  # complex: a step along the imaginary axis

    def sum(a: Array, axis: int | None = None, bound: float | None = None, keepdims: bool = False) -> Any:
        return np.add.reduce(a, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]  # half the overhead of a.sum

    most = np.log(np.finfo(dtype).max) - 2  # 1 / exp(most) is not subnormal

    def exp(x: Array, out: Array | None = None) -> Array:
        y: Array = np.minimum(x, most, out=out)  # complex numbers too: larger ones would give infinity, or NaN
        return np.exp(y, out=y)

    return Arithmetic(np.dtype(dtype), grid, operand, sum, exp, np.log, np.tanh)


ARITHMETICS = {
    "exact": Arithmetic(
        np.dtype(np.float64),
        exact.grid,
        exact.operand,
        exact.sum,
        elementary.exp,
        elementary.log,
        elementary.tanh,
        is_exact=True,
    ),
    "float32": floating(np.float32),
    "float64": floating(np.float64),
}


@contextmanager
def computing() -> Iterator[None]:
    """While entered, BLAS uses one thread: with a second one, products this small take up to ten times longer.

    From then on, glibc keeps the memory of deleted arrays: to get a page from the system takes as long as to fill it.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD):
            library.mallopt(option, MOST_KEPT)
    with threadpool_limits(1, "blas"):
        yield
