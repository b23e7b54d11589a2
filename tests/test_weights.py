"""One flat vector and its names; the file that keeps them."""

import json

import numpy as np
import pytest
from described import trained
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import PipelineError
from pipeline.base.npz import read_npz, write_npz
from pipeline.base.words import made
from pipeline.model import load_model, save_model
from pipeline.nn.initializers import INITIALIZERS, initialize
from pipeline.nn.net import build, size, views
from pipeline.nn.random import Stream

SHAPES = {"W1": (6, 4), "b1": (4,), "W2": (2, 3, 3, 3), "b2": (2,)}


def without_digest(arrays):
    about = {key: value for key, value in json.loads(str(arrays["about"])).items() if key != "sha256"}
    return arrays | {"about": np.array(json.dumps(about))}


shapes = st.dictionaries(st.text("abc", min_size=1), st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))


@given(shapes)
def test_views_share_the_vector_and_cover_it_without_overlap(named):
    flat = np.arange(size(named))
    parts = views(flat, named)
    assert {name: part.shape for name, part in parts.items()} == named
    assert [number for part in parts.values() for number in part.flat] == flat.tolist()
    for part in parts.values():
        part += 1
    assert (flat == np.arange(size(named)) + 1).all()


def a_model(path):
    """A small net in a file: its description, shapes and weights."""
    said = trained((4, 5))
    net = build(said["net"]["layers"], tuple(said["net"]["input_shape"]), said["net"]["classes"])
    flat = Stream(1).normal(size(net.shapes))
    save_model(path, flat, net.shapes, said)
    return said, net.shapes, flat


def test_what_is_saved_is_loaded(tmp_path):
    said, shapes, flat = a_model(tmp_path / "weights.npz")
    found = load_model(tmp_path / "weights.npz")
    assert found.about == said | {"sha256": found.about["sha256"]}
    assert list(found.weights) == list(shapes)
    for name, array in views(flat, shapes).items():
        np.testing.assert_array_equal(found.weights[name], array)


@pytest.mark.parametrize(
    "changed",
    [lambda arrays: arrays | {"W2": -arrays["W2"]}, lambda arrays: {"b9": arrays["b1"]} | arrays, without_digest],
    ids=["negated", "one more", "no hash"],
)
def test_a_description_vouches_for_the_arrays_it_was_saved_with_and_no_others(tmp_path, changed):
    path = tmp_path / "weights.npz"
    a_model(path)
    write_npz(path, changed(read_npz(path)))
    with pytest.raises(
        PipelineError, match=r"describes arrays with SHA-256 .* and holds others|sha256: Field required"
    ):
        load_model(path)


@pytest.mark.parametrize("layers", [["affine 5"], ["affine", "affine 4"], ["conv 2 3"], ["relu"]], ids="+".join)
def test_a_net_without_one_output_a_class_is_refused(tmp_path, layers):
    said, _, _ = a_model(tmp_path / "weights.npz")
    shapes = build(layers, tuple(said["net"]["input_shape"]), said["net"]["classes"]).shapes
    said["net"]["layers"] = layers
    save_model(tmp_path / "weights.npz", np.ones(size(shapes)), shapes, said)
    with pytest.raises(PipelineError, match=r"there is no net of .* does not have one output per class"):
        load_model(tmp_path / "weights.npz")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    flat = np.zeros(size(SHAPES))
    flat[24] = np.inf
    with pytest.raises(PipelineError, match="b1 holds NaN or infinity"):
        save_model(tmp_path / "weights.npz", flat, SHAPES, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["normal 0.02", "glorot", "he"])
def test_initializers_have_the_spread_they_promise_and_leave_biases_at_zero(name):
    big = {"W1": (300, 200), "b1": (200,), "W2": (20, 5, 9, 9)}
    parts = views(initialize(big, made(INITIALIZERS, name), Stream(1)), big)
    assert not parts["b1"].any()
    for array, (inside, outside) in ((parts["W1"], (300, 200)), (parts["W2"], (5 * 81, 20 * 81))):
        expected = {"normal 0.02": 0.02, "glorot": np.sqrt(2 / (inside + outside)), "he": np.sqrt(2 / inside)}[name]
        assert array.std() == pytest.approx(expected, rel=0.03)
        assert array.mean() == pytest.approx(0, abs=4 * expected / np.sqrt(array.size))
