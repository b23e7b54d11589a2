"""What a sweep costs: trials by `dvc exp run`, one after another, and by `pipeline sweep`.

python tools/sweeping.py                         12 trials on MNIST, with 1 and with 2 workers; ten minutes on two free
                                                 cores. $PIPELINE_MIRRORS may say where MNIST's files are.
python tools/sweeping.py --folder examples/digits --trials 4 --rounds 3
                                                 short rounds in turn, of which the fastest counts, on a busy machine
"""

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from clone import Clone

WORKERS = (1, 2)
Do = Callable[..., None]


class Cost(NamedTuple):
    """The cost of all trials, in seconds: time, and processor time of all processes."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=".", help="of the dvc.yaml")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder, "clone"))
        do = partial(run, clone, clone.folder / asked.folder)
        do("dvc", "repro", "dvc.yaml")  # the data that all trials share
        for start in range(0, asked.rounds * asked.trials, asked.trials):
            for name, cost in measured(do, 1000 * start, asked.trials).items():
                found.setdefault(name, []).append(cost)
    costs = {name: Cost(*map(min, zip(*several, strict=True))) for name, several in found.items()}
    serial = costs["dvc exp run"]
    for name, cost in costs.items():
        wall, processor = (
            f"{mine:7.1f} s, {(mine - its) / asked.trials:+.2f} s per trial"
            for mine, its in zip(cost, serial, strict=True)
        )
        print(f"{name:<22} {wall}, {cost.wall / serial.wall:.2f} of serial; processor time {processor}")


def measured(do: Do, seed: int, trials: int) -> dict[str, Cost]:
    """Every way trains its own seeds, so that no run-cache has them.

    `dvc exp run` runs before, between and after the sweeps: the speed of a shared machine drifts within minutes.
    """
    alone, costs = timed(do, serial(seed, trials, 0)), {}
    for i, workers in enumerate(WORKERS, 1):
        do("git", "checkout", "--quiet", ".")
        begin = seed + i * trials
        sweep = ["python", "-m", "pipeline", "sweep", "--workers", str(workers), "-S"]
        cost = timed(do, [[*sweep, f"train.seed=range({begin},{begin + trials})"]])
        costs[f"sweep, {workers} workers"] = cost
        alone = Cost(*map(sum, zip(alone, timed(do, serial(seed, trials, i)), strict=True)))
    return {"dvc exp run": alone} | costs


def serial(seed: int, trials: int, part: int) -> list[list[str]]:
    """The commands of one part of the trials; there is one part more than there are sweeps."""
    exp = ["dvc", "exp", "run", "dvc.yaml", "-S"]
    return [[*exp, f"train.seed={seed + i}"] for i in range(part, trials, len(WORKERS) + 1)]


def timed(do: Do, commands: list[list[str]]) -> Cost:
    wall, processor = time.perf_counter(), spent()
    for command in commands:
        do(*command)
    return Cost(time.perf_counter() - wall, spent() - processor)


def spent() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(clone: Clone, folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, env=clone.environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
