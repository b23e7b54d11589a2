"""What the layers compute with: a record of the few operations whose bits depend on how they are done.

Everything else a net needs (+ - * / sqrt, max, comparisons) IEEE 754 fixes to the last bit. A matrix product,
a long sum, exp and log it does not: they come from here, so that the nets read the same in every arithmetic.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.base import elementary
from pipeline.base.arrays import Array
from pipeline.nn import exact


class Arithmetic(NamedTuple):
    """A way to compute.

    `grid(a, bound, at_least, out)` is what an arithmetic asks of each array before it enters a product: see
    pipeline.nn.exact. The layers call it on whatever they hand on; for floating point it changes nothing.
    """

    dtype: np.dtype[Any]
    grid: Callable[..., Array]
    matmul: Callable[..., Array]
    sum: Callable[..., Any]
    exp: Callable[..., Array]
    log: Callable[..., Array]
    tanh: Callable[..., Array]


def as_it_is(a: Array, bound: float | None = None, at_least: float = 0.0, out: Array | None = None) -> Array:
    """The grid of ordinary floating point: the numbers themselves."""
    return a


def floating(dtype: type[np.floating[Any]]) -> Arithmetic:
    """NumPy's own operations: as fast as this machine's BLAS, and with its bits."""
    return Arithmetic(np.dtype(dtype), as_it_is, np.matmul, partial(np.add.reduce, axis=None), np.exp, np.log, np.tanh)


INPUT_BOUND = 2.0  # no pixel and no feature is larger, so that their grid does not depend on the batch


def inputs(ops: Arithmetic, images: Array) -> Array:
    """Images (N, ...) as a net takes them: on the grid of `ops`, as whole numbers from 0 to 255 always are."""
    return ops.grid(images, at_least=INPUT_BOUND) if images.dtype.kind == "f" else images


ARITHMETICS = {
    "exact": Arithmetic(
        np.dtype(np.float64), exact.grid, exact.matmul, exact.sum, elementary.exp, elementary.log, elementary.tanh
    ),
    "float32": floating(np.float32),
    "float64": floating(np.float64),
}


def one_blas_thread() -> AbstractContextManager[Any]:
    """While entered, BLAS uses one thread: for products this small a second one only waits, up to ten times longer."""
    limits: AbstractContextManager[Any] = threadpool_limits(1, "blas")
    return limits
