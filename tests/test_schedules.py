"""Schedules: where they start, where they end, and how they get there."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.words import made
from pipeline.training.schedules import SCHEDULES, WARM_UP

NEAR_1 = math.nextafter(1, 0)
ENDS = {  # the first and the last value
    "constant": (1, 1),
    "linear": (1, 0),
    "cosine": (1, 0),
    "step 2 0.5": (1, 0.25),
    "one_cycle": (0.1, 0),
}


@pytest.mark.parametrize("text", ENDS)
def test_a_schedule_starts_and_ends_where_it_should_and_turns_nowhere_but_at_its_peak(text):
    schedule, steps = made(SCHEDULES, text), 5000
    shares = [schedule(done / steps, done // 1000) for done in range(steps)]
    assert (shares[0], schedule(NEAR_1, 4)) == pytest.approx(ENDS[text], abs=1e-15)
    peak = round(WARM_UP * steps) if text == "one_cycle" else 0
    assert shares[peak] == max(shares) == 1
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)
    assert min(shares) >= 0


def test_every_schedule_has_its_ends_here():
    assert {text.split()[0] for text in ENDS} == set(SCHEDULES)


@given(st.floats(0, 1, exclude_max=True))
def test_cosine_is_half_a_wave(t):
    assert made(SCHEDULES, "cosine")(t, 0) == pytest.approx((1 + math.cos(math.pi * t)) / 2, rel=0, abs=1e-15)


def test_one_cycle_rises_from_a_tenth_in_a_fifth_of_the_steps():
    schedule = made(SCHEDULES, "one_cycle")
    assert [schedule(t, 0) for t in (0, 0.1, 0.2, 0.6)] == pytest.approx([0.1, 0.55, 1, 0.5], abs=1e-15)


def test_step_multiplies_once_after_so_many_epochs():
    schedule, share = made(SCHEDULES, "step 3 0.7"), 1.0
    for epoch in range(60):
        share *= 0.7 if epoch and epoch % 3 == 0 else 1  # a product: IEEE 754 fixes the bits of products, not of powers
        assert schedule(0.5, epoch) == share
    assert [schedule(0.5, epoch) for epoch in (6, 2, 3)] == [0.7 * 0.7, 1.0, 0.7]


def test_a_step_late_in_a_training_costs_no_more_than_an_early_one():
    """A million calls would take days if each multiplied from the start."""
    schedule = made(SCHEDULES, "step 1 1")
    assert {schedule(0.5, epoch) for epoch in range(1_000_000)} == {1.0}
