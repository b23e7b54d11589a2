"""Exact arithmetic: the same bits from every processor, BLAS, thread count, SIMD instruction set and NumPy.

A product's last bits depend on the order in which its terms are added up, which a BLAS chooses by processor and
thread count. Here no term is ever rounded, so that any order gives the same. Numbers on a grid are whole multiples
of one power of two, the step, at most 2**21 of it. A product of two such numbers has at most 42 bits, a sum of 2**11
products at most 53, which is what a double holds: every partial sum is exact, whatever the order, the blocks, the
threads, the fused multiply-adds. `matmul` cuts longer sums into pieces of 2**11 terms and adds their results in turn;
2**32 numbers on a grid may be added as they are; `sum` takes any n numbers and rounds them to 53 - ceil(log2 n) bits.

Rounding to the grid is defined to the last bit too: adding 1.5 * 2**52 steps leads to where doubles lie one step
apart, so that IEEE 754 rounds to the nearest multiple, ties to even, and subtracting them again is exact. Steps are
between 2**-501 and 2**459, so that no product of two underflows or overflows. A maximum is exact in any order, but
for the sign of a zero, which no grid keeps. For exp, log and tanh see pipeline.base.elementary.

Who makes an array that enters a product puts it on its grid; layers do so with a copy of their weights. The error is
at most 2**-22 of the array's largest number, or of its bound; float32's is 2**-24 of each number. That a product is
exact when its factors are short is from Ozaki, Ogita, Oishi & Rump 2012, who add up several such slices of a matrix;
a net does with the first.
"""

import math
from typing import Any

import numpy as np

from pipeline.base.arrays import Array

BITS = 21
TERMS = 1 << (53 - 2 * BITS)
MOST_BITS = 51  # for more, 1.5 * 2**52 steps would not lead to where doubles lie one step apart
SMALLEST, LARGEST = 2.0**-480, 2.0**480  # bounds of the finest and the coarsest grid


def grid(a: Array, bound: float | None = None, at_least: float = SMALLEST, out: Array | None = None) -> Array:
    """`a` rounded to BITS bits below the first power of two from `bound` on; into `out`, which may be `a`, if given.

    A bound is a promise: no |a| is larger. Without one, the largest |a| is looked for and taken where it is more
    than `at_least`; then NaN, infinity or 2**480 anywhere make all of it NaN. `a` may be float32 as well.
    """
    return rounded(a, BITS, largest(a, at_least) if bound is None else bound, out)


def largest(a: Array, at_least: float = SMALLEST) -> float:
    """The largest |a|, or `at_least`; NaN where a number is NaN."""
    high, low = (extreme.reduce(a, axis=None, initial=0.0) for extreme in (np.maximum, np.minimum))
    return max(float(high), -float(low), at_least)


def rounded(a: Array, bits: int, bound: float, out: Array | None = None) -> Array:
    """`a` rounded to `bits`, at most MOST_BITS, below the power of two of `grid`; NaN where the bound is of no use."""
    if not bound < LARGEST:
        return np.add(a, math.nan, out=out)
    fraction, exponent = math.frexp(bound)
    shift = math.ldexp(1.5, exponent - (fraction == 0.5) - bits + (52 if a.itemsize == 8 else 23))
    result = np.add(a, shift, out=out)
    result -= shift
    return result


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The product of (..., N, K) and (..., K, M), both on a grid."""
    result = np.matmul(a[..., :TERMS], b[..., :TERMS, :], out=out)
    for start in range(TERMS, a.shape[-1], TERMS):
        piece = slice(start, start + TERMS)
        result += np.matmul(a[..., piece], b[..., piece, :])
    return result


def sum(a: Array, axis: int | None = None, out: Array | None = None, keepdims: bool = False) -> Any:
    """The sum of all numbers, or along one axis."""
    terms = a.size if axis is None else a.shape[axis]
    exact = rounded(a, min(53 - (terms - 1).bit_length(), MOST_BITS), largest(a))
    return exact.sum(axis=axis, out=out, keepdims=keepdims)
