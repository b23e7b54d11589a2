"""Averages of the weights over a training: an average is measured and kept instead of the last weights."""

from collections.abc import Callable

from pipeline.base.arrays import Array
from pipeline.base.words import Choice, Number

Average = Callable[[Array, Array, int], None]  # (average, weights, steps taken) -> None; changes the average


def none() -> None:
    """The last weights."""


def ema(share: float) -> Average:
    """An exponential moving average, average = share average + (1 - share) weights: Polyak & Juditsky 1992.

    At first it keeps a smaller share, (1 + steps) / (10 + steps), so that the first weights are soon forgotten.
    """

    def update(average: Array, weights: Array, steps: int) -> None:
        kept = min(share, (1 + steps) / (10 + steps))
        average *= kept
        average += (1 - kept) * weights

    return update


AVERAGES: dict[str, Choice] = {
    "none": Choice(none),
    "ema": Choice(ema, (Number("share", 0, 1, below=True),)),
}
