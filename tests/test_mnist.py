"""The whole pipeline on MNIST itself, in a fresh clone of what is committed, fetched from a mirror on this machine.

The tests share one clone and leave it as they found it. $MNIST_FOLDER names the folder with the four files.
"""

import json
import re
from typing import Any

import pytest
from clone import Clone, stages_run

pytestmark = [pytest.mark.mnist, pytest.mark.slow, pytest.mark.xdist_group("mnist")]


@pytest.fixture(scope="module")
def fresh(mnist_mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("mnist") / "clone"
    return Clone(folder, PIPELINE_MIRRORS=mnist_mirror, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")


@pytest.fixture(scope="module")
def committed(fresh: Clone) -> dict[str, Any]:
    """The stages of dvc.lock before anything ran."""
    return fresh.lock()


@pytest.fixture(scope="module")
def clone(fresh: Clone, committed: dict[str, Any]) -> Clone:
    """The clone after its first `dvc repro`."""
    assert stages_run(fresh.output("dvc", "repro")) == ["download", "convert", "train", "evaluate"]
    return fresh


def changed_stages(clone: Clone) -> dict[str, Any]:
    """What `dvc status` says of MNIST's stages; the digits have not run in this clone."""
    status: dict[str, Any] = json.loads(clone.output("dvc", "status", "--json", "dvc.yaml"))
    return status


def test_the_default_net_classifies_94_percent_of_the_test_images(clone: Clone) -> None:
    metrics = json.loads((clone.folder / "data/evaluation/metrics.json").read_text())
    assert metrics["accuracy"] >= 0.94


def test_a_second_repro_runs_nothing(clone: Clone) -> None:
    assert stages_run(clone.output("dvc", "repro")) == []
    assert changed_stages(clone) == {}


def test_the_data_are_those_of_the_committed_lock(clone: Clone, committed: dict[str, Any]) -> None:
    now = clone.lock()
    for stage in ("download", "convert"):
        assert now[stage] == committed[stage]


def test_the_trained_bits_are_those_of_the_committed_lock(clone: Clone) -> None:
    assert clone.changed() == set()


@pytest.mark.parametrize("name", ["accuracy", "weights"])
def test_the_readme_shows_the_pictures_that_are_made(clone: Clone, name: str) -> None:
    made = clone.folder / "data" / "evaluation" / f"{name}.png"
    assert (clone.folder / "docs" / f"{name}.png").read_bytes() == made.read_bytes()


def test_a_new_learning_rate_runs_train_and_evaluate_alone_and_the_old_one_restores_the_net(clone: Clone) -> None:
    params, lock = clone.folder / "params.yaml", clone.folder / "dvc.lock"
    old_params, old_lock = params.read_text(), lock.read_text()
    params.write_text(re.sub(r"^( +learning_rate:) *[\d.e-]+", r"\1 0.2", old_params, flags=re.MULTILINE))

    assert stages_run(clone.output("dvc", "repro")) == ["train", "evaluate"]
    params.write_text(old_params)
    assert stages_run(clone.output("dvc", "repro")) == ["evaluate"]
    assert lock.read_text() == old_lock


@pytest.mark.parametrize("stage", ["convert", "train"])
def test_a_stage_run_by_hand_stays_under_700_mb_and_writes_the_same_bytes(clone: Clone, stage: str) -> None:
    assert clone.peak_memory(f"pipeline.{stage}") < 700
    assert changed_stages(clone) == {}
