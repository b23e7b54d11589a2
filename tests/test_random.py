"""Random streams: everywhere the same numbers, independent of one another, with the promised distribution."""

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base import elementary
from pipeline.nn import random
from pipeline.nn.random import Stream

GOLDEN = {
    "integers": (lambda stream: stream.integers(60000, (1000,)), "2134d5d929b81173"),
    "permutation": (lambda stream: stream.permutation(1000), "b8455db490cdf0de"),
    "uniform": (lambda stream: stream.uniform(1000), "69322c2226c18d1f"),
    "normal": (lambda stream: stream.normal(100_000), "f2c484309ed07c0a"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_numbers_never_change(name):
    draw, golden = GOLDEN[name]
    numbers = draw(Stream(1, 0))
    wide = numbers.astype("<i8" if numbers.dtype.kind == "i" else "<f8")
    assert hashlib.sha256(wide.tobytes()).hexdigest()[:16] == golden


def test_the_generator_is_the_published_one():
    """The first numbers of pcg64-testset-1.csv in NumPy's own tests."""
    first = Stream(0xDEADBEAF)._bits.random_raw(3).tolist()
    assert first == [0x60D24054E17A0698, 0xD5E79D89856E4F12, 0xD254972FE64BD782]


@pytest.mark.parametrize("far", [0, 2, 10**6])
def test_a_row_is_the_same_by_whatever_rows_it_is_drawn(monkeypatch, far):
    monkeypatch.setattr(random, "FAR", far)
    whole = Stream(1, 2)._bits.random_raw(4000).astype("<u8").view("<u4").reshape(1000, 8)
    for numbers in ([0], [999], [7, 3, 998, 3], range(1000)):
        assert np.array_equal(Stream(1, 2).rows(np.array(numbers), 8), whole[numbers])


def test_normal_numbers_take_nothing_from_a_library(monkeypatch):
    expected = Stream(2).normal(1000)
    monkeypatch.setattr(random, "log", lambda s: elementary.nearest(elementary.log_by_hand(s)))
    assert np.array_equal(Stream(2).normal(1000), expected)


@pytest.mark.parametrize("other", [(2, 0), (1, 1), (1, 0, 0), (1,)])
def test_each_seed_and_key_has_a_stream_of_its_own(other):
    both = Stream(1, 0).uniform(10_000), Stream(*other).uniform(10_000)
    assert not set(both[0].tolist()) & set(both[1].tolist())
    assert abs(np.corrcoef(*both)[0, 1]) < 0.05


@given(st.integers(1, 2**32), st.integers(0, 2**63 - 1))
def test_integers_stay_below(below, seed):
    numbers = Stream(seed).integers(below, (3, 5))
    assert numbers.shape == (3, 5)
    assert numbers.min() >= 0
    assert numbers.max() < below


def test_integers_are_equally_often():
    counts = np.bincount(Stream(3).integers(10, (100_000,)))
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 27.9  # chi-square, 9 degrees of freedom, one in a thousand


@given(st.integers(0, 200), st.integers(0, 1000))
def test_a_permutation_has_every_number_once(n, seed):
    assert sorted(Stream(seed).permutation(n)) == list(range(n))


@pytest.mark.parametrize(("part", "most"), [(1000, 64), (7, 1000), (100, 3)])
def test_a_permutation_is_the_order_of_its_numbers_however_many_parts_it_comes_in(monkeypatch, part, most):
    monkeypatch.setattr(random, "PART", part)
    monkeypatch.setattr(random, "MOST_PARTS", most)
    one, other = Stream(1, 0), Stream(1, 0)
    raw, parts = one._bits.random_raw(1000), list(other.permuted(1000))
    assert np.array_equal(np.concatenate(parts), np.argsort(raw, kind="stable"))
    assert len(parts) == min(-(-1000 // part), most)
    assert one.uniform(1) == other.uniform(1)


def test_uniform_numbers_fill_the_interval():
    numbers = Stream(4).uniform(100_000)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert np.abs(np.sort(numbers) - np.arange(100_000) / 100_000).max() < 1.95 / math.sqrt(100_000)  # Kolmogorov


def test_normal_numbers_are_normal():
    numbers = np.sort(Stream(5).normal(100_000))
    below = [(1 + math.erf(x / math.sqrt(2))) / 2 for x in numbers]
    assert np.abs(np.array(below) - np.arange(100_000) / 100_000).max() < 1.95 / math.sqrt(100_000)


@pytest.mark.parametrize("size", [0, 1, 2, 1001])
def test_as_many_normal_numbers_as_asked_for(size):
    assert len(Stream(6).normal(size)) == size
