"""A training run is decided by its settings alone, and can be cut at any block without changing a bit."""

import errno
import io
import os
import signal
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from described import described

from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz, write_npz
from pipeline.base.signals import Stopped, Stopping
from pipeline.datasets.arrays import Split, load_splits, save_dataset
from pipeline.params import load_params
from pipeline.training.checkpoints import SHA256, Checkpoints, sound
from pipeline.training.loop import History, fit, plan, require_finite
from pipeline.training.progress import Progress
from pipeline.training.settings import Train
from pipeline.training.team import SOLE, Workers
from pipeline.training.trainer import Trainer

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.random((230, 12), np.float32), RNG.integers(0, 3, 230)
BYTES = (IMAGES * 255).astype(np.uint8)
FRACTIONS = BYTES / np.float32(255)
SETTINGS = load_params(ROOT / "params.yaml", (), Train).model_dump()
SHAPE, NET = (1, 3, 4), ["affine 5", "sigmoid", "affine"]


def trainer(images: np.ndarray | None = None, workers: Workers = SOLE, **settings: object) -> Trainer:
    small = {"layers": NET, "batch_size": 10, "length": "1000 iterations", "sampling": "shuffle"}
    if images is None:
        images = BYTES if "augment" in settings else IMAGES
    return Trainer(SETTINGS | small | settings, SHAPE, (images, LABELS), (images[:50], LABELS[:50]), 3, workers)


class StopAfter(Stopping):
    """Wants to stop at its n-th question."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    @property
    def wanted(self) -> bool:
        self.left -= 1
        return self.left == 0


def checkpoints(folder: Path, every: float = 1e9, run: str = "run") -> Checkpoints:
    return Checkpoints(folder, {"run": run}, every)


def finish(one: Trainer, folder: Path) -> tuple[bytes, History]:
    history = one.fit(lambda history: None, checkpoints(folder), Stopping())
    return one.result.tobytes(), history


WAYS = [
    {"optimizer": "sgd", "sampling": "replacement", "schedule": "linear"},
    {"optimizer": "momentum 0.9", "average": "ema 0.9", "layers": ["affine 5", "relu", "dropout 0.3", "affine"]},
    {"optimizer": "adam", "weight_decay": 0.1, "schedule": "one_cycle", "loss": "cross_entropy 0.1"},
    {"layers": ["conv 2 2", "relu", "max_pool 2", "affine"], "schedule": "cosine", "batch_size": 9},
    {"augment": ["shift 1", "affine 10 0.1 0.1", "elastic 0.9 5"]},
    {"augment": ["shift 0.5"], "sampling": "replacement", "batch_size": 9},
    {"schedule": "step 1 0.5", "layers": ["affine"], "loss": "hinge"},
]


@pytest.mark.parametrize("way", WAYS)
def test_T4_resuming_from_every_block_gives_the_bits_of_the_uninterrupted_run(tmp_path, way):
    settings = {"length": "150 iterations", "learning_rate": 0.01} | way
    expected = finish(trainer(**settings), tmp_path / "whole")
    blocks = 0
    while True:  # every resumed run is cut again one block later
        try:
            cut = trainer(**settings)
            history = cut.fit(lambda history: None, checkpoints(tmp_path), StopAfter(1))
        except Stopped:
            blocks += 1
        else:
            break
    assert blocks > 5
    assert (cut.result.tobytes(), history) == expected


def test_the_seed_decides_and_a_new_batch_size_leaves_the_first_weights_alone():
    first = [trainer(seed=1).weights, trainer(seed=1, batch_size=20).weights, trainer(seed=2).weights]
    assert first[0].tobytes() == first[1].tobytes() != first[2].tobytes()


def test_T5_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path):
    kept = checkpoints(tmp_path)
    for iteration in (10, 20):
        kept.save(iteration, {"weights": np.full(3, iteration)})
    newest = max(tmp_path.glob("*.npz"), key=lambda path: int(read_npz(path)["iteration"]))
    content = bytearray(newest.read_bytes())
    for damaged in (
        content[:-7],
        content[: len(content) // 2],
        b"",
        flipped(content, content.index(np.full(3, 20).tobytes())),
    ):
        newest.write_bytes(damaged)
        state = checkpoints(tmp_path).load()
        assert state is not None
        assert state["weights"].tolist() == [10, 10, 10]


def flipped(content: bytearray, at: int) -> bytes:
    return bytes(content[:at]) + bytes([content[at] ^ 1]) + bytes(content[at + 1 :])


def test_T5_a_checkpoint_altered_with_all_its_checksums_right_but_its_hash_is_refused(tmp_path):
    kept = checkpoints(tmp_path)
    kept.save(1, {"weights": np.zeros(3)})
    (path,) = tmp_path.glob("*.npz")
    write_npz(path, read_npz(path) | {"weights": np.ones(3)})
    assert SHA256 in read_npz(path)
    assert sound(path) is None


def test_T5_a_checkpoint_of_another_run_is_not_taken_up(tmp_path):
    checkpoints(tmp_path, run="one").save(1, {"weights": np.zeros(3)})
    assert checkpoints(tmp_path, run="other").load() is None


@pytest.mark.parametrize("changed", ["data", "params", "code"])
def test_T5_other_data_settings_or_code_make_another_run(tmp_path, changed):
    about = {"data": {"sha256": "a"}, "params": {"arithmetic": "exact"}, "code": "b"}
    Checkpoints(tmp_path, about, 1e9).save(1, {"weights": np.zeros(3)})
    assert Checkpoints(tmp_path, dict(about), 1e9).load() is not None
    assert Checkpoints(tmp_path, about | {changed: "other"}, 1e9).load() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_T11_a_signal_in_the_middle_of_a_product_is_heeded_after_that_block(tmp_path, number):
    """Python runs a signal's handler only when NumPy has returned; then no further block begins."""
    one, blocks = trainer(), []
    steps = one.steps()

    def interrupted(batches, done):
        blocks.append(len(batches))
        os.kill(os.getpid(), number)
        np.ones((300, 300)) @ np.ones((300, 300))
        return steps(batches, done)

    one.steps = lambda: interrupted
    with Stopping() as stopping, pytest.raises(Stopped, match="Stopped after iteration") as stopped:
        one.fit(lambda history: None, checkpoints(tmp_path), stopping)
    assert stopped.value.exit_code == 128 + number
    assert len(blocks) == 1
    state = checkpoints(tmp_path).load()
    assert state is not None
    assert state["iteration"] == blocks[0]


@pytest.mark.parametrize(
    ("code", "exit_code", "why"),
    [
        (errno.EPIPE, 141, ""),
        (errno.EIO, 1, "error: stdout cannot be written (Input/output error). "),
        (errno.ENOSPC, 1, "error: stdout cannot be written (No space left on device). "),
    ],
)
@pytest.mark.parametrize("call", ["write", "flush"])
def test_an_output_that_cannot_be_written_stops_training_with_a_checkpoint(
    tmp_path, monkeypatch, call, code, exit_code, why
):
    """A pipe to `head`, a closed terminal, a log on a full disk."""

    class Broken(io.StringIO):
        def fail(self, *_):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Broken, call, Broken.fail, raising=False)
    one, kept, stopping = trainer(length="200 iterations"), checkpoints(tmp_path), Stopping()
    monkeypatch.setattr(sys, "stdout", Broken())
    with Progress(one.plan, "test", kept, stopping) as progress, pytest.raises(Stopped) as stopped:
        one.fit(progress, kept, stopping)
    said = f"{why}Stopped after iteration 23 of 200; run it again to go on from there."
    assert (str(stopped.value), stopped.value.exit_code) == (said, exit_code)
    assert kept.load() is not None


def test_a_terminal_shows_a_bar_while_the_untrained_net_is_measured(tmp_path, monkeypatch):
    """With many images this takes long. Without the bar, a user must guess whether the training hangs."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress(trainer(length="10 iterations").plan, "test", checkpoints(tmp_path), Stopping()):
        assert "0/10 " in terminal.getvalue()
        assert "measuring the untrained net" in terminal.getvalue()


def test_a_run_that_starts_anew_beside_checkpoints_says_why(tmp_path, capsys):
    def first_line(run: str) -> str:
        one, kept = trainer(length="10 iterations"), checkpoints(tmp_path, run=run)
        with Progress(one.plan, "test", kept, Stopping()) as progress:
            one.fit(progress, kept, Stopping())
        return capsys.readouterr().out.splitlines()[0]

    assert first_line("one").startswith("epoch")
    checkpoints(tmp_path, run="one").save(1, {"weights": np.zeros(3)})
    said = "starting anew: the checkpoints here belong to other data, code or parameters"
    assert first_line("other") == said
    next(tmp_path.glob("*.npz")).write_bytes(b"damaged")
    assert first_line("one") == "starting anew: the checkpoints of this run are damaged"


def test_T16_a_clock_that_jumps_back_changes_nothing(tmp_path, monkeypatch):
    """Only the monotonic clock is asked; it cannot be set."""
    expected = finish(trainer(length="100 iterations"), tmp_path / "one")
    jumping = iter(range(10**9, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(jumping)))
    one = trainer(length="100 iterations")
    history = one.fit(lambda history: None, checkpoints(tmp_path / "two", every=0), Stopping())
    assert (one.result.tobytes(), history) == expected


def test_two_generations_are_kept_and_the_newest_is_found(tmp_path):
    for iteration in range(1, 6):
        kept = checkpoints(tmp_path)
        state = kept.load()
        assert (0 if state is None else int(state["iteration"])) == iteration - 1
        kept.save(iteration, {})
    assert sorted(int(read_npz(path)["iteration"]) for path in tmp_path.glob("*.npz")) == [4, 5]


def test_a_checkpoint_is_written_when_its_time_has_come(tmp_path):
    finish(trainer(length="10 iterations"), tmp_path)
    assert not list(tmp_path.iterdir())
    trainer(length="10 iterations").fit(lambda history: None, checkpoints(tmp_path, every=0), Stopping())
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_a_finished_run_is_forgotten(tmp_path):
    kept = checkpoints(tmp_path)
    kept.save(1, {})
    kept.save(2, {})
    kept.clear()
    assert kept.load() is None


@pytest.mark.parametrize("tiny", [1e-310, -1e-310, 0.0])
def test_what_decays_is_0_whether_or_not_the_processor_has_such_numbers(tiny):
    one = trainer(layers=["conv 1 3", "affine"])
    one.weights[:2] = tiny, 1e-280
    assert one.result[:2].tobytes() == np.array([0.0, 1e-280]).tobytes()


@pytest.mark.parametrize(
    "way", [*WAYS, {"batch_size": 1}, {"arithmetic": "float32", "batch_size": 1}, {"sampling": "blocks"}]
)
@pytest.mark.parametrize("images", [IMAGES, BYTES, FRACTIONS], ids=["features", "bytes", "255ths"])
def test_images_that_stay_in_their_file_give_the_bits_of_those_in_memory(tmp_path, monkeypatch, way, images):
    if images is IMAGES and "augment" in way:
        pytest.skip("features cannot be distorted")
    settings = {"length": "60 iterations", "learning_rate": 1e-5, "images": images} | way
    expected = finish(trainer(**settings), tmp_path / "held")
    monkeypatch.setattr("pipeline.nn.images.HELD", 0)
    assert finish(trainer(**settings), tmp_path / "mapped") == expected


@pytest.mark.parametrize("sampling", ["replacement", "shuffle", "blocks"])
@pytest.mark.parametrize("images", [BYTES, FRACTIONS], ids=["bytes", "255ths"])
def test_the_memory_of_a_training_does_not_grow_with_the_images(tmp_path, monkeypatch, sampling, images):
    """Only labels are in memory, no pixels, and no order of an epoch."""
    monkeypatch.setattr("pipeline.nn.images.HELD", 1 << 16)
    monkeypatch.setattr("pipeline.nn.random.PART", 1000)
    monkeypatch.setattr("pipeline.nn.random.MOST_PARTS", 1000)
    monkeypatch.setattr("pipeline.training.loop.DRAWN", 1000)
    peaks = []
    for copies in (50, 500):
        split = Split(np.tile(images, (copies, 1)), np.tile(LABELS, copies).astype(np.uint8))
        path = tmp_path / "d.npz"
        save_dataset(path, {"train": split, "test": Split(images, LABELS)}, {})
        count = len(split.images)
        del split
        tracemalloc.start()
        loaded = load_splits(path, described((3, 4), "abc"), ["train", "test"])
        one = Trainer(SETTINGS | {"layers": NET, "sampling": sampling, "length": "3 iterations"}, SHAPE, *loaded, 3)
        finish(one, tmp_path / "c")
        peaks.append((tracemalloc.get_traced_memory()[1], count))
        tracemalloc.stop()
    (few, fewer), (many, more) = peaks
    assert many - few < 9 * (more - fewer)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_T6_a_loss_that_is_no_number_stops_training_and_names_its_iteration(loss):
    def steps(batches, done):
        return np.where(np.arange(len(batches)) == 3, loss, 1.0)

    with pytest.raises(PipelineError, match=f"the loss of iteration 4 is {loss}"):
        fit(plan(100, 10, "50 iterations", "shuffle", 1), steps, lambda: (0.5, 0.5), lambda history: None, History(), 5)


@pytest.mark.parametrize("arithmetic", ["exact", "float32", "float64"])
@pytest.mark.parametrize("spoiled", ["images", "weights"])
def test_T6_a_pixel_or_a_weight_that_is_no_number_stops_training(tmp_path, spoiled, arithmetic):
    train = SETTINGS | {"layers": NET, "batch_size": 10}
    images = IMAGES.copy()
    images[:, 3] = np.nan if spoiled == "images" else 0
    one = Trainer(train | {"arithmetic": arithmetic}, SHAPE, (images, LABELS), (IMAGES[:50], LABELS[:50]), 3)
    if spoiled == "weights":
        one.weights[-1] = np.nan
    with pytest.raises(PipelineError, match="the loss of iteration 1 is nan"):
        one.fit(lambda history: None, checkpoints(tmp_path), Stopping())
    assert not list(tmp_path.glob("*.npz"))


def test_T6_a_net_whose_sums_overflow_is_told_in_one_line_without_warnings(tmp_path):
    deep = trainer(layers=["affine 5", "relu"] * 20 + ["affine"], initializer="normal 100", arithmetic="float32")
    with pytest.raises(PipelineError, match="training diverged: the loss of iteration 1 is nan"):
        finish(deep, tmp_path)


def test_T6_weights_that_are_no_numbers_are_not_saved(tmp_path):
    from pipeline.model import save_model

    with pytest.raises(PipelineError, match="W1 holds NaN or infinity"):
        save_model(tmp_path / "weights.npz", np.array([1.0, np.nan]), {"W1": (2,)}, {})
    assert not list(tmp_path.iterdir())


def test_finite_losses_are_no_reason_to_stop():
    require_finite([1.0, 1e300], 0)


@pytest.mark.parametrize("model", [{"batch_size": 1}, {"batch_size": 30}])
@pytest.mark.parametrize("arithmetic", ["exact", "float32", "float64"])
def test_T4_fast_ways_resume_to_the_same_bits_too(tmp_path, model, arithmetic):
    settings = {"arithmetic": arithmetic, "length": "1200 iterations", **model}
    expected = finish(trainer(**settings), tmp_path / "whole")
    cut = trainer(**settings)
    with pytest.raises(Stopped):
        cut.fit(lambda history: None, checkpoints(tmp_path), StopAfter(2))
    assert finish(trainer(**settings), tmp_path) == expected


def test_a_run_says_how_long_its_gradients_will_take():
    assert 0 < trainer(gradient="numerical 1e-5", arithmetic="float64", layers=["affine"]).seconds() < 3600
