"""Which images make up which batch, and the loop over them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.nn import random
from pipeline.nn.random import Stream
from pipeline.training import loop
from pipeline.training.loop import POOL, RUN, History, fit, plan

plans = st.builds(
    plan,
    images=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    length=st.builds("{} {}".format, st.integers(1, 12), st.sampled_from(["iterations", "epochs"])),
    sampling=st.sampled_from(["replacement", "shuffle", "blocks"]),
    seed=st.integers(0, 3),
)


def every_batch(plan, most, done=0):
    return [batch.tolist() for block in plan.blocks(done, most) for batch in block]


@given(plan=plans, most=st.integers(1, 10))
def test_a_plan_has_as_many_batches_as_iterations_however_they_are_cut(plan, most):
    batches = every_batch(plan, most)
    assert len(batches) == plan.iterations
    assert batches == every_batch(plan, 1000)


@given(plan=plans, most=st.integers(1, 10), data=st.data())
def test_going_on_from_an_iteration_gives_the_rest_of_the_plan(plan, most, data):
    done = data.draw(st.integers(0, plan.iterations))
    assert every_batch(plan, most, done) == every_batch(plan, most)[done:]


@given(
    images=st.integers(1, 30), batch_size=st.integers(1, 12), epochs=st.integers(1, 3), seed=st.integers(0, 9),
    sampling=st.sampled_from(["shuffle", "blocks"]),
)  # fmt: skip
def test_a_shuffled_epoch_shows_every_image_once(images, batch_size, epochs, seed, sampling):
    one = plan(images, batch_size, f"{epochs} epochs", sampling, seed)
    batches = every_batch(one, 4)
    assert len(batches) == epochs * one.per_epoch
    for epoch in range(epochs):
        of_epoch = batches[epoch * one.per_epoch :][: one.per_epoch]
        assert sorted(image for batch in of_epoch for image in batch) == list(range(images))


@pytest.mark.parametrize("sampling", ["replacement", "shuffle", "blocks"])
def test_an_epoch_is_the_same_by_however_many_images_it_is_drawn(monkeypatch, sampling):
    one = plan(2000, 7, "2 epochs", sampling, 3)
    expected = every_batch(one, 128)
    monkeypatch.setattr(loop, "DRAWN", 20)
    monkeypatch.setattr(random, "PART", 50)
    assert len(next(one.epoch(0))) < one.per_epoch
    assert every_batch(one, 128) == expected


def test_blocks_read_the_disk_in_runs_a_few_at_a_time():
    shown = np.concatenate(every_batch(plan(20 * RUN, 100, "1 epochs", "blocks", 1), 128))
    pools = [{*(pool // RUN)} for pool in shown.reshape(-1, POOL * RUN)]
    assert all(len(pool) == POOL for pool in pools)
    assert sorted(run for pool in pools for run in pool) == list(range(20))
    assert {*pools[0]} != {0, 1, 2, 3}
    assert len({*(shown[:100] // RUN)}) == POOL  # a batch has images of each


def test_a_plan_of_a_few_steps_draws_no_whole_epoch(monkeypatch):
    drawn = []
    monkeypatch.setattr(Stream, "integers", lambda stream, below, shape: drawn.append(shape) or np.zeros(shape, int))
    assert len(every_batch(plan(10**9, 100, "10 iterations", "replacement", 1), 128)) == 10
    assert sum(steps * batch for steps, batch in drawn) <= loop.DRAWN


def test_epochs_are_shuffled_differently_and_the_seed_decides_how():
    first, second = (plan(50, 50, "2 epochs", "shuffle", seed) for seed in (1, 2))
    assert every_batch(first, 9)[0] != every_batch(first, 9)[1]
    assert every_batch(first, 9) != every_batch(second, 9)
    assert every_batch(first, 9) == every_batch(first, 9)


@given(plan=plans, most=st.integers(1, 10))
def test_training_measures_after_every_epoch_and_after_the_last_step(plan, most):
    seen = []
    history = fit(
        plan,
        lambda batches, done: np.ones(len(batches)),
        lambda: (0.5, 0.25),
        lambda now: seen.append(len(now.losses)),
        History(),
        most,
    )
    assert len(history.losses) == seen[-1] == plan.iterations
    whole = range(1, plan.iterations // plan.per_epoch + 1)
    rest = [plan.iterations / plan.per_epoch] if plan.iterations % plan.per_epoch else []
    assert [row.epoch for row in history.accuracies] == [*whole, *rest]


@given(plan=plans, most=st.integers(1, 10))
def test_no_more_batches_are_asked_for_at_once_than_agreed(plan, most):
    assert all(1 <= len(block) <= most for block in plan.blocks(0, most))
