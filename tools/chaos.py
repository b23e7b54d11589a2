"""Make every call fail, one at a time, and count what is wrong afterwards: nothing should be wrong.

python tools/chaos.py                  every call of every stage, 50 times dvc repro; half an hour
python tools/chaos.py --every 20 --kills 4       a sample of both; a minute or two
python tools/chaos.py --record docs/chaos.json   keep the figures for docs/faults.md
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import repro_kills
import syscalls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="inject at every so manieth call only")
    parser.add_argument("--stages", nargs="*", default=[*syscalls.STAGES, "naive"], help="which, rather than all")
    parser.add_argument("--faults", nargs="*", default=[*syscalls.FAULTS], help="which, rather than all")
    parser.add_argument("--kills", type=int, default=50, help="how often to kill dvc repro")
    parser.add_argument("--record", type=Path, help="a JSON file for the figures")
    asked = parser.parse_args()
    injected, killed = [], []
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder:
        with syscalls.workshop(Path(folder, "calls")) as workshop:
            for stage in asked.stages:
                for fault in asked.faults:
                    injected.append(syscalls.inject(workshop, stage, fault, asked.every))
                    show(injected[-1], header=len(injected) == 1)
        if asked.kills:
            killed = repro_kills.kill_often(Path(folder), asked.kills // 2)
        for i, result in enumerate(killed):
            show(result, header=not i)
    if asked.record:
        results = {"calls": injected, "repro": killed}
        figures: dict[str, Any] = {name: [one._asdict() for one in found] for name, found in results.items()}
        figures["every"] = asked.every
        asked.record.write_text(json.dumps(figures, indent=2) + "\n")
    ours = [result for result in injected if result.stage != "naive"]
    sys.exit(any(map(syscalls.wrong, ours)) or any(map(repro_kills.wrong, killed)))


def show(result: Any, header: bool) -> None:
    if header:
        print(row(result._fields))
    print(row(result), flush=True)


def row(cells: Sequence[object]) -> str:
    return "  ".join(f"{str(cell).replace('_', ' '):>16}" for cell in cells)


def fast_folder() -> str | None:
    """A folder where fsync costs nothing, if there is one; the injected faults do not depend on it."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


if __name__ == "__main__":
    main()
