"""Minibatches, epochs and history: the loop that every net, gradient and optimizer shares."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.nn.random import Stream

# separate streams, so that a new batch size does not change the first weights
WEIGHTS_STREAM, BATCHES_STREAM, DROPOUT_STREAM, AUGMENT_STREAM, NEGATIVES_STREAM = 0, 1, 2, 3, 4
BLOCK = 128  # most steps between two looks at progress and signals
DRAWN = 1 << 18  # most images drawn at once, unless a batch has more, so that an epoch of millions fits in memory
RUN, POOL = 500, 4  # sampling blocks: neighbours in a run, and runs that are shuffled together


class Plan(NamedTuple):
    """Which images make up which batch, decided by the seed alone."""

    images: int
    batch_size: int
    iterations: int
    sampling: str
    seed: int

    @property
    def per_epoch(self) -> int:
        """Iterations in an epoch: in these the net sees as many images as there are."""
        if self.sampling == "replacement":
            return max(self.images // self.batch_size, 1)
        return -(-self.images // self.batch_size)

    def epoch(self, number: int) -> Iterator[Array]:
        """The batches of one epoch as blocks (m, B) of image indices; a shuffled epoch may end on a smaller B."""
        stream = Stream(self.seed, BATCHES_STREAM, number)
        if self.sampling == "replacement":
            steps = max(DRAWN // self.batch_size, 1)
            for start in range(0, self.per_epoch, steps):
                yield stream.integers(self.images, (min(steps, self.per_epoch - start), self.batch_size))
            return
        waiting = np.empty(0, np.intp)
        for part in stream.permuted(self.images) if self.sampling == "shuffle" else self.pools(stream):
            waiting = np.concatenate((waiting, part))
            whole = len(waiting) // self.batch_size * self.batch_size
            if whole:
                yield waiting[:whole].reshape(-1, self.batch_size)
            waiting = waiting[whole:]
        if len(waiting):
            yield waiting[None]

    def pools(self, stream: Stream) -> Iterator[Array]:
        """All images in an order that reads a disk in runs: runs are shuffled, then the images of a few runs at a time.

        Neighbours stay within the same few batches, so the data must be mixed already: the stage train checks this.
        """
        runs = stream.permutation(-(-self.images // RUN))
        for start in range(0, len(runs), POOL):
            pool = (runs[start : start + POOL, None] * RUN + np.arange(RUN)).reshape(-1)
            pool = pool[pool < self.images]
            yield pool[stream.permutation(len(pool))]

    def blocks(self, done: int, most: int) -> Iterator[Array]:
        """The batches from iteration `done` on, at most `most` at a time and never across the end of an epoch."""
        for epoch in range(done // self.per_epoch, -(-self.iterations // self.per_epoch)):
            first = epoch * self.per_epoch
            for batches in self.epoch(epoch):
                for start in range(0, len(batches), most):
                    block = batches[start : start + most][: max(self.iterations - first - start, 0)]
                    block = block[max(done - first - start, 0) :]
                    if len(block):
                        yield block
                first += len(batches)
                if first >= self.iterations:  # stop before more are drawn
                    return

    def numbers(self, batches: Array, done: int) -> Array:
        """A number (m, B) for each image in the batches after `done` iterations; no number comes twice in a training.

        Random numbers that depend only on this number do not depend on how the batches are cut.
        """
        if self.sampling == "replacement":
            return np.arange(batches.size).reshape(batches.shape) + done * self.batch_size
        return batches + done // self.per_epoch * self.images


def plan(images: int, batch_size: int, length: str, sampling: str, seed: int) -> Plan:
    """A plan of a length such as '10000 iterations' or '10 epochs'."""
    count, unit = length.split()
    one = Plan(images, batch_size, 1, sampling, seed)
    return one._replace(iterations=int(count) * (one.per_epoch if unit == "epochs" else 1))


class Measured(NamedTuple):
    """Accuracies after a number of epochs."""

    epoch: float
    train: float
    held_out: float


@dataclass
class History:
    """What training has seen: the loss of every iteration, and the accuracies of every epoch."""

    losses: list[float] = field(default_factory=list)
    accuracies: list[Measured] = field(default_factory=list)


Steps = Callable[[Array, int], Array]  # (batches (m, B), steps taken before) -> losses (m,)


def fit(
    plan: Plan,
    steps: Steps,
    measure: Callable[[], tuple[float, float]],
    after: Callable[[History], None],
    history: History,
    most: int = BLOCK,
) -> History:
    """Take every step of the plan that `history` lacks; measure after every epoch and after the last step.

    `after` is called with the history after each block of at most `most` steps. Raises PipelineError where a loss is no
    longer a number.
    """
    for batches in plan.blocks(len(history.losses), most):
        losses = steps(batches, len(history.losses)).tolist()
        require_finite(losses, len(history.losses))
        history.losses += losses
        done = len(history.losses)
        if done % plan.per_epoch == 0 or done == plan.iterations:
            history.accuracies.append(Measured(done / plan.per_epoch, *measure()))
        after(history)
    return history


def require_finite(losses: list[float], before: int) -> None:
    """Raise PipelineError for the first loss that is NaN or infinite; `before` is the iteration before the first."""
    for iteration, loss in enumerate(losses, before + 1):
        if not math.isfinite(loss):
            raise PipelineError(
                f"training diverged: the loss of iteration {iteration} is {loss}; no model was written. "
                "Choose a smaller train.learning_rate."
            )


def require_better_than_guessing(history: History, per_epoch: int, guessing: float, classes: int) -> None:
    """Raise PipelineError where an epoch's loss is far above the loss of guessing, and its accuracy is no better."""
    last, losses = history.accuracies[-1], history.losses
    if len(losses) < per_epoch or last.train >= 1.5 / classes:  # first: a sum over an epoch costs as much as many steps
        return
    mean = sum(losses[-per_epoch:]) / per_epoch
    if mean > 10 * guessing:
        raise PipelineError(
            f"training diverged: after epoch {last.epoch:.1f} the loss is {mean:.4g}, where guessing has "
            f"{guessing:.1f}, and accuracy {last.train:.0%}; no model was written. "
            "Choose a smaller train.learning_rate."
        )
