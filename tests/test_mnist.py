"""The whole pipeline on MNIST itself, in a fresh clone of what is committed, fetched from a mirror on this machine.

The tests share one clone and leave it as they found it. $MNIST_FOLDER names the folder with the four files.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np  # loads the BLAS that threadpoolctl is asked about
import pytest
import threadpoolctl
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
FOLDER = Path(os.environ.get("MNIST_FOLDER") or ROOT.parent / "shared" / "mnist")
LOCK_MADE_WITH = "SkylakeX"  # the BLAS kernels: others round a float32 sum differently, and training amplifies that

pytestmark = [pytest.mark.mnist, pytest.mark.slow]


class Clone:
    """A clone of this repository, whose commands run its own code with the packages of this Python."""

    def __init__(self, folder: Path, mirror: str) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(folder),  # wins over the installed package, which is the original tree
            "PIPELINE_MIRRORS": mirror,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        for level in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):  # nothing remembered from elsewhere
            self.environment[f"DVC_{level}_DIR"] = str(folder.parent / level)

    def output(self, *command: str) -> str:
        """What `command` prints; its errors go to ours."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def repro(self) -> list[str]:
        """The stages that `dvc repro` runs, rather than skips or restores."""
        return re.findall(r"^Running stage '(\w+)'", self.output("dvc", "repro"), re.MULTILINE)

    def changed(self) -> set[str]:
        """The files that git calls changed or new."""
        return {line[3:] for line in self.output("git", "status", "--porcelain", "-uall").splitlines()}

    def peak_memory(self, module: str) -> float:
        """MB (10**6 bytes) at the peak of `python -m module`, started from a small process: it inherits its peak."""
        meter = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=sys.stderr);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        peak = int(self.output("python", "-c", meter, "python", "-m", module))
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6

    def lock(self) -> dict[str, dict[str, object]]:
        """The stages of dvc.lock."""
        stages: dict[str, dict[str, object]] = YAML(typ="safe").load(self.folder / "dvc.lock")["stages"]
        return stages


@pytest.fixture(scope="module")
def mirror() -> Iterator[str]:
    if not FOLDER.is_dir():
        missing = f"MNIST ITSELF IS NOT TESTED: no folder {FOLDER}; MNIST_FOLDER may name another"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    command = [sys.executable, str(ROOT / "tests" / "serve_folder.py"), str(FOLDER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture(scope="module")
def fresh(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    if not (ROOT / ".git").exists():
        pytest.skip("MNIST ITSELF IS NOT TESTED: this tree is not a git repository, so it cannot be cloned")
    folder = tmp_path_factory.mktemp("mnist") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return Clone(folder, mirror)


@pytest.fixture(scope="module")
def committed(fresh: Clone) -> dict[str, dict[str, object]]:
    """The stages of dvc.lock before anything ran."""
    return fresh.lock()


@pytest.fixture(scope="module")
def clone(fresh: Clone, committed: dict[str, dict[str, object]]) -> Clone:
    """The clone after its first `dvc repro`."""
    assert fresh.output("python", "-c", "import pipeline; print(pipeline.__path__[0])").strip() == str(
        fresh.folder / "pipeline"
    )
    assert fresh.repro() == ["download", "convert", "train", "evaluate"]
    return fresh


def test_the_default_net_classifies_94_percent_of_the_test_images(clone: Clone) -> None:
    metrics = json.loads((clone.folder / "data/evaluation/metrics.json").read_text())
    assert metrics["accuracy"] >= 0.94


def test_a_second_repro_runs_nothing(clone: Clone) -> None:
    assert clone.repro() == []
    assert json.loads(clone.output("dvc", "status", "--json")) == {}


def test_the_data_are_those_of_the_committed_lock(clone: Clone, committed: dict[str, dict[str, object]]) -> None:
    now = clone.lock()
    assert {stage: now[stage] for stage in ("download", "convert")} == {
        stage: committed[stage] for stage in ("download", "convert")
    }


def test_the_trained_bits_are_those_of_the_committed_lock(clone: Clone) -> None:
    kernels = {library["architecture"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}
    if kernels != {LOCK_MADE_WITH}:
        pytest.skip(f"dvc.lock was made with the {LOCK_MADE_WITH} kernels; NumPy {np.__version__} has {kernels} here")
    assert clone.changed() == set()


def test_the_run_leaves_no_new_file_to_git(clone: Clone) -> None:
    known = set(clone.output("git", "ls-files").splitlines())
    assert clone.changed() <= known & {"dvc.lock", *(name for name in known if name.startswith("data/evaluation/"))}


def test_a_new_learning_rate_runs_train_and_evaluate_alone_and_the_old_one_neither(clone: Clone) -> None:
    params, lock = clone.folder / "params.yaml", clone.folder / "dvc.lock"
    old_params, old_lock = params.read_text(), lock.read_text()
    new_params = re.sub(r"^( +learning_rate:) *[\d.e-]+", r"\1 0.2", old_params, flags=re.MULTILINE)
    assert new_params != old_params

    params.write_text(new_params)
    assert clone.repro() == ["train", "evaluate"]
    params.write_text(old_params)
    assert "train" not in clone.repro()
    assert lock.read_text() == old_lock


@pytest.mark.parametrize("stage", ["convert", "train"])
def test_a_stage_run_by_hand_stays_under_700_mb_and_writes_the_same_bytes(clone: Clone, stage: str) -> None:
    assert clone.peak_memory(f"pipeline.{stage}") < 700
    assert json.loads(clone.output("dvc", "status", "--json")) == {}
