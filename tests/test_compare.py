"""Runs that git and DVC remember are put side by side in one page."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer
from clone import ROOT, Clone
from dvc.exceptions import NotDvcRepoError
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.text import columns
from pipeline.commands.compare import experiments, main
from pipeline.report.comparison import Run, chart, comparison, curves, ranked, setting

DIGITS = "examples/digits"


METRICS = {"accuracy": 0.91, "images": 297}
CURVES = {"epoch": [0.0, 1.0], "held_out": [0.1, 0.91]}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def a_run(name: str, metrics: Mapping[str, object] = METRICS, **params: object) -> Run:
    return Run(name, {"train.hidden": 50, **params}, metrics, CURVES)


def test_only_parameters_that_differ_are_shown() -> None:
    page = comparison([a_run("HEAD", seed=1), a_run("other", seed=2)]).decode()
    assert '<tr><th scope="row">seed</th><td>1</td><td>2</td></tr>' in page
    assert "train.hidden" not in page


def test_a_name_is_shown_whatever_it_is_and_cannot_become_markup() -> None:
    page = comparison([a_run("<script>"), a_run("_old"), a_run("$$"), a_run("\udcff", bad="\ud800")]).decode()
    assert "<script>" not in page
    assert all(page.count(f">{name}<") == 2 for name in ("&lt;script&gt;", "_old", "$$"))  # in the table and the chart


def test_the_same_runs_make_the_same_page() -> None:
    assert comparison([a_run("a"), a_run("b")]) == comparison([a_run("a"), a_run("b")])


@pytest.mark.parametrize(
    ("metrics", "best", "said"),
    [
        ([{"accuracy": 0.8}, {"accuracy": 0.9}], "10", "by accuracy on the test set: no run has a validation split"),
        (
            [{"accuracy": 0.9, "validation_accuracy": 0.7}, {"accuracy": 0.8, "validation_accuracy": 0.8}],
            "10",
            "by accuracy on the validation split",
        ),
        (
            [{"accuracy": 0.9}, {"accuracy": 0.99}, {"accuracy": 0.8, "validation_accuracy": 0.7}],
            "210",
            "then the others, by accuracy on the test set",
        ),
    ],
)
def test_the_best_run_comes_first_and_the_page_says_by_what(metrics: list[dict], best: str, said: str) -> None:
    runs = [a_run(str(i), its) for i, its in enumerate(metrics)]
    assert "".join(run.name for run in ranked(runs)) == best
    assert said in comparison(runs).decode()


def test_the_chart_leaves_out_the_rise_that_all_runs_share() -> None:
    epochs = [0.0, 1.0, 2.0, 3.0]
    early, late = [0.1, 0.9, 0.92, 0.94], [0.1, 0.5, 0.91, 0.93]
    lines = curves([Run(name, {}, {}, {"epoch": epochs, "held_out": a}) for name, a in {"e": early, "l": late}.items()])
    assert [epoch for epoch, _ in lines["e"]] == [2.0, 3.0]
    assert [epoch for epoch, _ in lines["l"]] == [2.0, 3.0]


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=4))
@example([[1.0], [1.0]])
@example([[0.0], [1.0]])
@example([[0.78], [0.9947]])
def test_any_accuracies_are_charted_between_two_marks(accuracies: list[list[float]]) -> None:
    drawn = chart([Run(str(i), {}, {}, {"epoch": [*range(len(a))], "held_out": a}) for i, a in enumerate(accuracies)])
    marks, heights = drawn.ticks()[1], [y for points in drawn.lines.values() for _, y in points]
    assert marks == sorted(set(marks))
    assert 2 <= len(marks) <= 24
    assert marks[0] <= min(heights)
    assert max(heights) <= marks[-1]


@pytest.mark.parametrize(
    ("accuracies", "written"),
    [((0.78, 0.9947), "50% 80% 90% 95% 98% 99% 99.5%"), ((0.925, 0.946), "92% 93% 94% 95%")],
)
def test_the_marks_of_the_chart_are_round_accuracies(accuracies: tuple[float], written: str) -> None:
    drawn = chart([Run(str(a), {}, {}, {"epoch": [1.0], "held_out": [a]}) for a in accuracies])
    assert " ".join(drawn.write(y) for y in drawn.ticks()[1]) == written


def test_columns_are_read_by_name() -> None:
    content = b"epoch,train\n0,0.5\n1,0.75\n"
    assert columns(content, Path("x.csv"), ["epoch"], "") == {"epoch": [0.0, 1.0], "train": [0.5, 0.75]}


@pytest.mark.parametrize(
    "content", [b"", b"a\n", b"a\n1,2\n", b"b\n1\n", b"a\nnan\n", b"\xff", b"a\n" + b"1" * 200_000]
)
def test_what_is_no_table_of_numbers_is_refused(content: bytes) -> None:
    with pytest.raises(PipelineError, match=r"^x.csv is not a table of numbers \(.+\); make it again\.$"):
        columns(content, Path("x.csv"), ["a"], "make it again")


SOUND = {
    "params.yaml": "train: {hidden: 50}\n",
    "dvc.lock": "schema: '2.0'\n",
    "data/evaluation/metrics.json": json.dumps(METRICS),
    "data/model/accuracy.csv": "epoch,train,held_out\n0,0.1,0.1\n1,0.9,0.9\n",
}
BROKEN = {
    "anchor": ("params.yaml", "train: &a {hidden: 50}\n", "anchors"),
    "empty": ("params.yaml", "", "NoneType, not sections"),
    "scalar": ("params.yaml", "1", "int, not sections"),
    "latin": ("params.yaml", "train: {name: \udce9}\n", "is not UTF-8"),
    "json": ("data/evaluation/metrics.json", "<<<<<<< HEAD\n", "is not JSON"),
    "metrics": ("data/evaluation/metrics.json", "{}", "accuracy: Field required"),
    "curve": ("data/model/accuracy.csv", "epoch\n1\n", "no column held_out"),
    "share": ("data/model/accuracy.csv", "epoch,held_out\n1,94.5\n", "not from 0 to 1"),
}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC repository without stages, in which a branch stands for each run, sound or not."""
    folder = tmp_path_factory.mktemp("history")

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=someone", "-c", "user.email=someone@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)

    def commit(branch: str, **files: str) -> None:
        git("checkout", "-q", "-B", branch, *(["main"] if branch != "main" else []))
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, "utf-8", errors="surrogateescape")
        git("add", "--all")
        git("commit", "-q", "--message", branch)

    git("init", "-q")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").touch()
    commit("main", **SOUND)
    commit("wide", **{"params.yaml": "train: {hidden: 80, note: é}\n", "dvc.lock": "schema: '2.0' # ran\n"})
    commit("elsewhere", **{"params.yaml": "train: {hidden: 80}\n", "other/dvc.lock": ""})
    for branch, (file, text, _) in BROKEN.items():
        commit(branch, **{file: text, "dvc.lock": f"# {branch}\n"})
    git("checkout", "-q", "main")
    git("checkout", "-q", "-b", "never")
    git("rm", "-q", "-r", "data")
    git("commit", "-q", "--message", "never")
    git("checkout", "-q", "main")
    return folder


@needs_git
def test_what_is_broken_is_named_with_its_reason_and_the_rest_compared(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(history)
    with pytest.raises(typer.Exit):
        main(["main", *BROKEN, "nowhere", "HEAD:params.yaml", "wide"], tmp_path / "page.html")
    out, err = capsys.readouterr()
    assert out == f"main, wide: {tmp_path / 'page.html'}\n"
    assert err.count("\n") == 1
    for name, (file, _, reason) in BROKEN.items():
        (told,) = [part for part in err.split("; ") if f"{name} (" in part]
        assert file in told
        assert reason in err
    assert "nowhere (unknown Git revision" in err
    assert "HEAD:params.yaml (a file or a folder, no commit)" in err
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<td>é</td>" in page
    assert "Not compared: anchor (" in page


@needs_git
def test_a_commit_that_was_never_run_says_so(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(history)
    with pytest.raises(typer.Exit):
        main(["main", "never"], tmp_path / "page.html")
    assert capsys.readouterr().err == "skipped: never (not run here: dvc repro)\n"


def test_settings_are_shown_as_params_yaml_has_them() -> None:
    assert setting(["affine 20", "tanh", "affine"]) == "[affine 20, tanh, affine]"
    values = (1e-5, "sgd", "", True, date(2026, 1, 2), {date(2026, 1, 2): 1})
    assert [setting(value) for value in values[:5]] == ["1e-05", "sgd", "", "true", "2026-01-02"]
    assert "2026" in setting(values[5])


@needs_git
def test_only_finished_experiments_of_this_pipeline_are_compared(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = {"wide": "Success", "elsewhere": None, "q1": "Queued", "q2": "Queued", "r": "Running", "f": "Failed"}
    told = [("wide", "Running"), *states.items()]  # the experiment ends while DVC collects
    rows = [{"Experiment": name, "rev": name, "typ": "branch_commit", "State": state} for name, state in told]
    head = {"Experiment": None, "rev": "main", "typ": "baseline", "State": None}
    gone = NotDvcRepoError("directory 'tmp/.dvc' does not exist")
    answers = iter([gone, gone, [head, *rows]])
    monkeypatch.setattr("dvc.api.exp_show", lambda: raised_or(next(answers)))
    monkeypatch.setattr("pipeline.commands.compare.PAUSE", 0)
    monkeypatch.chdir(history)
    main(None, tmp_path / "page.html")
    out, err = capsys.readouterr()
    assert out == f"HEAD, wide: {tmp_path / 'page.html'}\n"
    same = "its dvc.lock in this folder is the same as in HEAD"
    skipped = f"skipped: elsewhere ({same}); q1, q2 (queued); r (running); f (failed)\n"
    assert err == skipped


def raised_or(answer: Any) -> Any:
    """The answer, raised if it is an error."""
    if isinstance(answer, Exception):
        raise answer
    return answer


@needs_git
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "directory 'tmp/.dvc' does not exist",
            "as running, but directory 'tmp/.dvc' does not exist; see dvc queue status",
        ),
        ("you are not inside of a DVC repository", "you are not inside of a DVC repository"),
    ],
)
def test_what_dvc_keeps_failing_with_is_one_line(
    history: Path, monkeypatch: pytest.MonkeyPatch, error: str, told: str
) -> None:
    monkeypatch.setattr("dvc.api.exp_show", lambda: raised_or(NotDvcRepoError(error)))
    monkeypatch.setattr("pipeline.commands.compare.PAUSE", 0)
    monkeypatch.chdir(history)
    with pytest.raises(PipelineError, match=told):
        experiments({})


@pytest.mark.slow
@needs_git
def test_a_commit_and_its_experiments_are_compared(tmp_path: Path) -> None:
    clone = Clone(tmp_path / "clone", PIPELINE_MIRRORS="")
    clone.output("dvc", "repro", "--quiet", f"{DIGITS}/dvc.yaml")
    clone.folder /= DIGITS
    clone.output("git", "add", "--all")
    clone.output("git", "commit", "--quiet", "--allow-empty", "--message", "made here")
    clone.output("dvc", "exp", "run", "--quiet", "--name", "wide", "-S", "train.seed=2", "dvc.yaml")
    target = ["--queue", "--name", "later", "-S", f"{DIGITS}/params.yaml:train.seed=3", f"{DIGITS}/dvc.yaml"]
    subprocess.run(
        ["dvc", "exp", "run", "--quiet", *target], cwd=clone.folder.parents[1], env=clone.environment, check=True
    )
    command = ["python", "-m", "pipeline", "compare"]
    done = subprocess.run(command, cwd=clone.folder, env=clone.environment, capture_output=True, text=True, check=True)
    assert set(done.stdout.split(": ")[0].split(", ")) == {"HEAD", "wide"}
    assert done.stderr == "skipped: later (queued)\n"
    page = (clone.folder / "data/compare.html").read_text()
    assert re.search('<tr><th scope="row">train.seed</th>(<td>1</td><td>2</td>|<td>2</td><td>1</td>)</tr>', page)


@pytest.mark.slow
def test_an_unknown_revision_is_one_line(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pipeline", "compare", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing to compare: nowhere (")
    assert done.stderr.count("\n") == 1


def test_outside_a_repository_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "compare"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: git says: fatal: not a git repository")
    assert done.stderr.count("\n") == 1
