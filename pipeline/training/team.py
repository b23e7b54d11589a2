"""Workers that take the steps of one training together, each on its part of every batch, with the same bits.

Exact sums and maxima do not depend on the order: see pipeline.nn.exact. Each worker owns a slice of the flat vector. It
adds up that slice of all gradients, updates the weights there, and sends them to all: ZeRO stage 1, Rajbhandari,
Rasley, Ruwase & He 2020. Workers are threads of this process, or processes under MPI: see pipeline.training.mpi.
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.exact import alone

T = TypeVar("T")


class Team(NamedTuple):
    """One of `size` workers, and what the workers do together: all call the same functions in the same order.

    max: the largest number of all workers. sum: an array becomes the sum of all workers' arrays. owned: (array of all
    weights) -> this worker's part of that sum; others read the array until `share`, which gives this worker's part of a
    vector to all. told: the object of worker 0. leave: make sure that nobody waits for this worker any more.
    """

    rank: int
    size: int
    max: Callable[[float], float]
    sum: Callable[[Array], Array]
    owned: Callable[[Array], Array]
    share: Callable[[Array], None]
    told: Callable[[Any], Any]
    leave: Callable[[], None] = lambda: None

    def part(self, count: int) -> slice:
        """The slice of `count` things that belongs to this worker."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


def itself(it: T) -> T:
    """The result for a team of one worker."""
    return it


ALONE = Team(0, 1, alone, itself, itself, lambda vector: None, itself)


class Left(Exception):
    """Another worker has left, and reports the reason itself."""


def threads(size: int) -> list[Team]:
    """`size` workers: threads of this process with the same weights in memory. A single worker is ALONE."""
    if size == 1:
        return [ALONE]
    post: list[list[SimpleQueue[Any]]] = [[SimpleQueue() for _ in range(size)] for _ in range(size)]

    def exchange(rank: int, mine: Any) -> list[Any]:
        """What each worker gives, by rank; no worker continues before all have come."""
        for to in range(size):
            post[rank][to].put(mine)
        return [present(post[other][rank].get()) for other in range(size)]

    def total(rank: int, a: Array) -> Array:
        found = sum(exchange(rank, a))
        exchange(rank, None)  # nobody reads `a` any more
        a[...] = found
        return a

    def owned(rank: int, part: Callable[[int], slice], a: Array) -> Array:
        mine = a[part(len(a))]
        for other, theirs in enumerate(exchange(rank, a)):
            if other != rank:
                mine += theirs[part(len(a))]
        return mine

    def share(rank: int, vector: Array) -> None:
        exchange(rank, None)  # the vector is in the memory of all threads

    def leave(rank: int) -> None:
        for to in range(size):
            post[rank][to].put(Left)

    def team(rank: int) -> Team:
        return Team(
            rank,
            size,
            max=lambda x: max(exchange(rank, number(x))),
            sum=partial(total, rank),
            owned=partial(owned, rank, Team(rank, size, *ALONE[2:]).part),
            share=partial(share, rank),
            told=lambda it: exchange(rank, it)[0],
            leave=partial(leave, rank),
        )

    return [team(rank) for rank in range(size)]


def present(message: Any) -> Any:
    """A message of another worker. Raises Left where the message says that this worker has left."""
    if message is Left:
        raise Left
    return message


def number(x: float) -> float:
    """`x`, or infinity if `x` is NaN, because NaN has no order; there is no grid for either."""
    return math.inf if math.isnan(x) else x


def side_by_side(teams: Sequence[Team], work: Callable[[Team], T]) -> T:
    """Call work(team) for all workers, the first one on this thread, the others on new ones; return the first result.

    If a worker fails, all others end; then the exception of the first one that failed is raised.
    """
    first, *others = teams
    if not others:
        return work(first)
    failures: list[BaseException] = []

    @np.errstate(over="ignore", invalid="ignore")  # each thread has its own; divergence is reported in one line
    def worked(team: Team, *before: Callable[[], Any]) -> Any:
        try:
            for begin in before:
                begin()
            return work(team)
        except BaseException as failure:
            team.leave()
            failures.append(failure)

    with ThreadPoolExecutor(len(others)) as pool:
        result: T = worked(first, *(partial(pool.submit, worked, other) for other in others))
    for failure in sorted(failures, key=lambda one: isinstance(one, Left)):
        raise failure
    return result


class Workers(NamedTuple):
    """Who trains: `process` is this process among others; each of `crews` is a list of its workers that can train."""

    process: Team = ALONE
    crews: Sequence[Sequence[Team]] = ((ALONE,),)


SOLE = Workers()
