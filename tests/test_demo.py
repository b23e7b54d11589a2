"""`make demo` in a fresh clone, on the bundled digits. There is no install: this Python's packages are used."""

import json
import re

import pytest
from clone import Clone, stages_run

DEMO = ["make", "--old-file=.venv/.ready", "demo"]
LOCK = "examples/digits/dvc.lock"
METRICS = "examples/digits/data/evaluation/metrics.json"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("demo") / "clone"
    return Clone(folder, PIPELINE_MIRRORS="", http_proxy="http://127.0.0.1:9", https_proxy="http://127.0.0.1:9")


@pytest.fixture(scope="module")
def shown(clone: Clone) -> str:
    """What the first `make demo` prints."""
    return clone.output(*DEMO)


def test_the_demo_runs_four_stages_and_shows_the_numbers_and_the_pictures(clone: Clone, shown: str) -> None:
    assert stages_run(shown) == ["download", "convert", "train", "evaluate"]
    accuracy = json.loads((clone.folder / METRICS).read_text())["accuracy"]
    assert re.search(rf"^accuracy +{accuracy:.4g}$", shown, re.MULTILINE)
    assert "examples/digits/data/evaluation/report.html\n" in shown
    assert "dvc push" not in shown[shown.index("  look at it and draw a digit") :]


def test_a_second_demo_shows_the_same_and_runs_nothing(clone: Clone, shown: str) -> None:
    again = clone.output(*DEMO)
    assert stages_run(again) == []
    assert again.splitlines()[-10:] == shown.splitlines()[-10:]
    assert json.loads(clone.output("dvc", "status", "--json", "examples/digits/dvc.yaml")) == {}


def test_git_sees_no_new_file(clone: Clone, shown: str) -> None:
    assert clone.changed() <= {LOCK, METRICS}


def test_the_trained_bits_are_those_of_the_committed_lock(clone: Clone, shown: str) -> None:
    assert clone.changed() == set()
