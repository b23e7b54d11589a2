"""The wheel, away from the repository and without DVC: the digits run, and commands say what they need."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from by_hand import ROOT

# the package of the wheel, not of the repository; an import of DVC fails, as if it were not installed
AWAY = """
import sys
sys.modules["dvc"] = None
sys.path.insert(0, {site!r})
from pipeline.__main__ import main
import pipeline
assert pipeline.__path__ == [{site!r} + "/pipeline"]
main()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that pip would install, built from a copy, because a build leaves files beside the code."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    names = ["pipeline", "examples", "params.yaml", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"]
    tree.mkdir()
    subprocess.run(["cp", "-r", *(str(ROOT / name) for name in names), str(tree)], check=True)
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    subprocess.run([sys.executable, "-c", build], cwd=tree, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(site: Path, tmp_path: Path):
    """A command in an empty folder: exit code, stdout and the last line of stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        command = [sys.executable, "-c", AWAY.format(site=str(site)), *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, "".join(done.stderr.splitlines()[-1:])

    return run


def test_the_types_are_told_to_whoever_imports_it(site):
    assert (site / "pipeline/py.typed").exists()


def test_in_an_empty_folder_a_command_says_what_it_needs(run):
    _, _, said = run("train")
    assert said.startswith(
        "error: params.yaml does not exist; run in the project's folder, name it by --params, or make"
    )
    _, _, said = run("predict", "x.png")
    assert said == "error: data/model/weights.npz does not exist; make it again: python -m pipeline.train."
    for command in ("compare", "verify"):
        code, _, said = run(command)
        assert (code, said) == (
            1,
            'error: dvc is not installed: pip install "reproducible-mnist-pipeline[dvc]", or pip install dvc.',
        )


@pytest.mark.slow
def test_the_digits_run_there_and_a_picture_is_read(run, tmp_path, finished):
    params = run("params", "--digits")[1]
    assert params == (ROOT / "examples/digits/params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(params)
    for stage in ("download", "convert", "train", "evaluate"):
        assert run(stage)[0] == 0
    weights = "data/model/weights.npz"
    assert (tmp_path / weights).read_bytes() == (finished / weights).read_bytes()
    subprocess.run([sys.executable, ROOT / "tools/drawings.py", "--write", "drawings"], cwd=tmp_path, check=True)
    code, told, _ = run("predict", "drawings")
    assert code == ("like no image" in told)
    assert len(told.splitlines()) == len([*(tmp_path / "drawings").iterdir()])
