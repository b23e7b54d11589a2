"""Ways to the same gradient: each agrees with the others, and the check notices when one does not."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.words import Choice
from pipeline.commands import gradcheck
from pipeline.fast.differences import differences
from pipeline.nn.arithmetic import ARITHMETICS, floating
from pipeline.nn.check import FLOAT64, check, difference, directions, draw, every_loss, every_net, example
from pipeline.nn.gradients import backprop, complex_step, loss_of, numerical
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.layers import LAYERS, elementwise
from pipeline.nn.losses import cross_entropy, hinge
from pipeline.nn.net import build, forward, operands, size, views
from pipeline.nn.random import Stream
from pipeline.training.optimizers import sgd

SMOOTH = [word for word in LAYERS if word not in ("relu", "max_pool")]
LOSSES = dict(every_loss())
NETS = [pytest.param(net, loss, id=f"{title}; {name}") for title, net in every_net(8) for name, loss in LOSSES.items()]
WIDE = floating(np.longdouble)


def texts(words):
    """Words of train.layers with small numbers."""

    def small(number):
        return st.integers(number.low, number.low + 2) if number.whole else st.sampled_from([0.0, 0.3])

    return st.one_of([st.tuples(st.just(word), *map(small, LAYERS[word].numbers)) for word in words]).map(
        lambda parts: " ".join(map(str, parts))
    )


@st.composite
def points(draw, words=tuple(LAYERS)):
    """A net of such words, weights, a batch and its labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    white, images = draw(st.sampled_from([None, 1, 255])), draw(st.integers(1, 4))
    layers = [text for text in draw(st.lists(texts(words), max_size=4)) if text != "affine 0"]
    x = rng.integers(0, 256, (images, 1, 6, 6)).astype(np.uint8)
    x[rng.random(x.shape) < 0.4] = 0
    x = {None: x / 100.0, 1: x % 4, 255: x}[white]
    try:
        net = build([*layers, "affine"], (1, 6, 6), 3, images, white)
    except PipelineError:
        assume(False)
    weights = rng.normal(0, 0.5, size(net.shapes))
    return net, weights, x, rng.integers(0, 3, images)


def gradient_of(way, net, loss, weights, x, labels, ops=FLOAT64, **more):
    grads = np.empty_like(weights)
    way(ops, net, loss, weights, grads, **more)(x, labels, draw)
    return grads


@pytest.mark.parametrize(("net", "loss"), NETS)
def test_backpropagation_is_right_in_every_derivative(net, loss):
    for found in check(FLOAT64, net, loss, *example(net, 8, seed=1)):
        assert found.differences < 1e-6
        assert found.complex_step < 1e-12
        assert found.directions < 1e-12


@given(points(), st.sampled_from(list(LOSSES)))
@settings(max_examples=60, deadline=None)
def test_backpropagation_is_the_complex_step_in_any_net(point, loss):
    net, *at = point
    mine, theirs = (gradient_of(way, net, LOSSES[loss], *at) for way in (backprop, complex_step))
    assert difference(mine, theirs) < 1e-12


@given(points(SMOOTH))
@settings(max_examples=60, deadline=None)
def test_exact_arithmetic_is_near_float64(point):
    """Each operand is off by half a step, 2**-(bits + 1) of its largest; later layers enlarge this."""
    net, *at = point
    mine, exact = (
        gradient_of(backprop, net, cross_entropy(0.1), *at, ops=ARITHMETICS[name]) for name in ("float64", "exact")
    )
    bits = min(min(layer.bits) for layer in net.layers if layer.weights)
    assert difference(mine, exact) < 2.0 ** (13 - bits)


@pytest.mark.parametrize("words", [["affine 50", "tanh", "affine"], ["conv 6 5 2", "relu", "max_pool 2", "affine"]])
@pytest.mark.parametrize("loss", LOSSES)
def test_backpropagation_is_right_along_random_directions_at_full_size(words, loss):
    net = build(words, (1, 28, 28), 3, 6, 255)
    weights, x, labels = example(net, 28, seed=2)
    grads = gradient_of(backprop, net, LOSSES[loss], weights, x, labels)
    assert max(directions(FLOAT64, net, LOSSES[loss], weights, grads, x, labels).values()) < 1e-11


@pytest.mark.parametrize("array", ["W1", "b1", "W2", "b2"])
def test_the_check_notices_one_wrong_derivative(array):
    net = build(["affine 4", "tanh", "affine"], (1, 6, 6), 3, 6, 255)
    name, i = array[0], {"1": 0, "2": 2}[array[1]]

    def backward(ops, w, g, dy, cache):
        dx = net.layers[i].backward(ops, w, g, dy, cache)
        g[name].flat[1] += 1e-3
        return dx

    wrong = net._replace(
        layers=tuple(layer._replace(backward=backward) if layer is net.layers[i] else layer for layer in net.layers)
    )
    found = check(FLOAT64, wrong, hinge(), *example(net, 6, seed=1))
    assert [row.array for row in found if min(row.differences, row.complex_step, row.directions) > 1e-5] == [array]


def test_the_command_prints_a_table_and_fails_beyond_the_tolerance():
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "gradcheck", "--side", "6", "--tolerance", "1e-15"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "conv 2 3, tanh, affine            hinge " in done.stdout
    assert done.stderr.startswith("error: backpropagation is off by ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("formula", "slope", "told"),
    [
        (lambda ops, x: np.abs(x), lambda y: np.nan * y, "backpropagation is off by nan, "),
        (lambda ops, x: np.sqrt(np.abs(x) ** 2 + 1), lambda y: np.sqrt(y * y - 1) / y, "complex steps are off by "),
    ],
    ids=["not a number", "right for real numbers alone"],
)
def test_the_command_refuses_a_layer(formula, slope, told, monkeypatch):
    monkeypatch.setitem(LAYERS, "odd", Choice(lambda at: elementwise(at, formula, slope, None)))
    net = build(["affine 4", "relu", "odd", "affine"], (1, 6, 6), 3, 6, 255)
    monkeypatch.setattr("pipeline.nn.check.every_net", lambda side: [("odd", net)])
    with pytest.raises(SystemExit, match=f"^error: {told}"):
        gradcheck.main(tolerance=1e-6, side=6, seed=1)


# differences


@st.composite
def hard_points(draw):
    """A net that `differences` knows, weights of any size, pixels as they may be stored, and any step."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    white, images = draw(st.sampled_from([None, 1, 255])), draw(st.integers(1, 4))
    words = [f"affine {draw(st.integers(1, 5))}", draw(st.sampled_from(["sigmoid", "tanh", "relu"])), "affine"]
    net = build(words, (1, 4, 4), 3, images, white)
    x = rng.integers(0, 256, (images, 1, 4, 4)).astype(np.uint8)
    if white is None:
        x = rng.uniform(-0.1, 1, x.shape) * draw(st.sampled_from([0, 0.01, 1, 255]))
    x[rng.random(x.shape) < draw(st.sampled_from([0.5, 1.0]))] = 0
    weights = rng.normal(0, 1, size(net.shapes))
    named = views(weights, net.shapes)
    named["W1"] *= 10.0 ** draw(st.integers(-2, 2)) * (white or 1) / max(1, x.max())
    named["b1"] *= 10.0 ** draw(st.integers(-4, 0))
    named["W2"] *= 10.0 ** draw(st.integers(-2, 4))
    step = draw(st.sampled_from([1e-10, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0]))
    return net, step, draw(st.sampled_from([0.0, 0.1, 0.9])), weights, x, rng.integers(0, 3, images)


def sizes(net, weights, x):
    """Pre-activations, activations and logits at their largest."""
    w = operands(FLOAT64, net, weights)()
    logits, caches = forward(FLOAT64, net, w, x)
    z = caches[2]
    a, _ = forward(FLOAT64, net._replace(layers=net.layers[:1]), w[:1], x)
    return [np.abs(array).max() for array in (a, z, logits)]


@pytest.mark.skipif(
    WIDE.dtype.itemsize == 8 or np.finfo(WIDE.dtype).eps > 1e-18, reason="no wider float on this platform"
)
@given(hard_points())
@settings(max_examples=60, deadline=None)
def test_differences_are_those_of_long_double(point):
    """The slack: 2**-37 for what NEAR lets pass, some rounding of a and the logits, and that of long double itself."""
    net, step, smoothing, weights, x, labels = point
    found = np.empty_like(weights)
    value = differences(FLOAT64, net, weights, found, step, smoothing)(x, labels, None)
    assert value == loss_of(FLOAT64, net, cross_entropy(smoothing), weights)(x, labels, None)
    x, at = x if x.dtype == np.uint8 else x.astype(WIDE.dtype), weights.astype(WIDE.dtype)
    expected = gradient_of(numerical, net, cross_entropy(smoothing), at, x, labels, WIDE, step=WIDE.dtype.type(step))
    a, z, logits = sizes(net, weights, x.astype(FLOAT64.dtype))
    moved = {"W1": np.abs(x / net.white).max(), "W2": z}
    for name, right in views(expected, net.shapes).items():
        most = (1 + a + logits) * max(1, np.abs(views(weights, net.shapes)["W2"]).max() if name[1] == "1" else 1)
        slack = 2.0**-37 * np.abs(right).max() + most * (2.0**-50 * moved.get(name, 1) + 1e-18 / step)
        assert np.abs(views(found, net.shapes)[name] - right).max() <= slack


def test_differences_see_the_corner_of_relu():
    net = build(["affine 3", "relu", "affine"], (1, 6, 6), 3, 6, 255)
    weights, x, labels = example(net, 6, seed=1)
    views(weights, net.shapes)["W1"][:] *= 1e-6
    views(weights, net.shapes)["b1"][:] = 0
    found = np.empty_like(weights)
    differences(FLOAT64, net, weights, found, 1e-4, 0.0)(x, labels, None)
    assert difference(found, gradient_of(numerical, net, cross_entropy(0), weights, x, labels, step=1e-4)) < 1e-9


def mnist_like(words, images=100):
    """The tutorials' net on images as sparse as MNIST's."""
    rng, net = np.random.default_rng(1), build(words, (1, 28, 28), 10, images, 255)
    x = rng.integers(0, 256, (images, 1, 28, 28)).astype(np.uint8)
    x[rng.random(x.shape) < 0.81] = 0
    return net, initialize(net.shapes, glorot(), Stream(1)), x, rng.integers(0, 10, images)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_training_by_differences_is_training_by_backpropagation(activation):
    net, weights, x, labels = mnist_like(["affine 50", activation, "affine"])
    other, grads = weights.copy(), np.empty((2, len(weights)))
    ways = [
        (weights, grads[0], backprop(FLOAT64, net, cross_entropy(0), weights, grads[0])),
        (other, grads[1], differences(FLOAT64, net, other, grads[1], 1e-6, 0.0)),
    ]
    for _ in range(10):
        for at, its, gradient in ways:
            gradient(x, labels, None)
            sgd().update(at, its, {}, 0.1)
    assert difference(weights, other) < 1e-9


# the generic ways


@pytest.mark.parametrize("words", [["affine 3", "sigmoid", "affine"], ["affine 3", "tanh", "affine"], ["affine"]])
@pytest.mark.parametrize("way", [backprop, numerical, complex_step])
@pytest.mark.parametrize("scale", [1e3, 1e9])
def test_weights_far_too_large_give_numbers_and_no_warning(words, way, scale):
    net = build(words, (1, 6, 6), 3, 6, 255)
    weights, x, labels = example(net, 6, seed=1)
    more = {"step": 1e-10} if way is numerical else {}
    assert np.isfinite(gradient_of(way, net, cross_entropy(0.1), scale * weights, x, labels, **more)).all()


def test_differences_of_large_weights_are_divided_by_what_these_moved():
    net = build(["affine"], (1, 1, 1), 3, 1, 255)
    at = np.array([1000.1, 1000.2, 1000.7, 0, 0, 0]), np.full((1, 1, 1, 1), 255, np.uint8), np.array([1])
    found = gradient_of(numerical, net, hinge(), *at, step=1e-10)
    assert difference(found[:3], gradient_of(backprop, net, hinge(), *at)[:3]) < 1e-5


@pytest.mark.parametrize("way", [numerical, complex_step])
def test_differentiation_leaves_the_weights_as_they_were(way):
    net = build(["affine"], (1, 6, 6), 3, 6, 255)
    weights, x, labels = example(net, 6, seed=1)
    before = weights.copy()
    gradient_of(way, net, hinge(), weights, x, labels, **({"step": 1e-4} if way is numerical else {}))
    np.testing.assert_array_equal(weights, before)


def test_complex_step_follows_weights_that_are_trained():
    net = build(["affine"], (1, 6, 6), 3, 6, 255)
    weights, x, labels = example(net, 6, seed=1)
    grads = np.empty_like(weights)
    gradient = complex_step(FLOAT64, net, hinge(), weights, grads)
    gradient(x, labels, None)
    weights += 0.1
    gradient(x, labels, None)
    assert difference(grads, gradient_of(backprop, net, hinge(), weights, x, labels)) < 1e-14
