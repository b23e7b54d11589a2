"""Fast ways through a training step are the plain way, but for rounding: same batches, same losses, same weights."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.fast.choices import fast_steps
from pipeline.fast.pixels import as_bytes, brightest_first
from pipeline.nn import architecture, build
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS, inputs
from pipeline.nn.gradients import backprop
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.losses import LOSSES
from pipeline.nn.random import Stream
from pipeline.training.loop import one_by_one
from pipeline.training.optimizers import optimizer

seeds = st.integers(0, 1000)
STORED = {  # how dataset.npz may hold pixels
    "whole 255ths": lambda stream, n: (stream.integers(256, (n,)) / np.float32(255)).astype(np.float32),
    "bytes": lambda stream, n: stream.integers(4, (n,)).astype(np.uint8),
    "features": lambda stream, n: stream.normal(n).astype(np.float32),
}


def digits(stored, seed, count, shape):
    """Images (count, *shape), four in five pixels dark and some dark in all of them, and their labels."""
    stream, size = Stream(seed), int(np.prod(shape))
    pixels = STORED[stored](stream, count * size).reshape(count, size)
    pixels[stream.uniform(count * size).reshape(count, size) < 0.8] = 0
    pixels[:, ::7] = 0
    return pixels.reshape(count, *shape), stream.integers(3, (count,))


def trained(fast, name, arithmetic, loss, method, data, batches, **knobs):
    """Losses, weights and slots after the steps of `batches`, a list of blocks (m, B)."""
    ops = ARITHMETICS[arithmetic]
    images, labels = inputs(ops, data[0]), data[1]
    model = build(name, ops, images.shape[1:], 3, **knobs)
    weights = initialize(model.shapes, glorot, Stream(5)).astype(ops.dtype)
    way = optimizer(method, 0.05, 0.9)
    slots = way.start(weights)
    net = {"model": name, "knobs": knobs, "loss": loss, "arithmetic": arithmetic}
    if fast:
        steps = fast_steps(net, ops, model, way, batches[0].shape[1], weights, slots, images, labels)
    else:
        grads = np.empty_like(weights)
        gradient = backprop(ops, model, LOSSES[loss], weights, grads)
        steps = one_by_one(gradient, way, weights, grads, slots, images, labels)
    losses = np.concatenate([steps.run(block) for block in batches])
    assert weights.dtype == ops.dtype
    return [losses, weights, *slots.values()]


def assert_equal_but_for_rounding(name, arithmetic, loss, method, data, batches, **knobs):
    plain, fast = (trained(way, name, arithmetic, loss, method, data, batches, **knobs) for way in (False, True))
    tolerance = {"exact": 2e-5, "float32": 2e-5, "float64": 1e-12}[arithmetic]
    if method == "adam":
        tolerance = 1e-8  # it divides by gradients that may be rounding errors themselves
    for expected, found in zip(plain, fast, strict=True):
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@given(
    stored=st.sampled_from(list(STORED)),
    arithmetic=st.sampled_from(list(ARITHMETICS)),
    activation=st.sampled_from(["sigmoid", "tanh"]),  # relu and hinge may bend on either side of a rounding error
    batch=st.integers(1, 9),
    hidden=st.integers(1, 6),
    seed=seeds,
)
@settings(max_examples=60, deadline=None)
def test_two_layer_batches(stored, arithmetic, activation, batch, hidden, seed):
    data = digits(stored, seed, 20, (1, 5, 5))
    stream = Stream(seed, 1)
    batches = [stream.integers(20, shape) for shape in [(4, batch), (3, batch), (1, max(batch - 1, 1))]]
    knobs = {"hidden": hidden, "activation": activation}
    assert_equal_but_for_rounding("two_layer", arithmetic, "cross_entropy", "sgd", data, batches, **knobs)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_two_layer_with_every_activation_and_loss(arithmetic, activation, loss):
    data = digits("whole 255ths", 1, 30, (1, 6, 6))
    knobs = {"hidden": 7, "activation": activation}
    batches = [Stream(2).integers(30, (8, 5))]
    assert_equal_but_for_rounding("two_layer", arithmetic, loss, "sgd", data, batches, **knobs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("stored", STORED)
def test_two_layer_image_by_image_over_several_blocks(stored, activation):
    data = digits(stored, 1, 50, (6, 6))
    batches = [Stream(2).integers(50, (150, 1)), Stream(3).integers(50, (1, 1))]
    assert_equal_but_for_rounding(
        "two_layer", "float64", "cross_entropy", "sgd", data, batches, hidden=8, activation=activation
    )


def test_image_by_image_with_logits_beyond_what_exp_can_take():
    images, labels = digits("features", 1, 20, (6, 6))
    knobs = {"hidden": 4, "activation": "relu"}
    worst = 0.0
    for scale, image in itertools.product((1e2, 1e4, 1e6), range(20)):
        data, batches = (scale * images, labels), [np.array([[image]])]
        assert_equal_but_for_rounding("two_layer", "float64", "cross_entropy", "sgd", data, batches, **knobs)
        losses, *_ = trained(True, "two_layer", "float64", "cross_entropy", "sgd", data, batches, **knobs)
        worst = max(worst, losses[0])
    assert worst > 1000


@given(
    channels=st.integers(1, 2),
    filters=st.integers(1, 3),
    kernel=st.integers(1, 3),
    pool=st.integers(1, 3),
    more=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    batch=st.integers(1, 5),
    method=st.sampled_from(["sgd", "momentum", "adam"]),
    seed=seeds,
)
@settings(max_examples=60, deadline=None)
def test_cnn(channels, filters, kernel, pool, more, batch, method, seed):
    least = kernel + pool - 1
    data = digits("whole 255ths", seed, 12, (channels, least + more[0], least + more[1]))
    batches = [Stream(seed, 1).integers(12, (3, batch)), Stream(seed, 2).integers(12, (1, max(batch - 1, 1)))]
    knobs = {"filters": filters, "kernel": kernel, "pool": pool, "hidden": 4}
    assert_equal_but_for_rounding("cnn", "float64", "cross_entropy", method, data, batches, **knobs)


@pytest.mark.parametrize("arithmetic", ["exact", "float32"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("stored", STORED)
def test_cnn_in_other_arithmetics(stored, loss, arithmetic):
    data = digits(stored, 1, 30, (1, 8, 8))
    knobs = {"filters": 3, "kernel": 3, "pool": 2, "hidden": 6}
    batches = [Stream(2).integers(30, (10, 5))]
    assert_equal_but_for_rounding("cnn", arithmetic, loss, "sgd", data, batches, **knobs)


@pytest.mark.parametrize(
    ("name", "batch", "knobs"),
    [
        ("two_layer", 1, {"hidden": 5, "activation": "tanh"}),
        ("two_layer", 4, {"hidden": 5, "activation": "tanh"}),
        ("cnn", 4, {"filters": 2, "kernel": 3, "pool": 2, "hidden": 5}),
    ],
)
def test_the_same_bits_every_time(name, batch, knobs):
    data = digits("whole 255ths", 1, 30, (1, 8, 8))
    batches = [Stream(2).integers(30, (100, batch))]
    first, second = (trained(True, name, "float32", "cross_entropy", "sgd", data, batches, **knobs) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "method", "arithmetic"),
    [("linear", "sgd", "float32"), ("two_layer", "momentum", "float32"), ("two_layer", "adam", "exact")],
)
def test_where_there_is_no_faster_way(name, method, arithmetic):
    images, labels = digits("whole 255ths", 1, 5, (1, 5, 5))
    ops = ARITHMETICS["float64"]
    knobs = architecture(name, {"hidden": 3, "activation": "tanh"})
    model = build(name, ops, (1, 5, 5), 3, **knobs)
    net = {"model": name, "knobs": knobs, "loss": "cross_entropy", "arithmetic": arithmetic}
    weights = initialize(model.shapes, glorot, Stream(5))
    assert fast_steps(net, ops, model, optimizer(method, 0.1, 0.9), 2, weights, {}, images, labels) is None


@given(stored=st.sampled_from(list(STORED)), seed=seeds)
@settings(max_examples=30, deadline=None)
def test_pixels_in_order_lose_nothing(stored, seed):
    images, _ = digits(stored, seed, 10, (5, 5))
    flat = images.reshape(10, -1)
    pixels = brightest_first(images, ARITHMETICS["float32"])
    back = np.zeros_like(flat)
    back[:, pixels.order] = (pixels.images[:, 1:] / np.float32(pixels.white)).astype(flat.dtype)
    np.testing.assert_array_equal(back, flat)
    often = np.count_nonzero(flat[:, pixels.order], axis=0)
    assert (np.diff(often) <= 0).all()
    for row, used in zip(pixels.images, pixels.used, strict=True):
        assert row[used - 1] != 0
        assert not row[used:].any()
    assert pixels.images.dtype == (np.float32 if stored == "features" else np.uint8)


def test_images_without_a_lit_pixel_train_the_biases():
    images, labels = np.zeros((6, 4, 4), np.float32), Stream(1).integers(3, (6,))
    for batch in (1, 3):
        batches = [Stream(2).integers(6, (5, batch))]
        assert_equal_but_for_rounding(
            "two_layer", "float64", "cross_entropy", "sgd", (images, labels), batches, hidden=3, activation="tanh"
        )


@pytest.mark.parametrize("pixel", [3e38, np.inf, -np.inf, np.nan, 0.5, -1 / 255])
@pytest.mark.parametrize("arithmetic", ["exact", "float32"])
def test_images_that_are_no_bytes_are_left_as_they_are_without_a_warning(arithmetic, pixel):
    images = np.array([[0, 1, pixel]], np.float32)
    found, white = as_bytes(images, ARITHMETICS[arithmetic])
    assert found is images
    assert white == 1
