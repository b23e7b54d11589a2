"""Who takes the steps of a training: threads of this process, or processes that mpiexec started.

This is not a parameter, because no bit depends on it. $PIPELINE_THREADS is a number of threads. Without it, a timing
decides between one thread and several: see pipeline.training.pace.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.base.errors import PipelineError
from pipeline.nn.inference import processors
from pipeline.training.mpi import launched, processes
from pipeline.training.team import ALONE, Workers, threads

THREADS = "PIPELINE_THREADS"
MOST = 1024  # threads that can be asked for
TRIED = (1, 2, 4)  # numbers of threads to try, if nobody asks for a number


@contextmanager
def workers(arithmetic: str, batch_size: int) -> Iterator[Workers]:
    """The workers that the environment asks for. Raises PipelineError where the settings do not allow them."""
    asked = threads_asked()
    if launched():
        with processes() as process:
            require(process.size, f"mpiexec started {process.size} processes", arithmetic, batch_size)
            if process.size > 1 and (asked or 1) > 1:
                raise PipelineError(f"{THREADS} is {asked}, but each process of mpiexec has one thread; unset it.")
            yield Workers(process, [[process]])
    elif asked is None:
        most = min(processors(), batch_size) if arithmetic == "exact" else 1
        yield Workers(ALONE, [threads(size) for size in TRIED if size <= most])
    else:
        require(asked, f"{THREADS} is {asked}", arithmetic, batch_size)
        yield Workers(ALONE, [threads(asked)])


def threads_asked() -> int | None:
    """The number in $PIPELINE_THREADS, if there is one. Raises PipelineError where it is no number of threads."""
    text = os.environ.get(THREADS, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST):
        raise PipelineError(f"{THREADS} is {text!r}, expected a whole number from 1 to {MOST}; correct or unset it.")
    return int(text)


def require(size: int, found: str, arithmetic: str, batch_size: int) -> None:
    """Raise PipelineError where that many workers would change bits or have no work; `found` says who asks for them."""
    if size > 1 and arithmetic != "exact":
        raise PipelineError(
            f"{found}, but train.arithmetic is {arithmetic}, whose bits depend on the number of workers; "
            "set train.arithmetic=exact, or take one worker."
        )
    if size > batch_size:
        raise PipelineError(
            f"{found}, but train.batch_size is {batch_size}, and each worker needs an image of every batch; "
            "take fewer workers or larger batches."
        )
