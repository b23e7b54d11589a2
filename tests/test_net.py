"""Nets: how a list of layers is built, which lists do not fit, and what a new layer needs."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.words import made
from pipeline.fast.rewrite import fast
from pipeline.nn import inference, layers
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.gradients import backprop, complex_step
from pipeline.nn.layers import LAYERS
from pipeline.nn.losses import LOSSES
from pipeline.nn.net import build, forward, operands, size, views
from pipeline.nn.random import Stream
from pipeline.training.settings import Train

FLOAT64, EXACT = ARITHMETICS["float64"], ARITHMETICS["exact"]
GUIDE = Path(__file__).parents[1] / "docs/guides.md"
LENET = ["conv 6 5 2", "tanh", "mean_pool 2", "conv 16 5", "tanh", "mean_pool 2", "affine 120", "tanh", "affine"]


def gradient_of(way, ops, net, x, weights=None, draw=None):
    """Loss and gradient of images x."""
    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.5, size(net.shapes)) if weights is None else weights
    grads = np.full(weights.shape, np.nan, ops.dtype)
    labels = rng.integers(0, net.layers[-1].shape[0], len(x))
    value = way(ops, net, made(LOSSES, "cross_entropy"), weights.astype(ops.dtype), grads)(x, labels, draw)
    return value, grads


def images(count, shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def test_a_net_names_its_weights_in_the_order_of_one_vector():
    net = build(LENET, (1, 28, 28), 10)
    assert net.shapes == {
        "W1": (6, 1, 5, 5),
        "b1": (6,),
        "W2": (16, 6, 5, 5),
        "b2": (16,),
        "W3": (400, 120),
        "b3": (120,),
        "W4": (120, 10),
        "b4": (10,),
    }
    flat = np.arange(float(size(net.shapes)))
    named = views(flat, net.shapes)
    assert np.concatenate([array.ravel() for array in named.values()]).tolist() == flat.tolist()
    assert all(array.base is flat for array in named.values())
    assert [sorted(arrays) for arrays in net.by_layer(flat) if arrays] == [["W", "b"]] * 4


@pytest.mark.parametrize("words", [["affine"], ["affine 7", "relu", " affine "], ["conv 2 3", "affine", "dropout 0.1"]])
def test_a_bare_affine_has_an_output_a_class(words):
    assert build(words, (1, 4, 4), 3).layers[-1].shape == (3,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["conv 2 5", "affine"], "[0] is 'conv 2 5': its filters of 5 x 5 are larger than its images of 4 x 6 pixels"),
        (["conv 2 3", "conv 2 3", "affine"], "[1] is 'conv 2 3': its filters of 3 x 3 are larger than its images of 2"),
        (["relu", "max_pool 5", "affine"], "[1] is 'max_pool 5': its cells of 5 x 5 are larger than its images of 4 x"),
        (["mean_pool 2", "mean_pool 3", "affine"], "[1] is 'mean_pool 3': its cells of 3 x 3 are larger than its"),
        (["affine 9", "conv 2 1", "affine"], "[1] is 'conv 2 1': it needs images, but an affine layer before it has"),
        (["affine", "tanh", "max_pool 1"], "[2] is 'max_pool 1': it needs images, but an affine layer before it has"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(words, said):
    with pytest.raises(PipelineError) as error:
        build(words, (1, 4, 6), 3)
    assert str(error.value).startswith(f"train.layers{said}")
    assert str(error.value).endswith("; choose other layers.")
    assert build(["conv 2 5 1", "max_pool 2", "affine"], (1, 4, 6), 3).layers[1].shape == (2, 1, 2)  # padded, it fits


@pytest.mark.parametrize("words", [["affine 5", "tanh", "affine"], ["conv 2 3", "max_pool 2", "affine"], LENET[1:4]])
def test_bytes_with_a_white_of_255_are_fractions(words):
    words = words if words[-1] == "affine" else [*words, "affine"]
    x = images(4, (1, 12, 12))
    found, wanted = (
        gradient_of(backprop, FLOAT64, build(words, (1, 12, 12), 3, 4, white), x / scale if scale else x)
        for white, scale in ((255, None), (None, 255))
    )
    assert found[0] == pytest.approx(wanted[0], rel=1e-12)
    np.testing.assert_allclose(found[1], wanted[1], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("words", [["affine 5", "sigmoid", "affine"], ["conv 3 3 1", "tanh", "mean_pool 2", "affine"]])
@pytest.mark.parametrize("white", [1, 255])
def test_exact_gradients_are_those_of_float64_to_four_digits_and_float32_stays_float32(words, white):
    x = images(8, (1, 9, 9)) // (255 // white)
    net = build(words, (1, 9, 9), 4, 8, white)
    value, wanted = gradient_of(backprop, FLOAT64, net, x)
    for name in ("exact", "float32"):
        found = gradient_of(backprop, ARITHMETICS[name], net, x)
        assert found[0] == pytest.approx(value, rel=1e-5)
        np.testing.assert_allclose(found[1], wanted, atol=1e-4 * np.abs(wanted).max())
    ops = ARITHMETICS["float32"]
    w = operands(ops, net, np.ones(size(net.shapes), np.float32))()
    logits, caches = forward(ops, net, w, x)
    kept = [array for cache in caches for array in (cache if isinstance(cache, tuple) else [cache])]
    assert {array.dtype for array in [logits, *kept]} == {ops.dtype}


@pytest.mark.parametrize("way", [lambda net: net, fast])
def test_weights_beyond_any_grid_are_no_numbers_and_tiny_ones_zero_without_a_warning(way):
    net = way(build(["conv 2 3", "relu", "affine 4", "tanh", "affine"], (1, 5, 5), 3, 4, 255))
    x, weights = images(4, (1, 5, 5)), np.random.default_rng(1).normal(size=size(net.shapes))
    assert np.isnan([gradient_of(backprop, EXACT, net, x, scale * weights)[0] for scale in (1e150, 1e300)]).all()
    tiny, zero = (gradient_of(backprop, EXACT, net, x, scale * weights) for scale in (1e-300, 0.0))
    assert tiny[0] == zero[0]
    assert tiny[1].tobytes() == zero[1].tobytes()


def test_layers_that_draw_are_numbered_and_draw_in_training_alone():
    net, asked = build(["dropout 0.5", "affine 6", "dropout 0.2", "affine"], (1, 3, 3), 4, 5), []

    def draw(layer, rows, columns):
        asked.append((layer, rows, columns))
        return Stream(1, layer).bits16(rows, columns)

    x = np.ones((5, 9))
    first, again, without = (gradient_of(backprop, EXACT, net, x, draw=how) for how in (draw, draw, None))
    assert asked == [(0, 5, 9), (1, 5, 6)] * 2
    assert first[0] == again[0] != without[0]
    assert first[1].tobytes() == again[1].tobytes() != without[1].tobytes()


def test_a_new_layer_is_the_function_and_the_line_that_the_guide_shows(monkeypatch):
    (section,) = re.findall(r"## A new layer\n(.*?)\n## ", GUIDE.read_text("utf-8"), re.DOTALL)
    function, line, *_ = map(textwrap.dedent, re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    file = dict(vars(layers))
    exec(function, file)
    monkeypatch.setitem(LAYERS, "leaky_relu", eval(f"{{{line}}}", file)["leaky_relu"])
    described = Train.model_json_schema()["properties"]["layers"]["items"]
    assert re.fullmatch(described["pattern"], "leaky_relu 0.1")
    for words in (["affine 5", "leaky_relu 0.1", "affine"], ["conv 3 3", "leaky_relu 0.1", "max_pool 2", "affine"]):
        net, x = build(words, (1, 8, 8), 3, 6, 255), images(6, (1, 8, 8))
        found, wanted = (gradient_of(way, FLOAT64, net, x) for way in (backprop, complex_step))
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-9, atol=1e-13)
        plain, sooner = (gradient_of(backprop, EXACT, way, x) for way in (net, fast(net)))
        assert plain[0] == sooner[0] == pytest.approx(found[0], rel=1e-5)
        assert plain[1].tobytes() == sooner[1].tobytes()
        assert gradient_of(backprop, ARITHMETICS["float32"], net, x)[0] == pytest.approx(found[0], rel=1e-5)


def test_accuracy_starts_at_most_8_threads_however_many_processors_there_are(monkeypatch):
    asked = []
    threads = inference.ThreadPoolExecutor
    monkeypatch.setattr(inference, "ThreadPoolExecutor", lambda count: asked.append(count) or threads(count))
    monkeypatch.setattr(inference, "processors", lambda: 500)
    net = build(["affine"], (1, 2, 2), 3)
    images, labels = np.ones((450, 4)), np.zeros(450, int)
    assert inference.count_right(ARITHMETICS["float64"], net, np.zeros(size(net.shapes)), images, labels) == len(images)
    assert asked == [8]
