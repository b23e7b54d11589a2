"""`dvc repro` on the bundled digits, killed at a random moment and started again: its outputs must be the same."""

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from clone import Clone
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

LOCK = "examples/digits/dvc.lock"
REPRO = ["dvc", "repro", "examples/digits/dvc.yaml"]
WHO = {"dvc and its stage": True, "dvc alone": False}


BUSY = "another process is writing to "  # what a stage says while the one that a killed DVC left behind still runs


class Result(NamedTuple):
    """The counts for one way to kill; the last two should be 0.

    DVC writes dvc.lock and .dvc/tmp/rwlock in place. Killed while it does, it leaves a file that it cannot read again.
    Somebody has to mend this by hand: `git checkout dvc.lock`, or delete the rwlock. Here it is done and counted.
    """

    killed: str
    runs: int
    before_its_end: int  # runs that were killed in time; the others had already ended
    lock_cut: int  # times that DVC left dvc.lock cut
    rwlock_cut: int
    busy: int  # times that the next dvc repro was refused, because the stage of the killed one still ran
    failed: int  # the next dvc repro
    different: int  # outputs that differ from an undisturbed run


def wrong(result: Result) -> int:
    return result.failed + result.different


def outputs(clone: Clone) -> dict[str, str]:
    """The entry of every output in dvc.lock, and the SHA-256 of its file."""
    folder = clone.folder / "examples/digits"
    recorded = [out for stage in clone.lock(LOCK).values() for out in stage["outs"]]
    return {f"{out}": hashlib.sha256((folder / out["path"]).read_bytes()).hexdigest() for out in recorded}


def repro(clone: Clone) -> subprocess.Popen[bytes]:
    """In a process group of its own; what it prints is in the file `said` beside the clone."""
    with (clone.folder.parent / "said").open("wb") as said:
        return subprocess.Popen(
            REPRO, cwd=clone.folder, env=clone.environment, start_new_session=True, stdout=said, stderr=said
        )


def fresh(folder: Path, name: str) -> Clone:
    (folder / name).mkdir()
    return Clone(folder / name / "clone", PIPELINE_MIRRORS="")


def kill_often(folder: Path, kills: int, seed: int = 0) -> list[Result]:
    """Both ways to kill, each `kills` times before the end of the run."""
    clone, start = fresh(folder, "undisturbed"), time.monotonic()
    assert repro(clone).wait() == 0
    lasts, golden = time.monotonic() - start, outputs(clone)
    assert not clone.changed(), "what is committed, dvc.lock among it, is not what the code makes"
    moments, results = random.Random(seed), []
    for who, everything in WHO.items():
        result = Result(who, *[0] * (len(Result._fields) - 1))
        while result.before_its_end < kills:
            clone = fresh(folder, f"{who} {result.runs}")
            found = kill(clone, everything, moments.uniform(0, lasts), golden)
            result = Result(who, *map(sum, zip(result[1:], (1, *found), strict=True)))
        results.append(result)
    return results


def kill(clone: Clone, everything: bool, moment: float, golden: dict[str, str]) -> tuple[bool, ...]:
    """Was it killed in time; were the lock and the rwlock cut; was the next run busy, did it fail; other outputs?"""
    first = repro(clone)
    time.sleep(moment)
    running = first.poll() is None
    if running and everything:
        os.killpg(first.pid, signal.SIGKILL)
    else:
        first.kill()
    first.wait()
    cut = not whole(clone.folder / LOCK)
    if cut:
        clone.output("git", "checkout", "--quiet", LOCK)
    rwlock = clone.folder / ".dvc/tmp/rwlock"
    rwlock_cut = rwlock.exists() and not is_json(rwlock)
    if rwlock_cut:
        rwlock.unlink()
    failed = repro(clone).wait() != 0
    busy = failed and BUSY in (clone.folder.parent / "said").read_text("utf-8", "replace")
    wait_for_group(first.pid)
    if busy:
        failed = repro(clone).wait() != 0
    different = failed or outputs(clone) != golden
    shutil.rmtree(clone.folder.parent)
    return running, cut, rwlock_cut, busy, failed, different


def wait_for_group(number: int) -> None:
    """Until the stage that a killed DVC left behind has ended."""
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(number, 0)
            time.sleep(0.05)


def whole(lock: Path) -> bool:
    """Whether DVC can read it."""
    try:
        content = YAML(typ="safe").load(lock)
    except YAMLError:
        return False
    return isinstance(content, dict) and "stages" in content


def is_json(file: Path) -> bool:
    try:
        json.loads(file.read_bytes())
    except ValueError:
        return False
    return True
