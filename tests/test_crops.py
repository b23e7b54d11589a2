"""evaluate.crops: answers averaged over shifts of an image are numbers of their own, exact like the others."""

import json

import numpy as np
import pytest
from by_hand import must, refusal
from nets import DEEP, a_file, a_net

from pipeline.base.errors import PipelineError
from pipeline.model import load_model
from pipeline.nn.images import shifted
from pipeline.report.metrics import Answers
from pipeline.report.results import metrics

MOVES = [(down, across) for down in (1, 0, -1) for across in (1, 0, -1)]


@pytest.mark.parametrize("form", [(20,), (1, 4, 5)], ids=["flat", "image"])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_there_are_nine_crops_and_zeros_come_in_where_the_image_was(form, kind):
    images = np.arange(1, 41).reshape(2, *form).astype(kind)
    crops = list(shifted(images, (4, 5)))
    assert [crop.dtype for crop in crops] == [kind] * 9
    assert [crop.shape for crop in crops] == [images.shape] * 9
    for crop, (down, across) in zip(crops, MOVES, strict=True):
        for y, x in np.ndindex(4, 5):
            inside = 0 <= y - down < 4 and 0 <= x - across < 5
            expected = images.reshape(2, 4, 5)[:, y - down, x - across] if inside else 0
            assert np.array_equal(crop.reshape(2, 4, 5)[:, y, x], np.broadcast_to(expected, 2))


@pytest.mark.parametrize("layers", [["affine 12", "sigmoid", "affine"], DEEP], ids=["two layers", "convolutions"])
@pytest.mark.parametrize("normalize", [True, False])
def test_no_batch_size_and_no_layout_changes_a_bit_of_the_mean(tmp_path, layers, normalize):
    net = load_model(a_file(tmp_path / "weights.npz", *a_net(layers, normalize=normalize)))
    images = np.random.default_rng(0).integers(0, 256, (13, 784)).astype(np.uint8)
    images = images / np.float32(255) if normalize else images
    expected = net.shares(images, 13, 9)
    assert np.allclose(expected, np.mean([net.shares(crop, 13, 1) for crop in shifted(images, (28, 28))], axis=0))
    for batch in (1, 5):
        assert np.array_equal(net.shares(images, batch, 9), expected)
        assert np.array_equal(net.shares(images.reshape(-1, 1, 28, 28), batch, 9), expected)
    assert np.array_equal(np.concatenate([net.shares(image[None], 1, 9) for image in images]), expected)


@pytest.mark.parametrize("features", ["edges", "fourier"])
def test_features_other_than_pixels_have_no_crops(tmp_path, features):
    net = load_model(a_file(tmp_path / "weights.npz", *a_net(features=features)))
    with pytest.raises(
        PipelineError, match=f"the model takes {features}, and only pixels can be shifted; choose crops 1"
    ):
        net.shares(np.zeros((1, np.prod(net.about["net"]["input_shape"])), np.float32), 1, 9)


def test_crops_are_numbers_of_their_own_and_change_no_other():
    shares, other = np.eye(3)[[0, 1, 2, 0]], np.eye(3)[[0, 1, 1, 1]]
    labels = np.array([0, 1, 1, 1])
    plain, cropped = (Answers(np.zeros((4, 1, 1)), labels, shares, ["a", "b", "c"], 0.5, c) for c in (None, other))
    assert metrics(cropped, cropped) == metrics(plain, plain) | {"crops_accuracy": 1, "validation_crops_accuracy": 1}
    assert metrics(plain, None)["accuracy"] == 0.5


def test_evaluate_reports_crops_in_the_metrics_and_on_the_page(copy):
    page, numbers = (copy / "data/evaluation" / name for name in ("report.html", "metrics.json"))
    before, plain = json.loads(numbers.read_text()), page.read_text()
    must(copy, "evaluate", "evaluate.crops=9")
    after = json.loads(numbers.read_text())
    assert set(after) - set(before) == {"crops_accuracy"}
    assert before == {key: after[key] for key in before}
    line = f"<div><dt>accuracy over 9 crops</dt><dd>{after['crops_accuracy']:.2%}</dd></div>"
    assert page.read_text().replace(line, "") == plain != page.read_text()
    assert "-S evaluate.crops=2: evaluate.crops is 2; choose 1 or 9." in refusal(copy, "evaluate", "evaluate.crops=2")
