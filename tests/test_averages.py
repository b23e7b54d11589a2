"""Averages of the weights over a training."""

import numpy as np
import pytest

from pipeline.base.words import made
from pipeline.training.averages import AVERAGES


def test_none_is_no_average():
    assert made(AVERAGES, "none") is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ema_forgets_the_first_weights_sooner_than_later_ones(dtype):
    update, average, expected = made(AVERAGES, "ema 0.9"), np.full(3, 100, dtype), 100.0
    for step in range(300):
        weights = np.full(3, step, dtype)
        update(average, weights, step)
        kept = min(0.9, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * step
        assert weights.tolist() == [step] * 3
    assert average.dtype == dtype
    np.testing.assert_allclose(average, expected, rtol=1e-5 if dtype is np.float32 else 1e-13)
    assert average[0] == pytest.approx(
        299 - 9, rel=1e-3
    )  # weights grow by 1; the average is share / (1 - share) behind


def test_an_average_of_equal_weights_is_those_weights():
    update, weights = made(AVERAGES, "ema 0.999"), np.array([0.1, -3.0, 1e-300])
    average = weights.copy()
    for step in range(100):
        update(average, weights, step)
    np.testing.assert_allclose(average, weights, rtol=1e-13)
