"""Processes that take the steps of one training together under MPI, on one machine or on many.

mpi4py hands NumPy arrays to the MPI library: Dalcin & Fang 2021, *mpi4py: status update after 12 years of development*.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.training.team import Team, number

TOLD = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK")  # by Open MPI; by MPICH and Intel MPI; by Slurm
PATIENCE = 2.0  # seconds that a failed process waits for the others to fail, too


def launched() -> bool:
    """Whether mpiexec, or a program in its place, started this process."""
    return any(name in os.environ for name in TOLD)


@contextmanager
def processes() -> Iterator[Team]:
    """This process among those that mpiexec started.

    If all of them fail or stop, only process 0 says why. If one fails alone, it says why, and ends without
    MPI's finalization: then mpiexec ends all. Raises PipelineError where there is no mpi4py or no MPI library.
    """
    try:
        import mpi4py

        mpi4py.rc.finalize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise PipelineError(f"mpiexec started this, but mpi4py cannot be used ({error}); run make extras.") from None
    team = team_of(MPI, MPI.COMM_WORLD)
    try:
        yield team
    except BaseException as failure:
        if all_came(MPI.COMM_WORLD.Ibarrier()):
            MPI.Finalize()
            if team.rank:
                raise SystemExit(getattr(failure, "exit_code", 1)) from None
        raise
    MPI.Finalize()


def all_came(barrier: Any) -> bool:
    """Whether all processes reach a barrier before this one has waited too long."""
    until = time.monotonic() + PATIENCE
    while not (came := barrier.Test()) and time.monotonic() < until:
        time.sleep(0.01)
    return bool(came)


def team_of(MPI: Any, comm: Any) -> Team:
    """This process's place in a communicator. `owned` and `share` take vectors of the same length every time."""
    one = np.empty(1)

    def most(x: float) -> float:
        one[0] = number(x)
        comm.Allreduce(MPI.IN_PLACE, one, MPI.MAX)
        return float(one[0])

    def total(a: Array) -> Array:
        comm.Allreduce(MPI.IN_PLACE, a, MPI.SUM)
        return a

    def counts(a: Array) -> list[int]:
        parts = [team._replace(rank=rank).part(len(a)) for rank in range(comm.size)]
        return [part.stop - part.start for part in parts]

    def owned(a: Array) -> Array:
        its = counts(a)
        mine = np.empty(its[comm.rank], a.dtype)
        comm.Reduce_scatter(a, mine, its, MPI.SUM)
        return mine

    def share(vector: Array) -> None:
        comm.Allgatherv(MPI.IN_PLACE, [vector, counts(vector)])

    team = Team(comm.rank, comm.size, most, total, owned, share, comm.bcast)
    return team
