"""Which images make up which batch, and the loop over them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.training.loop import History, fit, plan

plans = st.builds(
    plan,
    images=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    length=st.builds("{} {}".format, st.integers(1, 12), st.sampled_from(["iterations", "epochs"])),
    sampling=st.sampled_from(["replacement", "shuffle"]),
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


@given(images=st.integers(1, 30), batch_size=st.integers(1, 12), epochs=st.integers(1, 3), seed=st.integers(0, 9))
def test_a_shuffled_epoch_shows_every_image_once(images, batch_size, epochs, seed):
    one = plan(images, batch_size, f"{epochs} epochs", "shuffle", seed)
    batches = every_batch(one, 4)
    assert len(batches) == epochs * one.per_epoch
    for epoch in range(epochs):
        of_epoch = batches[epoch * one.per_epoch :][: one.per_epoch]
        assert sorted(image for batch in of_epoch for image in batch) == list(range(images))


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
