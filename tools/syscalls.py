"""Make every file and socket call of a stage fail in turn, or kill the stage there: strace injects the fault.

After each fault every output must be absent, the old one or the new one, whole; an error must be one line and exit
code 1, or what a shell makes of the signal; and the same command without the fault must end with all outputs as they
should be, and nothing beside them.
"""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from by_hand import ROOT, command
from serve_folder import serving_folder

CALLS = "%file,%desc,%network"
FAULTS = {
    "SIGKILL": "signal=SIGKILL",
    "SIGTERM": "signal=SIGTERM",
    "SIGINT": "signal=SIGINT",
    "ENOSPC": "error=ENOSPC",
    "EIO": "error=EIO",
}
CODES = {"SIGTERM": 143, "SIGINT": 130}
# the signal came when a file was open and had no owner yet: Python may warn about this
UNHELD = re.compile(r"Exception ignored in: [^\n]*\n(?:Traceback[^\n]*\n(?: [^\n]*\n)*)?ResourceWarning: [^\n]*\n")
RAW = [f"data/raw/{split}-{part}-ubyte.gz" for split in ("train", "t10k") for part in ("images-idx3", "labels-idx1")]
OUTPUTS = {
    "download": [*RAW, "data/raw/dataset.json"],
    "convert": ["data/processed/dataset.npz"],
    "train": ["data/model/weights.npz", "data/model/loss.csv", "data/model/accuracy.csv"],
    "evaluate": [],  # all of data/evaluation
    "naive": RAW,
}
PARAMS = re.sub("length: [0-9]+", "length: 60", (ROOT / "examples/digits/params.yaml").read_text())  # two checkpoints
OTHERWISE = {"convert": "convert.normalize=false", "train": "train.seed=2"}  # how the old outputs were made
PLACES = {"convert": "data/processed", "train": "data/model", "evaluate": "data/evaluation"}
STAGES = ["download", *PLACES]

LONGEST = 180  # seconds that a stage may take

Files = dict[str, bytes]


class Result(NamedTuple):
    """The counts of one kind of fault in one stage; all except the first two should be 0."""

    stage: str
    fault: str
    injected: int
    corrupt: int  # an output that is not absent, not the old one and not the new one
    untidy: int  # more or less than one line, another exit code, success without the outputs
    unhealed: int  # the next run failed, or left other files


def wrong(result: Result) -> int:
    return result.corrupt + result.untidy + result.unhealed


class Workshop:
    """A folder to start from for each stage, with old outputs in it, and the outputs of an undisturbed run."""

    def __init__(self, folder: Path, mirror: str) -> None:
        self.folder, self.environment = folder, environment(mirror)
        done, old = self.finished("done", {}), self.finished("old", OTHERWISE)
        for stage, place in PLACES.items():
            shutil.copytree(done, folder / stage)
            shutil.rmtree(folder / stage / place)
            shutil.copytree(old / place, folder / stage / place)
        for stage, prepare in (("download", spoil), ("naive", Path.mkdir), ("warm", Path.mkdir)):
            prepare(folder / stage)
            (folder / stage / "params.yaml").write_text(PARAMS)
        self.new = {stage: outputs(done, stage) for stage in OUTPUTS}
        self.server = subprocess.Popen(
            [sys.executable, ROOT / "tools/stage_server.py", folder / "warm"],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def finished(self, name: str, overrides: dict[str, str]) -> Path:
        """A folder in which every stage has run as a person runs it."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        (folder / "params.yaml").write_text(PARAMS)
        for stage in STAGES:
            line = command(stage, *filter(None, [overrides.get(stage)]))
            subprocess.run(line, cwd=folder, env=self.environment, check=True, stdout=subprocess.DEVNULL)
        return folder

    def run(self, stage: str, *tracing: str) -> tuple[Path, int, str]:
        """Copy the stage's folder and run it there, under strace if it is told what to do: folder, status, stderr."""
        folder = self.folder / "now"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder / stage, folder, copy_function=shutil.copy)
        return folder, *self.again(stage, *tracing)

    def again(self, stage: str, *tracing: str) -> tuple[int, str]:
        """The same in the same folder: status, stderr."""
        folder, errors = self.folder / "now", self.folder / "errors"
        assert self.server.stdin
        assert self.server.stdout
        print(json.dumps([stage, str(folder), str(errors)]), file=self.server.stdin, flush=True)
        process = int(self.server.stdout.readline())
        wait_until(partial(is_stopped, process))
        if tracing:
            strace = subprocess.Popen(
                ["strace", "-f", "-qq", "-o", self.folder / "trace", "-p", str(process), *tracing],
            )
            wait_until(lambda: is_traced(process) or strace.poll() is not None)
            if strace.poll() is not None:
                raise RuntimeError(f"strace: exit code {strace.returncode}; may it trace other processes here?")
        os.kill(process, signal.SIGCONT)
        if not select.select([self.server.stdout], [], [], LONGEST)[0]:
            os.kill(process, signal.SIGKILL)
            raise RuntimeError(f"{stage} {' '.join(tracing)}: still running after {LONGEST} s")
        status = int(self.server.stdout.readline())
        if tracing:
            strace.wait()
        return status, errors.read_text(errors="replace")

    def close(self) -> None:
        self.server.communicate()


def environment(mirror: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return inherited | {"PIPELINE_MIRRORS": mirror, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}


def spoil(folder: Path) -> None:
    """What a download may find: a file that is right, one that is damaged, an old description."""
    (folder / "data/raw").mkdir(parents=True)
    source = ROOT / "examples/digits/published"
    shutil.copy(source / Path(RAW[3]).name, folder / RAW[3])
    (folder / RAW[1]).write_bytes((source / Path(RAW[1]).name).read_bytes()[:-9])
    (folder / "data/raw/dataset.json").write_bytes(b"{}\n")


def outputs(folder: Path, stage: str) -> Files:
    paths = [folder / name for name in OUTPUTS[stage]] or [*(folder / "data/evaluation").iterdir()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.exists()}


def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.001)


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def is_traced(process: int) -> bool:
    return "TracerPid:\t0" not in Path(f"/proc/{process}/status").read_text()


def points(workshop: Workshop, stage: str) -> list[tuple[str, int]]:
    """Every call of an undisturbed run after its start: its name, and its number among such calls in its thread."""
    workshop.run(stage, "-e", f"trace={CALLS}")
    calls = Counter(re.findall(r"^(\d+) +(\w+)\(", (workshop.folder / "trace").read_text(), re.MULTILINE))
    most: Counter[str] = Counter()
    for (_, name), count in calls.items():
        most[name] = max(most[name], count)
    del most["mmap"]  # Python gets memory by mmap
    return [(name, number) for name, count in most.items() for number in range(1, count + 1)]


def inject(workshop: Workshop, stage: str, fault: str, every: int = 1, first: int = 0) -> Result:
    """One fault at every call of a stage, or at one call in `every`."""
    old, new = outputs(workshop.folder / stage, stage), workshop.new[stage]
    counts: Counter[str] = Counter()
    for name, number in points(workshop, stage)[first % every :: every]:
        injection = f"inject={name}:{FAULTS[fault]}:when={number}"
        folder, status, errors = workshop.run(stage, "-e", f"trace={name}", "-e", injection)
        trace = (workshop.folder / "trace").read_text()
        if "INJECTED" not in trace and f"--- {fault} " not in trace and f"killed by {fault}" not in trace:
            continue  # this run made fewer such calls
        counts["injected"] += 1
        wrong = [
            "corrupt" if not sound(folder, stage, old, new) else "",
            "untidy" if fault != "SIGKILL" and not tidy(folder, stage, fault, status, errors, name, new) else "",
            "unhealed" if not healed(workshop, stage, folder, new) else "",
        ]
        counts.update(filter(None, wrong))
        if any(wrong) and stage != "naive":
            print(f"{stage}, {fault} at {name} {number}: {' '.join(wrong)}, status {status}: {errors}", file=sys.stderr)
    return Result(stage, fault, *(counts[column] for column in Result._fields[2:]))


def sound(folder: Path, stage: str, old: Files, new: Files) -> bool:
    """Whether every output is absent, old or new; if metrics.json is there, all of the evaluation are of one kind."""
    found = outputs(folder, stage)
    found = {name: content for name, content in found.items() if not name.endswith(".part")}
    if stage == "evaluate" and "data/evaluation/metrics.json" in found:
        return found in (old, new)
    return all(content in (old.get(name), new.get(name)) for name, content in found.items())


def tidy(folder: Path, stage: str, fault: str, status: int, errors: str, call: str, new: Files) -> bool:
    """Whether a stage said in one line that it failed or stopped, if it could write that line, or did not fail."""
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return outputs(folder, stage) == new and not errors
    if fault in CODES:
        said = UNHELD.sub("", errors)
        if not said:  # before the stage began
            return code in (CODES[fault], -signal.Signals[fault])
        return code == CODES[fault] and said.startswith("Stopped") and said.count("\n") == 1
    if not errors and call == "write":
        return code in (1, 120)  # Python's own for an output that cannot be flushed
    return code == 1 and errors.startswith("error: ") and errors.count("\n") == 1


def healed(workshop: Workshop, stage: str, folder: Path, new: Files) -> bool:
    status, _ = workshop.again(stage)
    extra = [path.name for path in folder.rglob(".*") if path.name != ".lock"]
    return status == 0 and outputs(folder, stage) == new and not extra


@contextlib.contextmanager
def workshop(folder: Path) -> Iterator[Workshop]:
    """With the four files served on this machine, so that a download has sockets to fail."""
    with serving_folder(ROOT / "examples/digits/published") as mirror:
        made = Workshop(folder, mirror)
        try:
            yield made
        finally:
            made.close()
