"""Dask: a cluster on this machine or on many, and trials that are run again when a worker dies."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError, one_line
from pipeline.cluster import worker
from pipeline.cluster.worker import Order, stored

PIECE = 1 << 24  # bytes of a file that are under way at a time
AGAIN = "run the same command again to go on"
ADVICE = "start a scheduler there, and let Dask's settings name its certificates: docs/sweeps.md"


@contextlib.contextmanager
def connected(address: str, workers: int, place: str) -> Iterator[Any]:
    """A Dask client of the cluster at `address`, or, without an address, of `workers` workers in this process.

    Raises PipelineError where Dask is not installed or nothing answers.
    """
    try:
        import cloudpickle
        from distributed import Client
    except ImportError:
        raise PipelineError("distributed, which runs the trials, is not installed: make extras.") from None
    cloudpickle.register_pickle_by_value(worker)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the trials report what matters
    try:
        with contextlib.ExitStack() as stack:
            where = address or stack.enter_context(local(workers, place))
            try:
                client = stack.enter_context(Client(where))
            except (OSError, TypeError, ValueError, RuntimeError) as error:
                raise PipelineError(f"no cluster answers at {address}: {one_line(error)}; {ADVICE}.") from None
            yield client
    finally:
        cloudpickle.unregister_pickle_by_value(worker)


@contextlib.contextmanager
def local(workers: int, place: str) -> Iterator[Any]:
    """A cluster inside this process: its workers only start trials, which are processes, and wait.

    Dask insists on ports, one for each part. They are on loopback and serve no page.
    """
    import dask
    from distributed import Scheduler, SpecCluster, Worker

    silent: dict[str, Any] = {f"distributed.{role}.http.routes": [] for role in ("scheduler", "worker")}
    calm = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "1s"}  # saves 4 % of a core
    own = {"protocol": "inproc://", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    one = {"cls": Worker, "options": own | {"nthreads": 1, "memory_limit": 0, "local_directory": place}}
    with (
        dask.config.set(silent | calm),
        SpecCluster(
            workers=dict.fromkeys(range(workers), one),
            scheduler={"cls": Scheduler, "options": own},
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


class ByValue:
    """A function that is sent to a worker with its code: inside a task, Dask would send only its module's name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        """What the function returns."""
        return self.function(*arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        import cloudpickle

        return cloudpickle.loads, (cloudpickle.dumps(self.function),)


def outcomes(client: Any, orders: Mapping[str, Order], here: Order) -> Iterator[tuple[str, dict[str, Any]]]:
    """The name and result of each trial when it ends; `here` finds the files of this machine that a worker may need.

    A trial whose worker dies is run again. Raises PipelineError where the cluster is lost.
    """
    from distributed import as_completed

    waiting, tries = as_completed(), 0

    def submit(name: str) -> None:
        nonlocal tries
        tries += 1
        waiting.add(client.submit(ByValue(worker.run), orders[name], key=f"{name} {tries}", pure=False))

    for name in orders:
        submit(name)
    for future in waiting:
        name, status = future.key.partition(" ")[0], future.status
        if status not in ("finished", "error"):
            raise PipelineError(f"the cluster is lost ({status}); {AGAIN}.")
        result = future.result() if status == "finished" else {"error": one_line(future.exception())}
        future.release()  # Dask would run a finished trial again if its worker died
        if "lacking" in result:
            deliver(client, result["worker"], orders[name], here)
            submit(name)
        else:
            yield name, result


def deliver(client: Any, address: str, order: Order, here: Order) -> None:
    """Send missing files to a worker's machine, unless another worker there has got them meanwhile.

    If a worker dies meanwhile, another one gets the trial. Raises OSError where a machine cannot store a file.
    """
    try:
        for md5 in client.run(worker.lacking, order, workers=[address])[address]:
            for offset, piece, last in pieces(stored(here, md5)):
                client.run(worker.store, order, md5, offset, piece, last, workers=[address])
    except (OSError, KeyError, ValueError):
        if address in client.scheduler_info(n_workers=-1)["workers"]:
            raise


def pieces(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Offset and bytes of each piece of a file, and whether it is the last."""
    size = path.stat().st_size
    with path.open("rb") as file:
        for offset in range(0, size, PIECE):
            yield offset, file.read(PIECE), offset + PIECE >= size
