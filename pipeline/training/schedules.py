"""Schedules: the factor of train.learning_rate at each point of the training.

Each is a function of t, the share of the steps done before (0 to below 1), and of the epoch. It uses only + - * /, so
that it has the same bits everywhere. A resumed training needs to remember nothing.
"""

from collections.abc import Callable

from pipeline.base.words import Choice, Number

Schedule = Callable[[float, int], float]

WARM_UP = 0.2  # the share of the steps in which one_cycle rises
QUARTER_TURN = 1.5707963267948966


def constant() -> Schedule:
    """The learning rate as it is."""
    return lambda t, epoch: 1.0


def linear() -> Schedule:
    """A straight line down to 0."""
    return lambda t, epoch: 1 - t


def cosine() -> Schedule:
    """Down to 0 along half a wave, (1 + cos(pi t)) / 2: Loshchilov & Hutter 2017, without restarts."""

    def schedule(t: float, epoch: int) -> float:
        x, term, total = QUARTER_TURN * t, 1.0, 1.0
        for k in range(1, 12):  # the Taylor series of cos x, whose square is (1 + cos 2 x) / 2
            term *= -x * x / (2 * k * (2 * k - 1))
            total += term
        return total * total

    return schedule


def step(epochs: int, factor: float) -> Schedule:
    """Times `factor` after every `epochs` epochs."""
    times, share = 0, 1.0  # of the last call: an epoch has many steps

    def schedule(t: float, epoch: int) -> float:
        nonlocal times, share
        if epoch // epochs < times:
            times, share = 0, 1.0
        while times < epoch // epochs:
            times, share = times + 1, share * factor  # pow may differ in its last bit
        return share

    return schedule


def one_cycle() -> Schedule:
    """Up from a tenth for a fifth of the steps, then down to 0: Smith & Topin 2018."""
    return lambda t, epoch: 0.1 + 0.9 * t / WARM_UP if t < WARM_UP else (1 - t) / (1 - WARM_UP)


SCHEDULES: dict[str, Choice] = {
    "constant": Choice(constant),
    "linear": Choice(linear),
    "cosine": Choice(cosine),
    "step": Choice(step, (Number("epochs", 1, 1_000_000, whole=True), Number("factor", 0, 1, above=True))),
    "one_cycle": Choice(one_cycle),
}
