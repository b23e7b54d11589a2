"""Ways to the same gradient: each agrees with the others, and the check notices when one does not."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fast import structured
from pipeline.fast.choices import choose_gradient, seconds_a_step
from pipeline.nn import build
from pipeline.nn.arithmetic import ARITHMETICS, floating
from pipeline.nn.check import check, difference, directions, every_net, example
from pipeline.nn.gradients import backprop, complex_step, numerical
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.losses import LOSSES, softmax_cross_entropy
from pipeline.nn.random import Stream
from pipeline.training.loop import one_by_one
from pipeline.training.optimizers import sgd

FLOAT64 = ARITHMETICS["float64"]
STEP = 1e-4


@pytest.mark.parametrize(
    ("model", "loss"), [pytest.param(model, loss, id=f"{net} {loss}") for net, model, loss in every_net(8, 3, 5)]
)
def test_backpropagation_is_right_in_every_derivative(model, loss):
    for found in check(FLOAT64, model, LOSSES[loss], *example(model, 4, 8, 3, seed=1)):
        assert found.differences < 1e-7
        assert found.complex_step < 1e-13
        assert found.directions < 1e-13


@pytest.mark.parametrize(
    ("model", "loss"), [pytest.param(model, loss, id=f"{net} {loss}") for net, model, loss in every_net(28, 10, 50)]
)
def test_backpropagation_is_right_along_random_directions_at_full_size(model, loss):
    weights, x, labels = example(model, 20, 28, 10, seed=2)
    grads = np.empty_like(weights)
    backprop(FLOAT64, model, LOSSES[loss], weights, grads)(x, labels)
    assert max(directions(FLOAT64, model, LOSSES[loss], weights, grads, x, labels).values()) < 1e-11


@pytest.mark.parametrize("array", ["W1", "b1", "W2", "b2"])
def test_the_check_notices_one_wrong_derivative(array):
    model = build("two_layer", FLOAT64, (1, 4, 4), 3, hidden=4)

    def backward(w, cache, dy, g):
        model.backward(w, cache, dy, g)
        g[array].flat[1] += 1e-3

    found = check(FLOAT64, model._replace(backward=backward), softmax_cross_entropy, *example(model, 3, 4, 3, seed=1))
    wrong = [row.array for row in found if min(row.differences, row.complex_step, row.directions) > 1e-5]
    assert wrong == [array]


def test_the_command_prints_a_table_and_fails_beyond_the_tolerance():
    command = [sys.executable, "-m", "pipeline.commands.gradcheck"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "two_layer tanh    hinge          W2" in done.stdout
    done = subprocess.run([*command, "--tolerance", "1e-15"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: backpropagation is off by ")
    assert done.stderr.count("\n") == 1


@given(
    activation=st.sampled_from(["sigmoid", "tanh", "relu"]),
    images=st.integers(1, 5),
    hidden=st.integers(1, 6),
    brightest=st.sampled_from([0, 0.01, 1, 255]),
    step=st.sampled_from([STEP, 5e-3, 5e-2, 0.5]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_structured_differences_are_the_generic_ones(activation, images, hidden, brightest, step, seed):
    model = build("two_layer", FLOAT64, (1, 5, 5), 3, hidden=hidden, activation=activation)
    weights, x, labels = example(model, images, 5, 3, seed)
    weights[: 25 * hidden] /= max(brightest, 1)
    x *= brightest
    fast, slow = np.empty_like(weights), np.empty_like(weights)
    losses = [
        structured.structured(FLOAT64, model, weights, fast, step, activation)(x, labels),
        numerical(FLOAT64, model, softmax_cross_entropy, weights, slow, step)(x, labels),
    ]
    assert losses[0] == losses[1]
    assert difference(fast, slow) < 1e-9


@pytest.mark.skipif(np.finfo(np.longdouble).eps > 1e-18, reason="no wider float on this platform")
@pytest.mark.parametrize("every_loss", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_structured_differences_are_nearer_to_long_double_than_the_generic_ones(activation, every_loss, monkeypatch):
    if every_loss:
        monkeypatch.setattr(structured, "NEAR", 0.0)
    model = build("two_layer", FLOAT64, (1, 6, 6), 3, hidden=5, activation=activation)
    weights, x, labels = example(model, 6, 6, 3, seed=1)
    fast, slow = np.empty_like(weights), np.empty_like(weights)
    structured.structured(FLOAT64, model, weights, fast, STEP, activation)(x, labels)
    numerical(FLOAT64, model, softmax_cross_entropy, weights, slow, STEP)(x, labels)

    wide = floating(np.longdouble)
    wide_model = build("two_layer", wide, (1, 6, 6), 3, hidden=5, activation=activation)
    reference = np.empty(len(weights), np.longdouble)
    point = weights.astype(np.longdouble)
    numerical(wide, wide_model, softmax_cross_entropy, point, reference, STEP)(x.astype(np.longdouble), labels)
    assert difference(fast, reference) < difference(slow, reference) < 1e-10


@pytest.mark.parametrize("way", ["numerical", "complex_step"])
def test_differentiation_leaves_the_weights_as_they_were(way):
    net = {"model": "linear", "knobs": {}, "loss": "hinge"}
    model = build("linear", FLOAT64, (1, 4, 4), 3)
    weights, x, labels = example(model, 3, 4, 3, seed=1)
    before = weights.copy()
    choose_gradient(way, net, FLOAT64, model, weights, np.empty_like(weights), STEP)(x, labels)
    np.testing.assert_array_equal(weights, before)


def test_complex_step_follows_weights_that_are_trained():
    model = build("linear", FLOAT64, (1, 4, 4), 3)
    weights, x, labels = example(model, 3, 4, 3, seed=1)
    grads, expected = np.empty_like(weights), np.empty_like(weights)
    gradient = complex_step(FLOAT64, model, softmax_cross_entropy, weights, grads)
    gradient(x, labels)
    weights += 0.1
    gradient(x, labels)
    backprop(FLOAT64, model, softmax_cross_entropy, weights, expected)(x, labels)
    assert difference(grads, expected) < 1e-14


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_numerical_and_backpropagated_training_agree_in_weights_after_20_steps(activation):
    """The tutorials' net on images as sparse as MNIST's, at the size and batch of the tutorials."""
    stream = Stream(1)
    images = (stream.uniform(500 * 784) * (stream.uniform(500 * 784) < 0.19)).reshape(500, 784)
    labels, batches = stream.integers(10, (500,)), stream.integers(500, (20, 100))
    net = {"model": "two_layer", "knobs": {"hidden": 50, "activation": activation}, "loss": "cross_entropy"}
    model = build("two_layer", FLOAT64, (784,), 10, hidden=50, activation=activation)
    trained = []
    for way in ("backprop", "numerical"):
        weights = initialize(model.shapes, glorot, Stream(2))
        grads = np.empty_like(weights)
        gradient = choose_gradient(way, net, FLOAT64, model, weights, grads, STEP)
        one_by_one(gradient, sgd(0.1), weights, grads, {}, images, labels).run(batches)
        trained.append(weights)
    assert difference(*trained) < 1e-8


@pytest.mark.parametrize("way", ["backprop", "numerical", "complex_step"])
@pytest.mark.parametrize("name", ["linear", "two_layer"])
def test_the_estimate_is_of_the_time_that_a_step_takes(name, way):
    knobs = {"hidden": 3, "activation": "sigmoid"} if name == "two_layer" else {}
    net = {"model": name, "knobs": knobs, "loss": "cross_entropy"}
    model = build(name, FLOAT64, (1, 8, 8), 3, **knobs)
    weights, x, labels = example(model, 5, 8, 3, seed=1)
    before = weights.copy()
    assert 0 < seconds_a_step(way, net, FLOAT64, model, weights, x, labels, STEP) < 10
    np.testing.assert_array_equal(weights, before)
