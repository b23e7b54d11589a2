"""The four stages by hand, in a folder outside the project."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
STAGES = ("download", "convert", "train", "evaluate")
OUTPUTS = (
    "data/processed/dataset.npz",
    "data/model/weights.npz",
    *(f"data/model/{name}.csv" for name in ("loss", "accuracy")),
    *(f"data/evaluation/{name}.png" for name in ("accuracy", "loss", "confusion", "mistakes", "weights")),
    *(f"data/evaluation/{name}.json" for name in ("classes", "metrics", "model")),
    "data/evaluation/predictions.csv",
    "data/evaluation/report.html",
)


def command(stage: str, *overrides: str) -> list[str]:
    """A stage with the overrides that are for it."""
    its = [override for override in overrides if override.partition(".")[0] in (stage, override)]
    return [sys.executable, "-m", f"pipeline.{stage}", *(part for override in its for part in ("-S", override))]


def run(folder: Path, stage: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(stage, *overrides), cwd=folder, capture_output=True, text=True)


STRUCK = """
import os, signal, sys, typer
from pipeline import train
from pipeline.training.progress import Progress
say, number, left, train.CHECKPOINT_SECONDS = Progress.write, *[int(sys.argv.pop(1)) for _ in range(3)]
def write(_, *line, **where):
    global left
    say(*line, **where)
    left -= 1
    if not left:
        os.kill(os.getpid(), number)
Progress.write = write
if number != signal.SIGKILL:
    signal.signal(number, signal.SIG_DFL)  # even where these tests run under nohup
typer.run(train.main)
"""


def struck(folder: Path, number: int, override: str, lines: int = 1, every: int = 30, **how: Any) -> tuple[int, str]:
    """Exit code and last words of a training that gets a signal when it has printed `lines` lines."""
    arguments = [number, lines, every, "-S", override]
    line = [sys.executable, "-c", STRUCK, *map(str, arguments)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, **how)
    return done.returncode, done.stderr


def must(folder: Path, stage: str, *overrides: str) -> str:
    done = run(folder, stage, *overrides)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(folder: Path, stage: str, *overrides: str) -> str:
    """The one line with which a stage gives up; it exits with 1 and no traceback."""
    done = run(folder, stage, *overrides)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in OUTPUTS}


def all_stages(folder: Path) -> Path:
    """The bundled digits from download to evaluation."""
    shutil.copy(ROOT / "examples/digits/params.yaml", folder)
    for stage in STAGES:
        must(folder, stage)
    return folder
