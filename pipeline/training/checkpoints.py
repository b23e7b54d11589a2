"""The state of a training run on disk: a killed run continues from there and ends with the same bits.

Checkpoints lie outside DVC's outputs, which are deleted before a stage runs. Their names are hashes of all that decides
a run (data, settings, code), so that no other run uses them. Two generations alternate: if the newest is damaged, the
one before is used.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest, read_npz, write_npz
from pipeline.training.team import ALONE, Team

SHA256 = "sha256"  # the member with the hash of all others
ITERATION = "iteration"
OTHERS = 4  # files of other, unfinished runs that are kept: two files per run
State = dict[str, Array]


class Checkpoints:
    """The checkpoints of one run in `folder`; one is `due` when the last is `every` seconds old."""

    def __init__(self, folder: Path, run: Mapping[str, Any], every: float) -> None:
        self.key = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:32]
        self.slots = [folder / f"{self.key}.{generation}.npz" for generation in (0, 1)]
        self.every, self.written = every, time.monotonic()

    def load(self, process: Team = ALONE) -> State | None:
        """The newest sound state of process 0, if there is one; the next save replaces the older file.

        Raises PipelineError where process 0 trains something else.
        """
        key, state = process.told((self.key, self.newest()))
        if key != self.key:
            raise PipelineError(
                f"process {process.rank} of mpiexec has other data, code or parameters than process 0; "
                "give all of them the same."
            )
        found: State | None = state
        return found

    def newest(self) -> State | None:
        """The newest sound state on this disk."""
        found = {slot: state for slot in self.slots if (state := sound(slot))}
        self.slots.sort(key=lambda slot: int(found[slot][ITERATION]) if slot in found else -1)
        return found.get(self.slots[-1])

    def why_anew(self) -> str:
        """Why a run starts at iteration 0 although checkpoints lie there; empty where there are none."""
        if any(slot.exists() for slot in self.slots):
            return "the checkpoints of this run are damaged"
        others = any(self.slots[0].parent.glob("*.npz"))
        return "the checkpoints here belong to other data, code or parameters" if others else ""

    @property
    def due(self) -> bool:
        """Whether `every` seconds have passed since the last save."""
        return time.monotonic() - self.written >= self.every

    def save(self, iteration: int, state: State) -> None:
        """Replace the older generation."""
        state = {ITERATION: np.array(iteration)} | state
        write_npz(self.slots[0], state | {SHA256: np.array(arrays_digest(state))})
        self.slots.reverse()
        self.written = time.monotonic()

    def clear(self) -> None:
        """Remove the files of this finished run, and files of other runs except the newest OTHERS."""
        for slot in self.slots:
            slot.unlink(missing_ok=True)
        others = sorted(self.slots[0].parent.glob("*.npz"), key=lambda path: path.stat().st_mtime)
        for abandoned in others[:-OTHERS]:
            abandoned.unlink()


def sound(path: Path) -> State | None:
    """The state in a file; None where the file is missing or damaged."""
    try:
        state = read_npz(path)
    except PipelineError:
        return None
    found = state.pop(SHA256, None)
    return state if found is not None and str(found) == arrays_digest(state) else None
