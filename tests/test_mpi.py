"""Processes that mpiexec started give the bits of a single process, and end together."""

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest
import short_run
from needs import need
from test_same_bits import GOLDEN

from pipeline.base.errors import PipelineError
from pipeline.training.workers import workers

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
LONG = ("-m", "pipeline.train", "-S", "train.length=20000 iterations")  # a line of progress every 1,000
ROOT_MAY = {f"{name}_ALLOW_RUN_AS_ROOT{more}": "1" for name in ("OMPI", "PRTE") for more in ("", "_CONFIRM")}


def start(*arguments: str, size: int = 2, folder: Path | None = None) -> subprocess.Popen:
    """Start `size` processes of Python."""
    need(MPIEXEC and find_spec("mpi4py"), "training under MPI: make extras installs mpi4py and mpiexec")
    command = [MPIEXEC, "--map-by", ":OVERSUBSCRIBE", "-n", str(size), sys.executable, "-u", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder, env=os.environ | ROOT_MAY)


def ended(started: subprocess.Popen) -> tuple[int, str, list[str]]:
    """Exit code, stdout, and the lines of stderr that are not mpiexec's own."""
    stdout, stderr = started.communicate(timeout=300)
    return started.returncode, stdout, [line for line in stderr.splitlines() if line.startswith(("error", "Stopped"))]


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_processes_compute_the_golden_numbers(size):
    code, stdout, told = ended(start("-W", "error", short_run.__file__, "exact", size=size))
    assert (code, told) == (0, [])
    assert dict(line.split()[1:] for line in stdout.splitlines()) == GOLDEN


@pytest.mark.slow
def test_the_stage_writes_the_same_files_and_the_first_process_alone_shows_progress(copy):
    model = copy / "data/model"
    expected = {path.name: path.read_bytes() for path in model.iterdir()}
    shutil.rmtree(model)
    code, stdout, told = ended(start("-m", "pipeline.train", folder=copy))
    assert (code, told) == (0, [])
    assert {path.name: path.read_bytes() for path in model.iterdir()} == expected
    lines = stdout.splitlines()
    assert len(lines) == len(set(lines))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.arithmetic=float32", "error: mpiexec started 2 processes, but train.arithmetic is float32"),
        ("train.batch_size=1", "error: mpiexec started 2 processes, but train.batch_size is 1"),
        ("train.learning_rate=1000", "error: training diverged"),
    ],
)
def test_what_all_of_them_find_wrong_is_told_once(copy, setting, message):
    code, _, told = ended(start("-m", "pipeline.train", "-S", setting, "-S", "train.optimizer=sgd", folder=copy))
    assert code == 1
    assert len(told) == 1
    assert told[0].startswith(message)


@pytest.mark.slow
def test_what_one_of_them_finds_wrong_ends_all(copy):
    """Process 1 has other files than process 0."""
    (copy / "other").mkdir()
    shutil.copytree(copy / "data/processed", copy / "other/data/processed")
    params = (copy / "params.yaml").read_text("utf-8")
    (copy / "other/params.yaml").write_text(params.replace("seed: 1", "seed: 2"), "utf-8")
    code = "import os, runpy; os.chdir('other' if os.environ['PMIX_RANK'] == '1' else '.');"
    code += "runpy.run_module('pipeline.train', run_name='__main__')"
    code, _, told = ended(start("-c", code, folder=copy))
    assert code == 1
    assert told == [
        "error: process 1 of mpiexec has other data, code or parameters than process 0; give all of them the same."
    ]


@pytest.mark.slow
def test_a_signal_that_mpiexec_passes_on_saves_a_checkpoint(copy):
    training = start(*LONG, folder=copy)
    assert training.stdout.readline().startswith("epoch")
    training.send_signal(signal.SIGUSR1)
    code, _, told = ended(training)
    assert code == 128 + signal.SIGUSR1
    assert len(told) == 1
    assert told[0].startswith("Stopped after iteration")
    assert list((copy / "data/checkpoints").glob("*.npz"))


def is_running(rank: str) -> bool:
    """Whether there is such a process; a process that has ended, but is not yet collected, has no command."""
    try:
        return bool(Path(f"/proc/{rank}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_killed_process_ends_all(copy):
    training = start(*LONG, folder=copy)
    assert training.stdout.readline().startswith("epoch")
    ranks = Path(f"/proc/{training.pid}/task/{training.pid}/children").read_text().split()
    os.kill(int(ranks[-1]), signal.SIGKILL)
    code, _, _ = ended(training)
    assert code != 0
    until = time.monotonic() + 60
    while running := [rank for rank in ranks if is_running(rank)]:
        assert time.monotonic() < until, running
        time.sleep(0.05)


def test_without_mpi4py_a_process_of_mpiexec_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PMIX_RANK", "0")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    said = r"mpiexec started this, but mpi4py cannot be used .*; run make extras\."
    with pytest.raises(PipelineError, match=said), workers("exact", 100):
        pass
