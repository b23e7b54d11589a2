"""Runs that git and DVC remember are put side by side in one page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clone import ROOT, Clone

from pipeline.base.text import columns
from pipeline.report.comparison import comparison

DIGITS = "examples/digits"


class Run:
    """As pipeline.commands.compare reads one."""

    def __init__(self, name: str, **params: object) -> None:
        self.name, self.params = name, {"train.hidden": 50, **params}
        self.metrics = {"accuracy": 0.91, "images": 297}
        self.curves = {"epoch": [0.0, 1.0], "held_out": [0.1, 0.91]}


def test_only_parameters_that_differ_are_shown() -> None:
    page = comparison([Run("HEAD", seed=1), Run("other", seed=2)]).decode()
    assert "<tr><th>seed</th><td>1</td><td>2</td></tr>" in page
    assert "train.hidden" not in page


def test_a_name_cannot_become_markup() -> None:
    assert "<script>" not in comparison([Run("<script>"), Run("other")]).decode()


def test_the_same_runs_make_the_same_page() -> None:
    assert comparison([Run("a"), Run("b")]) == comparison([Run("a"), Run("b")])


def test_columns_are_read_by_name() -> None:
    assert columns("epoch,train\n0,0.5\n1,0.75\n") == {"epoch": [0.0, 1.0], "train": [0.5, 0.75]}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_commit_and_its_experiments_are_compared(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", PIPELINE_MIRRORS="")
    who = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    clone.environment |= dict.fromkeys(who, "someone@example.org")
    clone.output("dvc", "repro", "--quiet", f"{DIGITS}/dvc.yaml")
    clone.folder /= DIGITS
    clone.output("git", "add", "--all")
    clone.output("git", "commit", "--quiet", "--allow-empty", "--message", "made here")
    clone.output("dvc", "exp", "run", "--quiet", "--name", "wide", "-S", "train.hidden=80", "dvc.yaml")
    assert clone.output("python", "-m", "pipeline.commands.compare") == "HEAD, wide: data/compare.html\n"
    page = (clone.folder / "data/compare.html").read_text()
    assert "<tr><th>train.hidden</th><td>50</td><td>80</td></tr>" in page


@pytest.mark.slow
def test_an_unknown_revision_is_one_line(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pipeline.commands.compare", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing to compare at nowhere: ")
    assert done.stderr.count("\n") == 1


def test_outside_a_repository_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline.commands.compare"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: git says: fatal: not a git repository")
    assert done.stderr.count("\n") == 1
