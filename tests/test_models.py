"""Models: shapes, dtypes, and one clear line where the data does not fit."""

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.nn import MODELS, architecture, build
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.check import example
from pipeline.nn.gradients import backprop
from pipeline.nn.layers import max_pool
from pipeline.nn.losses import LOSSES
from pipeline.nn.random import Stream
from pipeline.nn.weights import size, views

FLOAT64 = ARITHMETICS["float64"]


@pytest.mark.parametrize("arithmetic", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", MODELS)
def test_one_dtype_throughout(name, loss, arithmetic):
    """Every array that a model or a loss makes, down to what backward keeps, is of the chosen dtype."""
    ops = ARITHMETICS[arithmetic]
    model = build(name, ops, (1, 8, 8), 3)
    weights, x, labels = example(model, 4, 8, 3, seed=1)
    w = views(weights.astype(ops.dtype), model.shapes)
    logits, cache = model.forward(w, x.astype(ops.dtype))
    dlogits = LOSSES[loss](ops, logits, labels)[1]
    kept = list(cache) if isinstance(cache, tuple) else [cache]
    assert {array.dtype for array in [logits, dlogits, *kept]} == {ops.dtype}

    def rejecting(*arrays, **keywords):
        assert {array.dtype for array in arrays} == {ops.dtype}
        return np.matmul(*arrays, **keywords)

    watched = build(name, ops._replace(matmul=rejecting), (1, 8, 8), 3)
    grads = np.empty(size(model.shapes), ops.dtype)
    backprop(ops, watched, LOSSES[loss], weights.astype(ops.dtype), grads)(x.astype(ops.dtype), labels)


def test_the_weights_of_each_model():
    assert build("linear", FLOAT64, (784,), 10).shapes == {"W1": (784, 10), "b1": (10,)}
    assert build("two_layer", FLOAT64, (1, 28, 28), 10).shapes["W1"] == (784, 50)
    textbook = build("cnn", FLOAT64, (1, 28, 28), 10, filters=30, kernel=5, hidden=100).shapes
    assert (textbook["W1"], textbook["W2"], textbook["W3"]) == ((30, 1, 5, 5), (30 * 12 * 12, 100), (100, 10))


def test_a_model_takes_the_knobs_of_its_builder_alone():
    knobs = {"hidden": 9, "activation": "tanh", "filters": 2, "kernel": 3, "pool": 2, "learning_rate": 0.1}
    assert architecture("linear", knobs) == {}
    assert architecture("two_layer", knobs) == {"hidden": 9, "activation": "tanh"}
    assert architecture("cnn", knobs) == {"filters": 2, "kernel": 3, "pool": 2, "hidden": 9}


@pytest.mark.parametrize("name", ["linear", "two_layer"])
def test_dense_models_take_images_as_rows_of_pixels(name):
    flat, image = (build(name, FLOAT64, shape, 3) for shape in [(64,), (1, 8, 8)])
    weights, x, _ = example(image, 4, 8, 3, seed=1)
    w = views(weights, image.shapes)
    np.testing.assert_array_equal(flat.forward(w, x.reshape(4, 64))[0], image.forward(w, x)[0])


def test_flat_pixels_are_no_images_for_the_cnn():
    with pytest.raises(PipelineError, match=r"cnn needs images .* holds \(784,\): set convert.layout to image"):
        build("cnn", FLOAT64, (784,), 10)


def test_too_small_an_image_for_filter_and_cell():
    with pytest.raises(PipelineError, match=r"8 x 8 pixels are too small .* train.kernel 7 and train.pool 3"):
        build("cnn", FLOAT64, (1, 8, 8), 10, kernel=7, pool=3)
    assert build("cnn", FLOAT64, (1, 8, 8), 10, kernel=7, pool=2).shapes["W2"] == (3, 128)


def test_the_cnn_is_conv_relu_pool_in_either_order():
    """Pooling first is only a saving: max(relu(x)) = relu(max(x))."""
    x = Stream(0).normal(2 * 36).reshape(1, 2, 6, 6)
    np.testing.assert_array_equal(max_pool(np.maximum(x, 0), 2), np.maximum(max_pool(x, 2), 0))


def test_a_cnn_sees_several_channels():
    model = build("cnn", FLOAT64, (2, 6, 6), 3, filters=2, hidden=4)
    weights, _, _ = example(model, 1, 6, 3, seed=1)
    x = Stream(0).normal(5 * 72).reshape(5, 2, 6, 6)
    assert model.forward(views(weights, model.shapes), x)[0].shape == (5, 3)
