"""Each command in the documentation is run, and each result in it was measured."""

import csv
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from clone import ROOT, Clone
from figures import flow, graph
from recipe import is_recorded, recorded
from results import with_table

from pipeline.datasets.raw import load_raw

README = (ROOT / "README.md").read_text("utf-8")
GUIDES = ROOT / "docs/guides.md"
READING = (ROOT / "docs/reading.md").read_text("utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language in a page, in order."""
    return [
        body
        for name, body in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        if name == language
    ]


def shell(clone: Clone, script: str) -> None:
    """Run a block as a person would paste it, and stop where a command fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=clone.folder,
        env=clone.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def with_environment(clone: Clone) -> Clone:
    """The clone with this Python's environment where `make setup` would put one."""
    (clone.folder / ".venv").symlink_to(Path(sys.prefix))
    return clone


@pytest.mark.slow
@pytest.mark.mnist
def test_the_commands_of_the_readme_run_in_order(mnist_mirror: str, tmp_path: Path) -> None:
    clone = with_environment(Clone(tmp_path / "clone", PIPELINE_MIRRORS=mnist_mirror))
    for block in blocks(ROOT / "README.md", "sh"):
        shell(clone, block)
    for block in blocks(ROOT / "README.md", "python"):
        subprocess.run(
            [sys.executable, "-W", "error", "-c", block], cwd=clone.folder, env=clone.environment, check=True
        )


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_order_on_the_digits(page: Path, tmp_path: Path) -> None:
    r"""In a console block, the text after `$ ` is typed; a `\` at its end continues it; other lines are the answer."""
    clone = with_environment(Clone(tmp_path / "clone"))
    for block in blocks(page, "console"):
        shell(clone, "\n".join(re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)))


def test_the_net_in_four_lines_of_numpy_says_what_predictions_csv_says(finished: Path) -> None:
    (recipe,) = [block for block in blocks(ROOT / "docs/guides.md", "python") if "weights.npz" in block]
    assert len([line for line in recipe.splitlines() if line]) == 4
    done = subprocess.run([sys.executable, "-W", "error", "-c", recipe], cwd=finished, capture_output=True, text=True)
    with (finished / "data/evaluation/predictions.csv").open() as file:
        said = [row["predicted"] for row in csv.DictReader(file)]
    assert re.findall("[0-9]", done.stdout) == said


def test_the_arrays_of_the_guide_become_a_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = [block for block in blocks(ROOT / "docs/guides.md", "python") if "write_idx" in block]
    subprocess.run([sys.executable, "-W", "error", "-c", block], cwd=tmp_path, check=True)
    params = ["--params", ROOT / "params.yaml", "-S", "download.dataset=datasets/barred.json"]
    subprocess.run([sys.executable, "-m", "pipeline.download", *params], cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    assert load_raw(Path("data/raw"))[1]["test"].images.shape == (100, 12, 16)


def test_the_error_in_the_guides_is_the_one_that_is_shown(tmp_path: Path) -> None:
    (block,) = [block for block in blocks(GUIDES, "") if block.startswith("$ ")]
    command, answer = block.removeprefix("$ ").split("\n", 1)
    run = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run([*run, "--params", ROOT / "params.yaml"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", answer)


def test_every_make_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z]+)", page.read_text("utf-8"))) | {
            line.split()[1] for block in blocks(page, "") for line in block.splitlines() if line.startswith("make ")
        }
        assert named <= targets, page


def test_every_file_that_a_page_links_to_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_every_file_in_the_readmes_tree_exists() -> None:
    (tree,) = [block for block in blocks(ROOT / "README.md", "") if block.startswith("dvc.yaml")]
    folders: list[str] = []
    for line in tree.splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        folders[indent // 2 :] = [name]
        assert ROOT.joinpath(*folders).exists(), folders


def test_the_results_in_the_readme_are_those_that_were_measured() -> None:
    rows = recorded()
    assert all(map(is_recorded, rows))
    assert with_table(README, rows) == README


def test_the_speeds_that_are_shown_are_those_that_were_measured() -> None:
    times = {(row["work"], row["contender"]): row for row in measured("bench.csv")}
    page = (ROOT / "docs/speed.md").read_text("utf-8")
    (header,) = re.findall(r"^\| Work \| ours \| (.*) \|$", page, re.MULTILINE)
    works = [work for work, contender in times if contender == "JAX scan"]
    assert len(works) == 4
    for work in works:
        ours = float(times[work, "ours"]["microseconds a step"])
        factors = [times.get((work, contender)) for contender in header.split(" | ")]
        cells = [f"{float(row['times ours']):.2f}×" if row else "–" for row in factors]
        assert f"| {work} | **{ours:,.0f} µs** | {' | '.join(cells)} |" in page


def test_the_gains_of_threads_that_are_shown_are_those_that_were_measured() -> None:
    page, by_net = (ROOT / "docs/workers.md").read_text("utf-8"), {}
    for row in measured("workers.csv"):
        by_net.setdefault(row["net"], []).append(row)
    for net, (alone, two, *_) in by_net.items():
        exact = len({row["sha256"] for row in by_net[net]}) == 1
        assert exact == ("float64" not in net)
        line = f"| {net} | {alone['ms_a_step']} | {two['ms_a_step']} | {two['times_faster']} |\n"
        assert line in page or not exact
    for row in measured("epoch.csv"):
        assert f"| {row['contender']} | {row['threads']} | {row['seconds per epoch']} |\n" in page


def measured(name: str) -> list[dict[str, str]]:
    """The rows of a file in docs/, without its comments."""
    lines = (ROOT / "docs" / name).read_text("utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if line[0] != "#"))


def test_the_ten_files_of_the_reading_path_can_be_read_in_an_evening() -> None:
    files = re.findall(r"^\| \d+ \| \[(.*)\]\(\.\./\1\) \|", READING, re.MULTILINE)
    assert len(files) == 10
    assert sum(len((ROOT / file).read_text("utf-8").splitlines()) for file in files) <= 1500


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(pipeline(?:\.\w+){3})`", READING))))
def test_a_function_that_the_reading_path_names_exists(name: str) -> None:
    module, _, function = name.rpartition(".")
    assert callable(getattr(import_module(module), function))


@pytest.mark.slow
def test_the_picture_of_the_flow_is_that_of_dvc_yaml() -> None:
    assert (ROOT / "docs/flow.svg").read_text("utf-8") == flow(graph())


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_help_names_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {line.split()[1] for line in shown.splitlines() if line.startswith("  make ")} == set(phony.split())


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("letter", [":", "$"])
def test_make_refuses_a_folder_in_which_nothing_can_be_installed(letter: str, tmp_path: Path) -> None:
    folder = tmp_path / f"a{letter}b"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    done = subprocess.run(["make", "--no-print-directory", "setup"], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: neither PATH nor setuptools takes the : or $ in {folder}; move this folder")


def test_the_changelog_names_the_version() -> None:
    version = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert f"## {version[1]}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_tool_can_be_started() -> None:
    tools = [path.stem for path in (ROOT / "tools").glob("*.py")]
    run = [sys.executable, "-W", "error", "-c", f"import {', '.join(tools)}"]
    done = subprocess.run(run, cwd=ROOT / "tools", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
