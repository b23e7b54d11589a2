"""`dvc repro` on the bundled digits, killed at a random moment and started again: its outputs must be the same."""

import hashlib
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


class Result(NamedTuple):
    """The counts for one way to kill; the last two should be 0.

    DVC writes dvc.lock in place. Killed while it does, it leaves a file cut short that it will not read again: the
    one thing that somebody has to mend by hand, `git checkout dvc.lock`, which is done here and counted.
    """

    killed: str
    runs: int
    before_its_end: int  # runs that were killed in time; the others had already ended
    lock_cut: int  # times that DVC left dvc.lock cut
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
    return subprocess.Popen(
        REPRO,
        cwd=clone.folder,
        env=clone.environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
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
        result = Result(who, 0, 0, 0, 0, 0)
        while result.before_its_end < kills:
            clone = fresh(folder, f"{who} {result.runs}")
            found = kill(clone, everything, moments.uniform(0, lasts), golden)
            result = Result(who, *map(sum, zip(result[1:], (1, *found), strict=True)))
        results.append(result)
    return results


def kill(clone: Clone, everything: bool, moment: float, golden: dict[str, str]) -> tuple[bool, bool, bool, bool]:
    """Whether it was killed before its end, left dvc.lock cut, the next run failed, and the outputs differ."""
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
    failed = repro(clone).wait() != 0
    different = failed or outputs(clone) != golden
    shutil.rmtree(clone.folder.parent)
    return running, cut, failed, different


def whole(lock: Path) -> bool:
    """Whether DVC can read it."""
    try:
        content = YAML(typ="safe").load(lock)
    except YAMLError:
        return False
    return isinstance(content, dict) and "stages" in content
