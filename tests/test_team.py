"""The law for workers: any number of workers gives the bits of one; a training that cannot be shared is refused."""

import dataclasses
import math
import threading
from pathlib import Path

import numpy as np
import pytest
import recipe
import short_run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nets import STACKS, a_stack
from test_same_bits import GOLDEN
from test_trainer import IMAGES, StopAfter, checkpoints, finish, trainer

from pipeline.base.errors import PipelineError
from pipeline.base.signals import Stopped, Stopping
from pipeline.params import load_params
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import History
from pipeline.training.pace import HOLD, ROUNDS, Fastest
from pipeline.training.settings import Train
from pipeline.training.team import ALONE, SOLE, Team, Workers, side_by_side, threads
from pipeline.training.trainer import Trainer
from pipeline.training.workers import workers

PARAMS = Path(__file__).parents[1] / "params.yaml"
DIGITS = short_run.digits(22)


def crew(size: int) -> Workers:
    return Workers(ALONE, [threads(size)])


def trained(settings: dict, those: Workers = SOLE) -> tuple[bytes, History]:
    """Weights and history of a short training on 22 digits."""
    one = Trainer(short_run.PLAIN | settings, (1, 28, 28), DIGITS, DIGITS, 10, those)
    history = one.fit(lambda history: None, Checkpoints(Path(), {}, math.inf), Stopping())
    return one.result.tobytes(), history


EITHER = Workers(ALONE, [threads(1), threads(2)])


@pytest.mark.parametrize(
    "those",
    [
        pytest.param(crew(2), id="2", marks=pytest.mark.slow),
        pytest.param(crew(3), id="3"),
        pytest.param(EITHER, id="1 or 2", marks=pytest.mark.slow),
    ],
)
def test_any_number_of_threads_computes_the_golden_numbers(those):
    assert dict(line.split()[1:] for line in short_run.lines("exact", those)) == GOLDEN


def shared(name: str) -> dict | None:
    """The settings of a recipe for few images, in exact arithmetic; None where its gradient cannot be shared."""
    overrides = [one for one in recipe.settings(name) if one.startswith("train.")]
    found = load_params(PARAMS, overrides, Train).model_dump()
    found |= {"batch_size": min(found["batch_size"], 8), "length": "4 iterations", "arithmetic": "exact"}
    return found if found["gradient"] == "backprop" and found["batch_size"] > 1 else None


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in recipe.RECIPES if shared(name)])
def test_every_recipe_has_one_hash_on_1_to_4_workers(name):
    found = shared(name)
    assert len({trained(found, crew(size))[0] for size in (1, 2, 3, 4)}) == 1


@given(
    stack=st.integers(0, STACKS),
    size=st.integers(2, 5),
    batch=st.integers(5, 9),
    sampling=st.sampled_from(["shuffle", "replacement"]),
    optimizer=st.sampled_from(["sgd", "momentum 0.9", "adam"]),
    average=st.sampled_from(["none", "ema 0.9"]),
    loss=st.sampled_from(["cross_entropy", "cross_entropy 0.1", "hinge"]),
    augment=st.sampled_from([[], [], ["shift 1", "elastic 0.9 5"]]),
    decay=st.sampled_from([0.0, 0.1]),
)
@settings(max_examples=6)
@example(3, 5, 7, "shuffle", "adam", "ema 0.9", "hinge", ["shift 1"], 0.1)  # each epoch ends on a batch of one image
def test_any_training_has_the_same_bits_on_any_number_of_workers(
    stack, size, batch, sampling, optimizer, average, loss, augment, decay
):
    found = {"layers": a_stack(stack), "initializer": "he", "batch_size": batch, "sampling": sampling, "loss": loss}
    found |= {"optimizer": optimizer, "average": average, "augment": augment, "weight_decay": decay}
    found |= {"length": "5 iterations", "learning_rate": 0.001}
    assert trained(found, crew(size)) == trained(found)


def test_in_float64_the_bits_depend_on_who_adds():
    assert len({trained({"arithmetic": "float64"}, crew(size))[0] for size in (1, 2, 3)}) > 1


def test_more_than_2048_images_a_batch_are_added_up_exactly():
    found = {"layers": ["affine 30", "relu", "affine"], "batch_size": 5000, "length": "2 iterations"}
    assert trained(found, crew(3)) == trained(found)


@pytest.mark.parametrize("first", [1, 3])
def test_a_run_goes_on_with_another_number_of_workers(tmp_path, first):
    settings = {"length": "150 iterations", "optimizer": "adam", "average": "ema 0.9", "learning_rate": 0.01}
    expected = finish(trainer(**settings), tmp_path / "whole")
    sizes = iter([first, 2, 1, 4])
    for _ in range(3):
        with pytest.raises(Stopped):
            trainer(workers=crew(next(sizes)), **settings).fit(
                lambda history: None, checkpoints(tmp_path), StopAfter(1)
            )
    assert finish(trainer(workers=crew(next(sizes)), **settings), tmp_path) == expected


@pytest.mark.parametrize("place", [0, 229])
def test_a_pixel_that_is_no_number_is_told_in_one_line_whoever_has_it(tmp_path, place):
    images = IMAGES.copy()
    images[place] = np.nan
    one = trainer(images, workers=crew(3), batch_size=230)
    with pytest.raises(PipelineError, match="training diverged: the loss of iteration 1 is nan"):
        finish(one, tmp_path)


# what workers do together


@pytest.mark.parametrize("size", [1, 2, 4])
def test_workers_find_the_largest_the_sum_and_their_own_part_of_it(size):
    arrays = np.arange(10.0) + 100 * np.arange(size)[:, None]

    def work(team: Team) -> list:
        mine = arrays[team.rank].copy()
        return [
            team.max(float(team.rank)),
            team.owned(mine.copy()).tolist(),
            team.sum(mine).tolist(),
            team.told(team.rank),
        ]

    total, found = arrays.sum(axis=0).tolist(), {}
    side_by_side(threads(size), lambda team: found.update({team.rank: work(team)}))
    for team in threads(size):
        assert found[team.rank] == [size - 1.0, total[team.part(10)], total, 0]


def test_what_is_not_a_number_is_found_whoever_has_it():
    for rank in range(3):
        numbers = [float("nan") if rank == other else 1.0 for other in range(3)]
        assert side_by_side(threads(3), lambda team, numbers=numbers: team.max(numbers[team.rank])) == math.inf


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_worker_that_fails_says_why_and_nobody_waits_for_it(failing):
    before = threading.active_count()

    def work(team: Team) -> None:
        if team.rank == failing:
            raise MemoryError("no room for worker")
        team.max(1.0)

    with pytest.raises(MemoryError, match="no room for worker"):
        side_by_side(threads(3), work)
    assert threading.active_count() == before


def test_a_thread_that_cannot_start_ends_the_others(monkeypatch):
    start = threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if threading.active_count() > before + 1:
            raise RuntimeError("can't start new thread")
        start(thread)

    before = threading.active_count()
    monkeypatch.setattr(threading.Thread, "start", limited)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        side_by_side(threads(4), lambda team: team.max(1.0))
    assert threading.active_count() == before


# what the environment says


@pytest.mark.parametrize(
    ("said", "arithmetic", "batch", "message"),
    [
        (
            "2",
            "float32",
            100,
            "PIPELINE_THREADS is 2, but train.arithmetic is float32, whose bits depend on the number of workers",
        ),
        ("3", "exact", 2, "PIPELINE_THREADS is 3, but train.batch_size is 2, and each worker needs an image of every "),
        (
            "two",
            "exact",
            100,
            "PIPELINE_THREADS is 'two', expected a whole number from 1 to 1024; correct or unset it.",
        ),
        ("0", "exact", 100, "PIPELINE_THREADS is '0', expected"),
        ("-1", "exact", 100, "PIPELINE_THREADS is '-1', expected"),
        ("9" * 9999, "exact", 100, "expected a whole number from 1 to 1024"),
        ("\u0662", "exact", 100, "expected a whole number from 1 to 1024"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(monkeypatch, said, arithmetic, batch, message):
    monkeypatch.setenv("PIPELINE_THREADS", said)
    with pytest.raises(PipelineError, match=message), workers(arithmetic, batch):
        pass


@pytest.mark.parametrize(
    ("said", "arithmetic", "batch", "crews"),
    [
        ("1", "float32", 1, [1]),
        ("3", "exact", 3, [3]),
        ("", "exact", 100, [1, 2, 4]),
        ("", "exact", 3, [1, 2]),
        (" ", "exact", 1, [1]),
        ("", "float64", 100, [1]),
    ],
)
def test_without_a_number_only_what_keeps_the_bits_is_tried(monkeypatch, said, arithmetic, batch, crews):
    monkeypatch.setenv("PIPELINE_THREADS", said)
    monkeypatch.setattr("pipeline.training.workers.processors", lambda: 6)
    with workers(arithmetic, batch) as those:
        assert [len(teams) for teams in those.crews] == crews


# the clock


@dataclasses.dataclass
class Machine:
    """A fake clock, and ways whose steps take `seconds` of it."""

    seconds: list[float]
    now: float = 0.0

    def fastest(self) -> Fastest:
        self.taken: list[list[int]] = [[] for _ in self.seconds]
        return Fastest(
            [lambda batches, done, way=way: self.take(way, batches, done) for way in range(2)], lambda: self.now
        )

    def take(self, way: int, batches: np.ndarray, done: int) -> np.ndarray:
        self.now += self.seconds[way] * len(batches)
        self.taken[way] += range(done, done + len(batches))
        return batches[:, 0]

    def share(self) -> float:
        """The share of steps that threads took since the last question."""
        counts = [len(taken) for taken in self.taken]
        for taken in self.taken:
            taken.clear()
        return counts[1] / sum(counts)


BATCHES = np.arange(128)[:, None]


def test_steps_are_each_taken_once_and_in_order_whoever_takes_them():
    machine = Machine([0.001, 0.0007])
    losses = machine.fastest()(BATCHES, 1000)
    assert losses.tolist() == list(range(128))
    assert sorted(machine.taken[0] + machine.taken[1]) == list(range(1000, 1128))
    assert all(taken for taken in machine.taken)


@pytest.mark.parametrize(("threaded", "most"), [(0.0005, True), (0.002, False), (0.00097, False)])
def test_threads_take_the_steps_where_they_are_clearly_faster(threaded, most):
    machine = Machine([0.001, threaded])
    fastest = machine.fastest()
    for _ in range(10):
        fastest(BATCHES, 0)
    machine.share()
    for _ in range(10):
        fastest(BATCHES, 0)
    assert machine.share() == (1 if most else 0)


def test_a_machine_that_becomes_busy_is_noticed_at_once_and_one_that_is_free_again_later():
    machine = Machine([0.001, 0.0005])
    fastest = machine.fastest()
    for _ in range(10):
        fastest(BATCHES, 0)
    machine.seconds[1], began = 0.05, machine.now
    machine.share()
    for _ in range(100):
        fastest(BATCHES, 0)
    assert machine.share() < 0.02
    assert machine.now - began < 1.5 * 100 * 128 * machine.seconds[0] + 1  # the cost is one piece of the old length
    machine.seconds[1] = 0.0005
    for _ in range(int(2.2 * HOLD / 0.128)):
        fastest(BATCHES, 0)
    assert machine.share() > 0.1


def test_trials_that_are_lost_cost_next_to_nothing():
    """Threads that take five times as long, for ten minutes."""
    machine = Machine([0.001, 0.005])
    fastest = machine.fastest()
    for _ in range(600_000 // 128):
        fastest(BATCHES, 0)
    assert machine.share() < 6 * ROUNDS * 4 / 600_000
    assert machine.now < 1.005 * 600
