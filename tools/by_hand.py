"""The four stages by hand, in a folder that is not the project's."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

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
    """A stage with those of the overrides that are for it."""
    its = [override for override in overrides if override.partition(".")[0] in (stage, override)]
    return [sys.executable, "-m", f"pipeline.{stage}", *(part for override in its for part in ("-S", override))]


def run(folder: Path, stage: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(stage, *overrides), cwd=folder, capture_output=True, text=True)


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
