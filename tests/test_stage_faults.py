"""A whole stage under faults of its environment: memory, disk, signals, terminal, other data, damaged models."""

import fcntl
import json
import os
import pty
import resource
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from by_hand import command, hashes, must, refusal, struck
from threadpoolctl import threadpool_info, threadpool_limits

from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest, read_npz, write_npz
from pipeline.train import main
from pipeline.training.trainer import Trainer

pytestmark = pytest.mark.slow

SHORT = "train.length=200 iterations"
MODEL = "data/model/weights.npz"


def limited(folder: Path, stage: str, *overrides: str, limit: int, bound: int) -> str:
    """The one line of a stage under a resource limit."""
    done = subprocess.run(
        command(stage, *overrides),
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each thread takes address space
        preexec_fn=lambda: resource.setrlimit(limit, (bound, bound)),
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


def test_T1_killed_at_many_moments_training_goes_on_and_ends_on_the_same_bits(copy: Path) -> None:
    """With a checkpoint after every block; make chaos kills at every call."""
    length = "train.length=2000 iterations"
    must(copy, "train", length)
    before = hashes(copy)
    shutil.rmtree(copy / "data/model")
    for lines in (1, 2, 5, 3):
        assert struck(copy, signal.SIGKILL, length, lines, every=0)[0] == -signal.SIGKILL
    assert must(copy, "train", length).startswith("going on after iteration")
    assert hashes(copy) == before


def test_T9_out_of_memory_is_one_line_and_the_model_stays(copy: Path) -> None:
    before = hashes(copy)
    hungry = ["train.layers=[affine 100000, sigmoid, affine]", "train.batch_size=100000"]
    line = limited(copy, "train", *hungry, limit=resource.RLIMIT_AS, bound=4 << 30)
    assert line.startswith("error: out of memory (Unable to allocate")
    assert hashes(copy) == before


@pytest.mark.parametrize(
    ("stage", "file"),
    [("convert", "data/processed/dataset.npz"), ("train", "data/model/loss.csv"), ("evaluate", "data/evaluation/")],
)
def test_T10_C22_E6_without_room_for_the_output_the_old_one_stays(copy: Path, stage: str, file: str) -> None:
    """A real limit, on the size of files; other errors at every other call are injected by tools/chaos.py."""
    before = hashes(copy)
    line = limited(copy, stage, SHORT, limit=resource.RLIMIT_FSIZE, bound=1000)
    assert line.startswith(f"error: File too large ({file}")
    assert hashes(copy) == before
    must(copy, stage)
    assert hashes(copy) == before


@pytest.mark.parametrize("arithmetic", ["exact", "float32", "float64"])
def test_T7_divergence_in_any_arithmetic_is_one_line(copy: Path, arithmetic: str) -> None:
    before = hashes(copy)
    wild = ["train.layers=[affine 50, relu, affine]", "train.initializer=he", "train.learning_rate=1000"]
    line = refusal(copy, "train", *wild, f"train.arithmetic={arithmetic}")
    assert line.startswith("training diverged: after epoch 1.0 the loss is")
    assert "Choose a smaller train.learning_rate" in line
    assert hashes(copy) == before


def test_T10_without_room_for_a_checkpoint_a_stopped_training_says_so(copy: Path) -> None:
    before = hashes(copy)
    no_room = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # noqa: E731
    code, words = struck(copy, signal.SIGTERM, "train.length=1500 iterations", preexec_fn=no_room)
    (line,) = words.splitlines()
    assert (code, line.startswith("error: File too large (data/checkpoints/")) == (1, True)
    assert hashes(copy) == before
    assert [path.name for path in (copy / "data/checkpoints").iterdir()] == [".lock"]


def test_T14_neither_threads_nor_locale_time_zone_umask_or_folder_change_a_bit(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ein anderer Ordner ☃"
    shutil.copytree(finished, folder)
    odd = {"OPENBLAS_NUM_THREADS": "3", "PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Kathmandu", "NO_COLOR": "1"}
    for output in ("processed", "model", "evaluation"):
        shutil.rmtree(folder / "data" / output)
    for stage in ("convert", "train", "evaluate"):
        subprocess.run(command(stage), cwd=folder, env=os.environ | odd, umask=0o077, check=True, capture_output=True)
    assert hashes(folder) == hashes(finished)


def test_T15_a_dataset_that_changes_under_the_run_makes_no_mixture(copy: Path) -> None:
    with subprocess.Popen(
        command("train", "train.length=6000 iterations"),
        cwd=copy,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as training:
        assert training.stdout
        training.stdout.readline()
        must(copy, "convert", "convert.one_hot=false")
        assert training.communicate()[1] == ""
    assert training.returncode == 0
    assert "the model was trained on another dataset.npz" in refusal(copy, "evaluate")


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_T17_on_a_terminal_of_one_column_the_model_is_the_same(copy: Path, environment: Mapping[str, str]) -> None:
    must(copy, "train", SHORT)
    before = hashes(copy)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 1, 1, 0, 0))
    with subprocess.Popen(
        command("train", SHORT), cwd=copy, stdout=theirs, stderr=theirs, env=os.environ | environment
    ) as training:
        os.close(theirs)
        shown = b""
        try:
            while block := os.read(ours, 4096):
                shown += block
        except OSError:  # EIO: all writers have closed it
            pass
        os.close(ours)
    assert (training.returncode, b"Traceback" in shown) == (0, False)
    assert hashes(copy) == before


def changed_model(copy: Path, **arrays: np.ndarray) -> None:
    """Its description has the hash of the new arrays."""
    arrays = read_npz(copy / MODEL) | arrays
    about = json.loads(str(arrays.pop("about")))
    about["sha256"] = arrays_digest({name: array for name, array in arrays.items() if name not in ("means", "axes")})
    write_npz(copy / MODEL, arrays | {"about": np.array(json.dumps(about))})


def test_E4_answers_that_are_not_numbers_are_refused(copy: Path) -> None:
    must(copy, "train", SHORT, "train.arithmetic=float32")
    huge = {name: np.full_like(array, 3e38) for name, array in read_npz(copy / MODEL).items() if name in ("W2", "b2")}
    changed_model(copy, **huge)
    assert "the model answers with NaN or infinity" in refusal(copy, "evaluate")


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("W1", np.zeros((64, 49)), "arrays"),
        ("W1", np.zeros((64, 50), np.float16), "arrays"),
        ("b2", np.zeros(9), "arrays"),
        ("b9", np.zeros(9), "arrays"),
        ("b1", np.full(50, np.nan), "b1 holds NaN or infinity"),
    ],
    ids=["shape", "dtype", "classes", "more", "NaN"],
)
def test_E2_a_model_of_other_arrays_is_refused(copy: Path, name: str, array: np.ndarray, said: str) -> None:
    changed_model(copy, **{name: array})
    assert said in refusal(copy, "evaluate")


@pytest.mark.parametrize("backend", ["nonsense", "TkAgg", "module://nothing"])
def test_E5_pictures_need_no_display_home_or_sensible_settings(copy: Path, backend: str) -> None:
    before = {path.name: path.read_bytes() for path in (copy / "data/evaluation").iterdir()}
    (copy / "matplotlibrc").write_text("figure.facecolor: red\nfont.size: 30\n")
    no_fonts = {"PATH": "/nonexistent"}  # without fc-list, which knows the fonts of the system
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    bare = {"HOME": "/nonexistent", "MPLCONFIGDIR": "/proc/nonexistent", "MPLBACKEND": backend}
    environment = no_fonts | ascii_only | bare
    done = subprocess.run(command("evaluate"), cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in (copy / "data/evaluation").iterdir()} == before


def test_the_time_of_a_gradient_is_estimated_with_the_one_thread_that_computes_it(copy, monkeypatch):
    monkeypatch.chdir(copy)
    seen: set[int] = set()

    def seconds(trainer: Trainer) -> float:
        seen.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        raise PipelineError("seen")

    monkeypatch.setattr(Trainer, "seconds", seconds)
    with threadpool_limits(2, "blas"), pytest.raises(SystemExit, match="seen"):
        main(overrides=["train.gradient=complex_step", "train.arithmetic=float64"])
    assert seen <= {1}
