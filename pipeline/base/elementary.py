"""exp, log and tanh with the same bits on every machine, which no library promises.

IEEE 754 fixes the last bit of + - * / and sqrt, but not of exp. Libraries differ in exp, and one library differs
between processors. All of them agree on the leading digits. So the result of a fast library is rounded to BITS = 28
significant bits. Two libraries can round to different numbers only near the middle between two such numbers. A result
within DOUBT = 32 units in the last place of that middle (one in 2**19) is computed again, by a formula of + - * / alone
(as in Ziv 1991, for the last bit of a double). The formulas here are off by less than 4 units, so that every library
that is off by less than 28 leads to the same bits. NumPy's own code (numpy/numpy#19478) and the usual libraries are off
by less than 4. The price is a relative error of 2**-28; float32 has 2**-24.
"""

import math
from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array

BITS = 28
DOUBT = 32
UNIT = 1 << (53 - BITS)  # a significant bit of the result, in units in the last place
PIECE = 1 << 14  # numbers at a time: to allocate a larger array takes longer than to fill it
LIMIT = 700.0  # the largest |x| of exp: results stay from 1e-304 to 1e304, so that none is subnormal

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # HIGH has 33 bits, so that k HIGH is exact
ROUND = 1.5 * 2.0**52 + 1023  # k + ROUND, for a whole k, shows the exponent field of 2**k in its lowest bits
# r coth(r / 2) = 2 + r^2 / 6 - r^4 / 360 + ... by the Bernoulli numbers, highest power first
COTH = (-691 / 653837184000, 1 / 23950080, -1 / 604800, 1 / 15120, -1 / 360, 1 / 6, 2.0)
# 2 atanh(s) / s = 2 + 2 s^2 / 3 + 2 s^4 / 5 + ..., highest power first
ATANH = tuple(2 / n for n in range(21, 0, -2))


def exp(x: Array, out: Array | None = None) -> Array:
    """E to the power of x, for |x| up to LIMIT; `out` may be x."""
    return settled(np.exp, exp_by_hand, x, LIMIT, out)


def log(x: Array, out: Array | None = None) -> Array:
    """The natural logarithm of positive x; `out` may be x."""
    return settled(np.log, log_by_hand, x, math.inf, out)


def tanh(x: Array, out: Array | None = None) -> Array:
    """The hyperbolic tangent; it is 1 if x is 20 or more. `out` may be x."""
    return settled(np.tanh, tanh_by_hand, x, 20.0, out)


def settled(
    library: Callable[..., Array], by_hand: Callable[[Array], Array], x: Array, limit: float, out: Array | None = None
) -> Array:
    """`library`(x) rounded to BITS significant bits, or `by_hand`(x) if that is in doubt; |x| is at most `limit`."""
    y = np.empty_like(x) if out is None else out
    if x.size > PIECE and len(x) > 1:
        for part in slice(len(x) // 2), slice(len(x) // 2, None):
            settled(library, by_hand, x[part], limit, y[part])
        return y
    if limit < math.inf:
        x = x.clip(-limit, limit)
    bits = library(x, out=y).view(np.int64)
    bits += UNIT // 2 + DOUBT
    rest = bits & (UNIT - 1)
    bits -= rest
    if rest.min(initial=UNIT) < 2 * DOUBT:
        doubtful = rest < 2 * DOUBT
        y[doubtful] = nearest(by_hand(x[doubtful]))
    return y


def nearest(y: Array) -> Array:
    """Y rounded to BITS significant bits, halves away from zero."""
    bits: Array = (y.view(np.int64) + UNIT // 2) & -UNIT
    return bits.view(np.float64)


def exp_by_hand(x: Array) -> Array:
    """E to the power of x, |x| <= 708: within 1.5 units in the last place."""
    below, power = reduced_expm1(x)
    result: Array = (1 + below) * power
    return result


def tanh_by_hand(x: Array) -> Array:
    """(exp(2 x) - 1) / (exp(2 x) + 1), |x| <= 350: within 3.9 units in the last place, near 0 too."""
    below, power = reduced_expm1(2 * x)
    numerator = below * power + (power - 1)
    result: Array = numerator / (numerator + 2)
    return result


def reduced_expm1(x: Array) -> tuple[Array, Array]:
    """(exp(r) - 1, 2**k) for x = k ln 2 + r, |r| <= ln 2 / 2: exp(r) - 1 = 2 r / (r coth(r / 2) - r)."""
    shifted = x * LOG2_E + ROUND
    power = (shifted.view(np.int64) << 52).view(np.float64)
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    return 2 * r / (polynomial(r * r, COTH) - r), power


def log_by_hand(x: Array) -> Array:
    """K ln 2 + 2 atanh((m - 1) / (m + 1)) for x = m 2**k, 0.7 < m < 1.42: within 3 units in the last place."""
    m, k = np.frexp(x)
    low = m < math.sqrt(0.5)
    m, k = np.where(low, 2 * m, m), k - low
    s = (m - 1) / (m + 1)
    result: Array = (s * polynomial(s * s, ATANH) + k * LN2_LOW) + k * LN2_HIGH
    return result


def polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule, highest power first."""
    result: Array = np.zeros_like(x)
    for coefficient in coefficients:
        result = result * x + coefficient
    return result
