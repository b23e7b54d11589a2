"""Steps on one image are those of backprop and sgd: the same bits in exact arithmetic, else equal up to rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fast import one_image as module
from pipeline.fast.one_image import Bounded, one_image
from pipeline.fast.pixels import arranged
from pipeline.nn import exact
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.gradients import backprop
from pipeline.nn.losses import cross_entropy
from pipeline.nn.net import build, size
from pipeline.training.optimizers import sgd


@st.composite
def trainings(draw):
    """A net, weights, images in the order of their pixels, labels, and which images are taken with which rates."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    white, images, steps = draw(st.sampled_from([1, 255])), 6, draw(st.integers(1, 80))
    words = [f"affine {draw(st.integers(1, 6))}", draw(st.sampled_from(["sigmoid", "tanh", "relu"])), "affine"]
    net = build(words, (1, 3, 4), draw(st.integers(2, 5)), 1, white)
    x = rng.integers(0, 256, (images, 12)).astype(np.uint8)
    x[rng.random(x.shape) < 0.6] = 0
    x[0] = 0
    weights = rng.normal(0, draw(st.sampled_from([0.0, 1e-3, 0.5, 30.0])), size(net.shapes))
    rates = 10.0 ** rng.uniform(-4, draw(st.sampled_from([-2, 0, 1])), steps)
    rates *= 1 / 255 if white == 1 else 1
    return net, weights, x, rng.integers(0, net.layers[2].shape[0], images), rng.integers(0, images, steps), rates


def plainly(ops, net, weights, x, labels, chosen, rates):
    weights = weights.astype(ops.dtype)
    grads = np.empty_like(weights)
    gradient, losses = backprop(ops, net, cross_entropy(0.0), weights, grads), []
    for n, rate in zip(chosen, rates.tolist(), strict=True):
        losses.append(gradient(x[n : n + 1], labels[n : n + 1], None))
        sgd().update(weights, grads, {}, rate)
    return np.array(losses), weights


def quickly(ops, net, weights, x, labels, chosen, rates):
    weights, half = weights.astype(ops.dtype), len(chosen) // 2
    run = one_image(ops, net, weights, arranged(x, np.arange(x.shape[1]), net.white), labels)
    parts = [run(chosen[part], rates[part]) for part in (slice(half), slice(half, None)) if len(chosen[part])]
    return np.concatenate(parts), weights


@given(trainings())
@settings(max_examples=100, deadline=None)
def test_exact_steps_have_the_bits_of_the_plain_ones(training):
    plain, quick = (way(ARITHMETICS["exact"], *training) for way in (plainly, quickly))
    assert [array.tobytes() for array in plain] == [array.tobytes() for array in quick]


@pytest.mark.parametrize(("name", "tolerance"), [("float32", 2e-4), ("float64", 1e-12)])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("white", [1, 255])
def test_floating_steps_are_the_plain_ones_but_for_rounding(name, tolerance, activation, white):
    rng, net = np.random.default_rng(1), build(["affine 5", activation, "affine"], (1, 3, 4), 3, 1, white)
    x = rng.integers(0, 256, (6, 12)).astype(np.uint8)
    x[rng.random(x.shape) < 0.5] = 0
    x = x if white == 255 else x % 4
    training = rng.normal(0, 0.5, size(net.shapes)), x, rng.integers(0, 3, 6), rng.integers(0, 6, 150)
    rates = rng.uniform(0, 0.05, 150)
    plain, quick = (way(ARITHMETICS[name], net, *training, rates) for way in (plainly, quickly))
    for expected, found in zip(plain, quick, strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_logits_far_from_0_neither_overflow_nor_vanish():
    net, x = build(["affine 2", "relu", "affine"], (1, 1, 2), 3, 1, 255), np.array([[255, 0]], np.uint8)
    weights = np.full(size(net.shapes), 30.0)
    training = net, weights, x, np.array([1]), np.zeros(3, int), np.full(3, 1e-3)
    plain, quick = (way(ARITHMETICS["float32"], *training) for way in (plainly, quickly))
    np.testing.assert_allclose(quick[0], plain[0], rtol=1e-3)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-3, 3)), max_size=40))
def test_the_power_of_two_is_that_of_the_largest_number(moves):
    array = np.array([[0.9, -0.5], [0.1, 0.0]])
    bounded = Bounded(array)
    for where, move in moves:
        array.reshape(-1)[where] += move
        bounded.grow(abs(move))
        expected = exact.grid(array, 20)
        assert exact.rounded(array, 20, bounded.bound()).tobytes() == expected.tobytes()


def test_most_steps_look_at_no_more_than_the_lit_rows(monkeypatch):
    looks = []
    monkeypatch.setattr(Bounded, "measure", lambda self, real=Bounded.measure: (looks.append(self), real(self)))
    rng, net = np.random.default_rng(1), build(["affine 20", "tanh", "affine"], (1, 10, 10), 3, 1, 255)
    x = (rng.integers(0, 256, (50, 100)) * (rng.random((50, 100)) < 0.2)).astype(np.uint8)
    weights = rng.normal(0, 0.1, size(net.shapes))
    run = module.one_image(ARITHMETICS["exact"], net, weights, x, rng.integers(0, 3, 50))
    run(rng.integers(0, 50, 500), np.full(500, 0.01))
    assert len(looks) < 50


def test_weights_that_are_no_numbers_any_more_give_a_loss_that_is_none():
    net, x = build(["affine 2", "relu", "affine"], (1, 1, 2), 3, 1, 255), np.array([[255, 0]], np.uint8)
    for far in (1e300, np.inf, np.nan):
        run = one_image(ARITHMETICS["exact"], net, np.full(size(net.shapes), far), x, np.array([1]))
        assert np.isnan(run(np.zeros(2, int), np.full(2, 0.1))).all()
