"""exp, log and tanh: how precise they are, and that the last digits of a library never matter."""

import decimal
import functools
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base import elementary
from pipeline.base.elementary import (
    DOUBT,
    UNIT,
    exp,
    exp_by_hand,
    log,
    log_by_hand,
    nearest,
    settled,
    tanh,
    tanh_by_hand,
)
from pipeline.nn.random import Stream

RANGES = {
    "exp": [(-700, 700), (-40, 40), (-1, 1), (-1e-3, 1e-3)],
    "log": [(1e-300, 1e-290), (0, 1), (0.5, 1.5), (0.99, 1.01), (1, 100), (1e290, 1e300)],
    "tanh": [(-20, 20), (-1, 1), (-0.3, 0.3), (-1e-3, 1e-3), (-1e-100, 1e-100)],
}
OURS = {"exp": exp, "log": log, "tanh": tanh}
BY_HAND = {"exp": exp_by_hand, "log": log_by_hand, "tanh": tanh_by_hand}
WITHIN = {"exp": 1.5, "log": 3.0, "tanh": 3.9}  # units in the last place, as the docstrings say
WORST = {"exp": [], "log": [], "tanh": [float.fromhex("0x1.ffe42796e3cdcp-10")]}  # seen in searches


def numbers(name, count):
    generator = np.random.default_rng(1)
    return np.concatenate([WORST[name], *(generator.uniform(low, high, count) for low, high in RANGES[name])])


def truth(name, x):
    with decimal.localcontext(prec=150):
        if name == "exp":
            return Decimal(x).exp()
        if name == "log":
            return Decimal(x).ln()
        square = (2 * Decimal(x)).exp()
        return (square - 1) / (square + 1)


def units(name, x, y):
    """How far y is from the truth, in units of the last place of a double."""
    exact = truth(name, x)
    with decimal.localcontext(prec=50):
        return float(abs(Decimal(y) - exact) / Decimal(float(np.spacing(abs(float(exact))))))


@pytest.mark.parametrize("name", BY_HAND)
def test_formulas_are_within_the_units_they_claim(name):
    x = numbers(name, 300)
    assert max(map(units, [name] * len(x), x.tolist(), BY_HAND[name](x).tolist())) < WITHIN[name]


@pytest.mark.parametrize("name", BY_HAND)
def test_library_and_formula_together_stay_within_doubt(name):
    x = numbers(name, 300)
    library = getattr(np, name)(x).tolist()
    assert max(map(units, [name] * len(x), x.tolist(), library)) + WITHIN[name] < DOUBT


@pytest.mark.parametrize("name", OURS)
def test_28_bits_are_the_nearest(name):
    x = numbers(name, 300)
    error = max(map(units, [name] * len(x), x.tolist(), OURS[name](x).tolist()))
    assert UNIT / 4 < error <= UNIT / 2 + 1


def asked(name, x):
    """The numbers of x for which the formula was used."""
    seen = []

    def by_hand(x):
        seen.append(x)
        return BY_HAND[name](x)

    settled(getattr(np, name), by_hand, x, np.inf)
    return np.concatenate(seen)


@pytest.mark.parametrize("name", OURS)
def test_libraries_off_by_some_units_give_the_same_bits(name):
    rare = asked(name, np.random.default_rng(2).uniform(0.5, 1.5, 1 << 21))
    assert 0 < len(rare) < 20  # 4 expected
    x = (rare.view(np.int64)[:, None] + np.arange(-40, 41)).view(np.float64).ravel()

    def library(x, out, off):
        np.add(getattr(np, name)(x).view(np.int64), off, out=out.view(np.int64))
        return out

    others = [functools.partial(library, off=off) for off in (-24, 0, 24)]
    assert len({settled(other, BY_HAND[name], x, np.inf).tobytes() for other in others}) == 1
    assert len({nearest(other(x, np.empty_like(x))).tobytes() for other in others}) > 1  # without the doubt
    assert OURS[name](x[0, ...]) == OURS[name](x)[0]  # an array without axes


@pytest.mark.parametrize("name", OURS)
def test_never_falls_where_the_function_rises(name):
    assert (np.diff(OURS[name](np.sort(numbers(name, 10_000)))) >= 0).all()


@given(st.floats(-1e300, 1e300))
def test_tanh_is_odd_and_within_one(x):
    y = tanh(np.array([x, -x]))
    assert y[0] == -y[1]
    assert abs(y[0]) <= 1


def test_exp_stops_at_its_limit():
    x = np.array([elementary.LIMIT, 701.0, 1e308, np.inf])
    assert len(set(exp(x).tolist())) == len(set(exp(-x).tolist())) == 1
    assert np.isfinite(exp(x)).all()
    assert (exp(-x) > np.finfo(float).tiny).all()


def test_special_values():
    assert exp(np.array([0.0, -0.0])).tolist() == [1, 1]
    assert log(np.array([1.0, np.inf])).tolist() == [0, np.inf]
    assert tanh(np.array([0.0, np.inf, -np.inf])).tolist() == [0, 1, -1]
    with np.errstate(divide="ignore"):
        assert log(np.array([0.0])).tolist() == [-np.inf]


@pytest.mark.parametrize("name", OURS)
def test_not_a_number_stays_one(name):
    assert np.isnan(OURS[name](np.array([1.0, np.nan, 2.0]))).tolist() == [False, True, False]


@pytest.mark.parametrize("name", OURS)
def test_out_may_be_the_argument(name):
    x = numbers(name, 10)[::2]
    expected = OURS[name](x)
    assert OURS[name](x, out=x) is x
    assert np.array_equal(x, expected)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3, 1, 2), (1, 100_000), (3, 50, 300), (100_001,)])
def test_any_shape_will_do(shape):
    x = Stream(1).uniform(math.prod(shape)).reshape(shape)
    assert np.array_equal(exp(x), nearest(exp_by_hand(x)))
    assert np.array_equal(exp(x.T), exp(x).T)
