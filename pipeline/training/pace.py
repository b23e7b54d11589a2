"""Find the fastest of several ways to take the same steps, by timing steps of the training itself.

The ways differ in time and not in bits, so a trial costs no more than its slower steps. A way of several
threads must be clearly faster than one thread. It is tried again from time to time, and at once if a step takes
longer than with one thread, because other programs come and go.
"""

import time
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.base.arrays import Array
from pipeline.training.loop import Steps

TRIAL = 0.02  # seconds for which each way is tried
ROUNDS = 4  # trials of each way, in turn; the fastest counts, and the first warms up
GAIN = 0.95  # share of the time of one thread: several threads must take less
HOLD = 20.0  # seconds until the next trial; twice as long each time that the same way wins
LONGEST_HOLD = 640.0
PIECE = 1.0  # seconds of steps that are taken at once


class Fastest:
    """Steps, taken by the fastest of `ways` at this time; the first way uses one thread."""

    def __init__(self, ways: Sequence[Steps], clock: Callable[[], float] = time.perf_counter) -> None:
        self.ways, self.clock = ways, clock
        self.best, self.hold, self.until = 0, HOLD / 2, 0.0
        self.seconds: dict[int, float] = {}  # time of a step, by way, in this trial or the last one
        self.waiting: list[int] = []
        self.begin()

    def __call__(self, batches: Array, done: int) -> Array:
        """Take the steps of batches (m, B) after `done` steps; return the losses (m,)."""
        losses = np.empty(len(batches))
        at = 0
        while at < len(batches):
            way = self.waiting.pop(0) if self.waiting else self.best
            piece = batches[at : at + self.length(way)]
            start = self.clock()
            losses[at : at + len(piece)] = self.ways[way](piece, done + at)
            at += len(piece)
            self.note(way, (self.clock() - start) / len(piece))
        return losses

    def begin(self) -> None:
        """Begin a trial."""
        self.trying = True
        self.waiting, self.seconds = list(range(len(self.ways))) * ROUNDS, {}

    def length(self, way: int) -> int:
        """How many steps to take at once."""
        if way not in self.seconds:
            return 1
        return max(int((TRIAL if self.trying else PIECE) / self.seconds[way]), 1)

    def note(self, way: int, seconds: float) -> None:
        """Note the time of a step, and begin or end a trial if it is due."""
        if self.trying:
            self.seconds[way] = min(seconds, self.seconds.get(way, seconds))
            if not self.waiting:
                self.decide()
        elif self.clock() > self.until or (way and seconds > self.seconds[0]):
            self.begin()

    def decide(self) -> None:
        """End a trial."""
        before, alone = self.best, self.seconds[0]
        self.best = min(self.seconds, key=lambda way: self.seconds[way])
        if self.seconds[self.best] > GAIN * alone:
            self.best = 0
        self.hold = min(2 * self.hold, LONGEST_HOLD) if self.best == before else HOLD
        self.trying, self.until = False, self.clock() + self.hold
