"""Exact arithmetic: the same bits from every processor, BLAS, thread count, SIMD instruction set and NumPy.

The last bits of a product depend on the order in which its terms are added, and a BLAS chooses this order by
processor and thread count. Here no partial sum is ever rounded, so every order gives the same bits. Before two arrays
enter a product, each is rounded to a grid: whole multiples, up to 2**bits, of one power of two, its step. A
sum of K products of such numbers is exact if the bits of both and log2(K) together are at most 53, the bits of a
double. `bits_for` shares these 53 bits among the three operands of a layer. So the order of the terms, the
blocks of a BLAS, the threads and the cut of a batch cannot matter, and a term of 0 can be left out.

Rounding to a grid is defined to the last bit. Doubles near 1.5 * 2**52 steps lie one step apart. So when that number is
added, IEEE 754 rounds to the nearest multiple, ties to even; the subtraction is exact. A maximum is exact in any
order. The step follows from a bound of the array that does not depend on how a batch was cut: a bound that always holds
(1 for sigmoid), or the largest number of the whole array. The error is at most half a step: 2**-(bits + 1) of the first
power of two that is not below the bound. For exp, log and tanh see pipeline.base.elementary.

A product is exact when its factors are short. Ozaki, Ogita, Oishi & Rump 2012 cut a matrix into several short slices,
and add the products of the slices. A net needs only the first slice.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array

Most = Callable[[float], float]
MANTISSA = 53
MOST_BITS = 51  # with more, doubles near 1.5 * 2**52 steps would not lie one step apart
BYTE_BITS = 8  # of pixels that are whole numbers from 0 to 255
SMALLEST, LARGEST = 2.0**-480, 2.0**480  # bounds of the finest and the coarsest grid


class Bits(NamedTuple):
    """How many bits the operands of a layer's products keep: inputs x, weights w, derivatives dy by the output."""

    x: int
    w: int
    dy: int


def bits_for(inputs: int, images: int, outputs: int | None, x: int | None = None) -> Bits:
    """The bits for a layer. Its products x W, x' dy and dy W' add up `inputs`, `images` and `outputs` terms.

    Every operand gets at least half the bits of the tightest product. x W has one term more, for the bias, and one bit
    to spare, so that its sums stay different after a division by 255. `outputs` is None where dy W' is not needed; `x`
    is the number of bits of inputs that are whole numbers.
    """
    forward, grads = (MANTISSA - (terms - 1).bit_length() for terms in (2 * inputs + 2, images))
    backward = 2 * MANTISSA if outputs is None else MANTISSA - (outputs - 1).bit_length()
    half = -(-min(forward, grads, backward) // 2)
    x = min(forward, grads) - half if x is None else x
    w = min(forward - x, backward - half, MOST_BITS)
    return Bits(x, w, min(grads - x, backward - w, MOST_BITS))


def alone(largest: float) -> float:
    """`largest` itself, because one worker has the whole batch."""
    return largest


def grid(a: Array, bits: int, out: Array | None = None, most: Most = alone) -> Array:
    """`a` rounded to `bits` below the power of two of its largest number; all NaN if one is NaN or at least 2**480.

    If `a` is a part of an array, `most` finds the largest number of all parts from the largest number of this part.
    """
    return rounded(a, bits, most(largest(a)), out)


def operand(x: Array, bits: int, bound: float | None = None, each: bool = False, most: Most = alone) -> Array:
    """Images or activations x (N, ...) on a grid; bytes become doubles.

    `bound` is a promise: no |x| is larger. Without it, the bound is the largest number of the batch. With `each`, it is
    the largest number of each image, so that an answer does not depend on the other images. It is at least 1, because a
    bias is the weight of an input of 1, which must be on the same grid.
    """
    is_bytes, x = x.dtype == np.uint8, x.astype(np.float64, copy=False)
    if is_bytes:
        return x
    if bound is None:
        bound = most(largest(x, 1.0))
        if each and not bound <= 1.0:  # true for NaN, too, so that NaN spoils only its own image
            bounds = np.maximum(np.abs(x).max(axis=tuple(range(1, x.ndim)), keepdims=True), 1.0)
            return rounded(x, bits, bounds)
    return rounded(x, bits, bound)


def largest(a: Array, at_least: float = SMALLEST) -> float:
    """The largest |a|, or `at_least`; NaN where a number is NaN."""
    high = float(np.maximum.reduce(a, axis=None, initial=at_least))  # half the overhead of a.max
    low = -float(np.minimum.reduce(a, axis=None, initial=0.0))
    return low if low > high else high  # high if one of them is NaN


def rounded(a: Array, bits: int, bound: Any, out: Array | None = None) -> Array:
    """`a` rounded to `bits` (at most MOST_BITS) below the first power of two >= `bound`; NaN if that is too large."""
    if isinstance(bound, float):  # the usual case, without the cost of NumPy for a single number
        fraction, exponent = math.frexp(bound)
        shift: Any = math.ldexp(1.5, exponent - (fraction == 0.5) - bits + 52) if bound < LARGEST else math.nan
    else:
        fractions, exponents = np.frexp(np.minimum(bound, LARGEST))
        shift = np.where(bound < LARGEST, np.ldexp(1.5, exponents - (fractions == 0.5) - bits + 52), math.nan)
    result: Array = np.add(a, shift, out=out)
    result -= shift
    return result


def sum(
    a: Array, axis: int | None = None, bound: float | None = None, keepdims: bool = False, most: Most = alone
) -> Any:
    """The sum of all numbers, or along one axis, each first rounded to so few bits that the sum is exact."""
    terms = a.size if axis is None else a.shape[axis]
    bound = most(largest(a)) if bound is None else bound
    exact = rounded(a, min(MANTISSA - (terms - 1).bit_length(), MOST_BITS), bound)
    return np.add.reduce(exact, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]
