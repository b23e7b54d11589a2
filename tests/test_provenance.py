"""A dvc.lock names exactly the code, parameters and inputs that made the outputs."""

import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest
from by_hand import ROOT, STAGES, hashes
from clone import Clone

from pipeline.base import provenance
from pipeline.base.errors import PipelineError
from pipeline.base.files import write_bytes
from pipeline.base.provenance import Basis, code_hash

DIGITS = "examples/digits"


class Train(types.SimpleNamespace):
    """Stands for a section of the parameters."""


class World:
    """A package, parameters and an input, and a stage that has begun on them."""

    def __init__(self, folder: Path) -> None:
        self.package, self.input, self.parameters = folder / "pipeline", folder / "input", {"rate": 1}
        for file in ("base/provenance.py", "report/page.py", "report/page.css", "other.py"):
            (self.package / file).parent.mkdir(parents=True, exist_ok=True)
            (self.package / file).write_text("old")
        self.input.write_text("old")

    def begin(self) -> Basis:
        basis = Basis(self.input)
        basis.read(lambda: Train(**self.parameters))
        return basis


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(provenance, "PACKAGE", world.package)
    page = types.SimpleNamespace(__file__=str(world.package / "report/page.py"))
    monkeypatch.setitem(sys.modules, "pipeline.page", page)
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.chdir(tmp_path)
    return world


CHANGES = {
    "report/page.py changed": lambda world: (world.package / "report/page.py").write_text("new"),
    "report/page.css changed": lambda world: (world.package / "report/page.css").unlink(),
    "input changed": lambda world: write_bytes(world.input, b"another"),
    "section train of the parameters changed": lambda world: world.parameters.update(rate=2),
}


@pytest.mark.parametrize("said", CHANGES)
@pytest.mark.parametrize("late", [False, True], ids=["before the outputs", "while they are written"])
def test_what_changes_under_a_stage_of_dvc_is_an_error(world: World, said: str, late: bool) -> None:
    basis, written = world.begin(), []
    if not late:
        CHANGES[said](world)

    def write() -> None:
        with basis.unaltered():
            written.append("outputs")
            CHANGES[said](world)

    with pytest.raises(PipelineError, match=said):
        write()
    assert bool(written) == late


def test_what_the_stage_does_not_use_may_change(world: World) -> None:
    basis = world.begin()
    (world.package / "other.py").write_text("new")
    (world.package / "report/page.py").write_text("old")  # the same content with another time
    with basis.unaltered():
        pass


@pytest.mark.parametrize("said", CHANGES)
def test_a_stage_by_hand_records_nothing_and_is_let_alone(world: World, said: str, monkeypatch) -> None:
    monkeypatch.delenv("DVC_STAGE")
    basis = world.begin()
    CHANGES[said](world)
    with basis.unaltered():
        pass


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_write_into_an_input_is_an_error_by_hand_too_for_it_may_be_mapped(world: World, by_hand, monkeypatch) -> None:
    if by_hand:
        monkeypatch.delenv("DVC_STAGE")
    basis = world.begin()
    world.input.write_text("another")
    with (
        pytest.raises(PipelineError, match="input was written to while the stage read it"),
        basis.unaltered(),
    ):
        pass


def test_what_editors_hide_is_no_code(world: World) -> None:
    before, parts = (code_hash(["report", "other.py"]), world.begin().code)
    (world.package / "report/.ipynb_checkpoints").mkdir()
    (world.package / "report/.ipynb_checkpoints/page.py").write_text("a copy")
    (world.package / "report/.#page.py").symlink_to("someone@somewhere.1234")
    (world.package / "report/gone.py").symlink_to("nowhere")
    assert (code_hash(["report", "other.py"]), world.begin().code) == (before, parts)
    (world.package / "report/page.py").write_text("new")
    assert code_hash(["report", "other.py"]) != before


def test_code_from_elsewhere_is_refused_in_a_clone_and_only_there(world: World, monkeypatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", ROOT / "pipeline")
    (world.package.parent / "examples/digits").mkdir(parents=True)
    for folder in (".", "examples/digits"):
        monkeypatch.chdir(world.package.parent / folder)
        with pytest.raises(PipelineError, match=re.escape(f"the code in {ROOT / 'pipeline'} is running")):
            world.begin()
    shutil.rmtree(world.package / "base")  # a folder of that name in somebody's own project
    world.begin()


@pytest.mark.parametrize("folder", [DIGITS, "tools"])
def test_digits_and_tools_run_the_code_of_their_clone_whatever_is_installed(tmp_path: Path, folder: str) -> None:
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / folder / "pipeline", tmp_path / folder / "pipeline")
    show = [sys.executable, "-c", "import pipeline.base.provenance as it; print(it.PACKAGE)"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shown = subprocess.run(show, cwd=tmp_path / folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert shown.stdout.strip() == str(tmp_path / "pipeline")


MEANWHILE = """
from pathlib import Path
def edit():
    params = Path("params.yaml")
    params.write_text(params.read_text().replace({old!r}, {new!r}))
"""
BEGUN = """
import typer
from pipeline import {stage} as stage
from pipeline.base.provenance import Basis
def read(basis, load, read=Basis.read):
    settings = read(basis, load)
    edit()
    return settings
Basis.read = read
typer.run(stage.main)
"""
EDITS = {
    "download": ("dataset: digits", "dataset: mnist"),
    "convert": ("normalize: true", "normalize: false"),
    "train": ("learning_rate: 0.5", "learning_rate: 0.25"),
    "evaluate": ("mistakes: 24", "mistakes: 25"),
}


def edited_meanwhile(folder: Path, stage: str, section: str) -> subprocess.CompletedProcess[str]:
    """A stage as DVC runs it, in a folder where a section of the parameters changes as soon as it has begun."""
    old, new = EDITS[section]
    script = MEANWHILE.format(old=old, new=new) + BEGUN.format(stage=stage)
    environment = os.environ | {"DVC_STAGE": stage}
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert new in (folder / "params.yaml").read_text()
    return done


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_notices_an_edit_of_its_own_parameters_and_writes_nothing(copy: Path, stage: str) -> None:
    before = hashes(copy)
    done = edited_meanwhile(copy, stage, stage)
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: section {stage} of the parameters changed while the stage ran")
    assert (done.returncode, hashes(copy)) == (1, before)


@pytest.mark.slow
def test_the_parameters_of_another_stage_may_be_edited_meanwhile(copy: Path) -> None:
    done = edited_meanwhile(copy, "train", "evaluate")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_dvc_locks_no_edit_that_was_made_while_a_stage_ran(tmp_path: Path) -> None:
    """The clone's own code makes the edit: this shows that it runs, although other code is installed."""
    clone = Clone(tmp_path / "clone", PIPELINE_MIRRORS="")
    clone.environment["PYTHONPATH"] = str(ROOT)
    saving, lock = clone.folder / "pipeline/training/saving.py", f"{DIGITS}/dvc.lock"
    edit = MEANWHILE.format(old="learning_rate: 0.5", new="learning_rate: 0.25")
    saving.write_text(saving.read_text().replace("    curves = {", "    edit()\n    curves = {", 1) + edit)
    before = clone.lock(lock).get("train")
    repro = ["dvc", "repro", f"{DIGITS}/dvc.yaml"]
    done = subprocess.run(repro, cwd=clone.folder, env=clone.environment, capture_output=True, text=True)
    assert "error: section train of the parameters changed while the stage ran" in done.stderr
    assert done.returncode
    assert clone.lock(lock).get("train") == before
    assert "0.25" in (clone.folder / DIGITS / "params.yaml").read_text()
