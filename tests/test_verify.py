"""`make verify` makes everything again, with any caches, and names what differs from the committed lock."""

import subprocess
from pathlib import Path

import pytest
from clone import Clone, stages_run

from pipeline.base.errors import PipelineError
from pipeline.commands import verify

DIGITS = "examples/digits/dvc.yaml"
VERIFY = ["python", "-m", "pipeline", "verify", DIGITS]


def test_a_project_below_the_root_of_its_repository_is_found_and_its_raw_files_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "all of it" / "the project"
    project.mkdir(parents=True)
    (project / "dvc.lock").write_text("stages: {train: {outs: [{path: net, md5: abc}]}}")
    who = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "all"]):
        subprocess.run(["git", *command], cwd=project.parent, check=True)
    git, run = verify.call, []

    def call(folder: Path, *command: str, mirror: str = "") -> None:
        git(folder, *command) if command[0] == "git" else run.append((folder.name, *command, mirror))

    monkeypatch.setattr(verify, "call", call)
    monkeypatch.chdir(project)
    verify.main(["dvc.yaml"])
    assert run == [("the project", "dvc", "repro", "--force", "dvc.yaml", (project / "data/raw").as_uri())]
    assert capsys.readouterr().out.endswith(
        "same    abc  net\nEvery artefact has the committed hash: these results are reproduced.\n"
    )


def test_an_experiment_is_found_by_its_name_and_with_the_pipeline_that_it_ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = Clone(tmp_path / "clone")
    monkeypatch.chdir(clone.folder)
    assert verify.run_by("") == ["dvc.yaml", DIGITS]
    lock = clone.folder / "examples/digits/dvc.lock"
    lock.write_text(lock.read_text() + "# another\n")
    clone.output("git", "commit", "--quiet", "--all", "--message", "a trial")
    clone.output("git", "update-ref", "refs/exps/ab/cdef/rates-1", "HEAD")
    assert verify.reference("rates-1") == "refs/exps/ab/cdef/rates-1"
    assert verify.run_by("rates-1") == verify.run_by("HEAD") == [DIGITS]
    clone.output("git", "update-ref", "refs/exps/01/2345/rates-1", "HEAD")
    with pytest.raises(PipelineError, match="rates-1 names 2 experiments"):
        verify.reference("rates-1")
    with pytest.raises(PipelineError, match="see dvc exp list --all"):
        verify.reference("rates-2")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with a cache that all projects of the user share; everything is in it already."""
    clone = Clone(tmp_path / "clone", PIPELINE_MIRRORS="")
    clone.output("dvc", "config", "--global", "cache.dir", str(tmp_path / "shared"))
    clone.output("dvc", "repro", "--quiet", DIGITS)
    return clone


@pytest.mark.slow
def test_every_stage_runs_and_every_artefact_is_the_committed_one(clone: Clone) -> None:
    shown = clone.output(*VERIFY)
    assert stages_run(shown) == ["download", "convert", "train", "evaluate"]
    assert "DIFFERS" not in shown
    assert shown.endswith("Every artefact has the committed hash: these results are reproduced.\n")


@pytest.mark.slow
def test_an_artefact_that_is_not_the_committed_one_is_named(clone: Clone) -> None:
    lock = clone.folder / "examples/digits/dvc.lock"
    trained = clone.lock("examples/digits/dvc.lock")["train"]["outs"]
    (weights,) = [out["md5"] for out in trained if out["path"] == "data/model/weights.npz"]
    lock.write_text(lock.read_text().replace(weights, "f" * 32))
    clone.output("git", "commit", "--quiet", "--all", "--message", "a lie")
    done = subprocess.run(VERIFY, cwd=clone.folder, env=clone.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "examples/digits/data/model/weights.npz is the first of 1 artefacts that differ" in done.stderr
