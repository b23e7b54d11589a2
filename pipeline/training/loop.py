"""Minibatches, epochs and history: the loop that every model, gradient and optimizer shares."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.nn.gradients import Gradient
from pipeline.nn.random import Stream
from pipeline.training.optimizers import Optimizer, Slots

WEIGHTS_STREAM, BATCHES_STREAM = 0, 1  # separate, so that a new batch size leaves the first weights alone


class Schedule(NamedTuple):
    """Which images make up which batch, decided by the seed alone."""

    images: int
    batch_size: int
    iterations: int
    sampling: str
    seed: int

    @property
    def per_epoch(self) -> int:
        """Iterations in an epoch: what it takes to see as many images as there are."""
        if self.sampling == "shuffle":
            return -(-self.images // self.batch_size)
        return max(self.images // self.batch_size, 1)

    def epoch(self, number: int) -> Iterator[Array]:
        """The batches of one epoch as blocks (m, B) of image indices; a shuffled epoch may end on a smaller B."""
        stream = Stream(self.seed, BATCHES_STREAM, number)
        if self.sampling == "replacement":
            yield stream.integers(self.images, (self.per_epoch, self.batch_size))
            return
        order = stream.permutation(self.images)
        whole = self.images // self.batch_size * self.batch_size
        if whole:
            yield order[:whole].reshape(-1, self.batch_size)
        if whole < self.images:
            yield order[None, whole:]


def schedule(images: int, batch_size: int, length: int, unit: str, sampling: str, seed: int) -> Schedule:
    """A schedule of `length` iterations or epochs."""
    one = Schedule(images, batch_size, 1, sampling, seed)
    return one._replace(iterations=length * (one.per_epoch if unit == "epochs" else 1))


class Steps(NamedTuple):
    """Training steps: run(batches (m, B)) takes m of them in place and returns their losses (m,).

    At most `block` are asked for at once, so that progress shows and a signal is heeded.
    """

    run: Callable[[Array], Array]
    block: int


def one_by_one(
    gradient: Gradient, optimizer: Optimizer, weights: Array, grads: Array, slots: Slots, images: Array, labels: Array
) -> Steps:
    """Any gradient, any optimizer: gather a batch, differentiate, update."""

    def run(batches: Array) -> Array:
        losses = np.empty(len(batches))
        x = np.empty((batches.shape[1], *images.shape[1:]), weights.dtype)
        gathered = x if images.dtype == x.dtype else np.empty(x.shape, images.dtype)
        for i, batch in enumerate(batches):
            np.take(images, batch, axis=0, out=gathered, mode="clip")
            if gathered is not x:
                np.copyto(x, gathered)
            losses[i] = gradient(x, labels[batch])
            optimizer.update(weights, grads, slots)
        return losses

    return Steps(run, 100)


class Measured(NamedTuple):
    """Accuracies after so many epochs."""

    epoch: float
    train: float
    held_out: float


@dataclass
class History:
    """What training has seen: the loss of every iteration, and the accuracies of every epoch."""

    losses: list[float] = field(default_factory=list)
    accuracies: list[Measured] = field(default_factory=list)


def fit(
    plan: Schedule,
    steps: Steps,
    measure: Callable[[], tuple[float, float]],
    after: Callable[[History], None],
    history: History,
) -> History:
    """Take every step of the plan that `history` lacks; measure after every epoch and after the last step.

    `after` is called with the history after each block. Raises PipelineError where a loss is no longer a number.
    """
    for batches in blocks(plan, steps.block, len(history.losses)):
        losses = steps.run(batches).tolist()
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


def blocks(plan: Schedule, most: int, done: int) -> Iterator[Array]:
    """The batches of `plan` from iteration `done` on, at most so many at a time and never across an epoch's end."""
    for epoch in range(done // plan.per_epoch, -(-plan.iterations // plan.per_epoch)):
        first = epoch * plan.per_epoch
        for batches in plan.epoch(epoch):
            for start in range(0, len(batches), most):
                block = batches[start : start + most][: max(plan.iterations - first - start, 0)]
                block = block[max(done - first - start, 0) :]
                if len(block):
                    yield block
            first += len(batches)
