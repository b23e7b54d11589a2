"""What a sweep costs: trials on the bundled digits by `dvc exp run` one after another, and by `pipeline sweep`.

python tools/sweeping.py                         12 trials, with 1 and with 2 workers; some minutes on two free cores
python tools/sweeping.py --trials 4 --rounds 3   short rounds in turns, of which the fastest counts, on a busy machine
"""

import argparse
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from clone import Clone

SETTINGS = ["-S", "convert.validation=300"]
WORKERS = (1, 2)


class Cost(NamedTuple):
    """The cost of all trials, in seconds: time, and processor time of all processes."""

    wall: float
    processor: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    found: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder, "clone"), PIPELINE_MIRRORS="")
        run(clone, "dvc", "exp", "run", "--name", "first", *SETTINGS, "dvc.yaml")  # the data that all trials share
        for start in range(0, asked.rounds * asked.trials, asked.trials):
            for name, cost in measured(clone, 1000 * start, asked.trials).items():
                found.setdefault(name, []).append(cost)
    costs = {name: Cost(*map(min, zip(*several, strict=True))) for name, several in found.items()}
    serial = costs["dvc exp run"]
    for name, cost in costs.items():
        more = (cost.processor - serial.processor) / asked.trials
        print(f"{name:<22} {cost.wall:7.1f} s, {cost.wall / serial.wall:.2f} of serial; ", end="")
        print(f"processor time {cost.processor:7.1f} s, {more:+.2f} s a trial")


def measured(clone: Clone, seed: int, trials: int) -> dict[str, Cost]:
    """Every way trains its own seeds, so that no run-cache has them.

    `dvc exp run` runs before, between and after the sweeps: the speed of a shared machine drifts within minutes.
    """
    alone, costs = timed(clone, serial(seed, trials, 0)), {}
    for i, workers in enumerate(WORKERS, 1):
        run(clone, "git", "checkout", "--quiet", ".")
        begin = seed + i * trials
        sweep = ["python", "-m", "pipeline", "sweep", "--workers", str(workers), "-S"]
        cost = timed(clone, [[*sweep, f"train.seed=range({begin},{begin + trials})", *SETTINGS]])
        costs[f"sweep, {workers} workers"] = cost
        alone = Cost(*map(sum, zip(alone, timed(clone, serial(seed, trials, i)), strict=True)))
    return {"dvc exp run": alone} | costs


def serial(seed: int, trials: int, part: int) -> list[list[str]]:
    """The commands of one part of the trials; there is one part more than there are sweeps."""
    exp = ["dvc", "exp", "run", *SETTINGS]
    return [[*exp, "-S", f"train.seed={seed + i}", "dvc.yaml"] for i in range(part, trials, len(WORKERS) + 1)]


def timed(clone: Clone, commands: list[list[str]]) -> Cost:
    wall, processor = time.perf_counter(), spent()
    for command in commands:
        run(clone, *command)
    return Cost(time.perf_counter() - wall, spent() - processor)


def spent() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(clone: Clone, *command: str) -> None:
    folder = clone.folder / "examples/digits"
    subprocess.run(command, cwd=folder, env=clone.environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
