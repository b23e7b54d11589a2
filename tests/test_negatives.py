"""Invented images, and the second net that learns from them what to refuse."""

import numpy as np
import pytest
from nets import a_net
from short_run import PLAIN

from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest
from pipeline.base.signals import Stopping
from pipeline.digit.framing import bounds, centre_of_mass
from pipeline.nn.random import Stream
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.detector import detecting
from pipeline.training.judging import FALSE_REFUSALS, with_limit
from pipeline.training.negatives import BLOCK, drawn, negatives
from pipeline.training.trainer import Trainer

LIKE = {"side": 20.0, "row": 14.5, "column": 14.5, "stroke": 2.5, "least_slant": 0.0, "most_slant": 0.4}
GOLDEN = "009a2eba944d58e4"


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (N, 28, 28) of crosses and boxes, each at a place of its own, and their classes."""
    rng, images, labels = np.random.default_rng(1), np.zeros((count, 28, 28), np.uint8), np.arange(count) % 2
    for image, label, (y, x) in zip(images, labels, rng.integers(7, 10, (count, 2)), strict=True):
        if label:
            image[y : y + 12, x + 5 : x + 7] = image[y + 5 : y + 7, x : x + 12] = 255
        else:
            image[y : y + 12, x : x + 12] = 255
            image[y + 2 : y + 10, x + 2 : x + 10] = 0
    return images, labels


def test_invented_images_have_the_same_bits_everywhere():
    assert arrays_digest({"images": negatives(digits(9)[0], 5 * BLOCK, LIKE, Stream(1, 4))})[:16] == GOLDEN


def test_drawings_are_framed_as_the_data_set_frames_its_digits():
    for image in drawn(100, (28, 28), LIKE, Stream(2)):
        top, bottom, left, right = bounds(image > 0)
        assert max(bottom - top, right - left) <= 22  # 20, and a part of a pixel on either side
        assert np.abs(np.array(centre_of_mass(image.astype(float))) - 14.5).max() <= 0.51 or max(top, left) <= 4


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (9, 12)])
@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1])
def test_as_many_are_invented_as_are_asked_for_and_none_is_blank(shape, count):
    like = LIKE | {"side": min(shape) * 0.8, "row": shape[0] / 2, "column": shape[1] / 2, "stroke": 1.0}
    found = negatives(np.full((3, *shape), 9, np.uint8), count, like, Stream(3))
    assert (found.shape, found.dtype) == ((count, *shape), np.uint8)
    assert found.any(axis=(1, 2)).all()


def detect(folder, normalize=True, **data):
    """A function that trains a detector of a small net, and its training images and classes."""
    images, labels = digits(400)
    shown = images.reshape(400, -1).astype(np.float32) / np.float32(255) if normalize else images.reshape(400, -1)
    settings = PLAIN | {"layers": ["affine 20", "relu", "affine"], "initializer": "he", "optimizer": "adam"}
    settings |= {"learning_rate": 0.005, "length": "150 iterations", "batch_size": 50, "negatives": 400}
    _, about = a_net(settings["layers"])
    about["data"] |= {"framing": LIKE, "normalize": normalize, **data}
    trainer = Trainer(settings, (1, 28, 28), (shown, labels), (shown, labels), 2)
    about |= {"params": settings, "net": trainer.about}
    return detecting(about, (shown, labels), trainer, Checkpoints(folder, {}, 1e9), Stopping()), (shown, labels)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    train, (shown, labels) = detect(tmp_path_factory.mktemp("checkpoints"))
    found = train(np.arange(300), (shown[300:], labels[300:]))
    return with_limit(found, shown[300:], labels[300:]), shown, labels


def test_a_detector_refuses_what_shows_no_class_and_few_of_the_held_out(detector):
    net, shown, labels = detector
    others = negatives(digits(9)[0], BLOCK, LIKE, Stream(77)).reshape(BLOCK, -1).astype(np.float32) / np.float32(255)
    refused = net.shares_of(others, np.arange(BLOCK) % 2) < net.about["limit"]
    assert refused.mean() > 0.9
    assert (net.shares_of(shown[300:], labels[300:]) < net.about["limit"]).mean() <= FALSE_REFUSALS


def test_a_detector_has_the_same_weights_again_and_leaves_the_checkpoint_of_the_net_alone(detector, tmp_path):
    train, (shown, labels) = detect(tmp_path)
    again = train(np.arange(300), (shown[300:], labels[300:]))
    assert arrays_digest(again.weights) == arrays_digest(detector[0].weights)
    assert len([*tmp_path.glob("*.npz")]) == 1


@pytest.mark.parametrize("data", [{"features": "edges"}, {"framing": None}])
def test_where_no_image_can_be_invented_it_is_said_before_the_training(tmp_path, data):
    with pytest.raises(PipelineError, match=r"train.negatives is 400, but only pixels .*; set train.negatives=0"):
        detect(tmp_path, **data)
