"""How answers are judged: an image that is like no training image is refused, and probabilities are calibrated."""

import numpy as np
import pytest
from nets import a_file, a_net

from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest, read_npz, write_npz
from pipeline.base.text import percent
from pipeline.model import Classifier, load_model
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.calibration import calibration_error, fitted_temperature, tempered
from pipeline.nn.random import Stream
from pipeline.nn.subspaces import Subspaces, fit, limited
from pipeline.training.judging import judging

SHAPE, GOLDEN = (9, 8), "2c50a05c0c3fd90a"


def images(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (N, 72) of three classes, each a pattern of its own, lighter or darker, with noise; and their classes."""
    draws = Stream(seed)
    labels = np.arange(count) % 3
    patterns = Stream(0).bits16(3, 72) % 160
    return (patterns[labels] * (1 + draws.bits16(count, 1) % 3) // 3 + draws.bits16(count, 72) % 40).astype(
        np.uint8
    ), labels


@pytest.fixture(scope="module")
def familiar() -> Subspaces:
    found, _ = fit(*images(300), 3)
    return limited(found, *images(300, seed=2), 0.01)


def test_subspaces_have_the_same_bits_everywhere(familiar):
    assert arrays_digest({"means": familiar.means, "axes": familiar.axes})[:16] == GOLDEN


def test_axes_are_orthonormal_up_to_their_rounding(familiar):
    axes = familiar.axes[0] / 2.0**familiar.bits
    np.testing.assert_allclose(axes @ axes.T, np.eye(len(axes)), atol=0.1)


def test_what_is_left_beside_all_axes_is_nothing(familiar):
    every, labels = images(300)
    full, _ = fit(every[:, :15], labels, 3)
    exact = full._replace(axes=np.eye(15, dtype=np.int8)[None].repeat(3, axis=0), bits=0)
    assert not exact.distances(every[:, :15], labels).any()


def test_one_in_a_hundred_of_the_held_out_is_refused_at_most_and_what_is_unlike_is(familiar):
    assert familiar.refuses(*images(300, seed=2)).sum() <= 3
    noise = (Stream(9).bits16(50, 72) % 256).astype(np.uint8)
    assert familiar.refuses(noise, np.arange(50) % 3).all()


def test_an_answer_is_judged_alike_in_any_company_and_form(familiar):
    rows, labels = images(40, seed=3)
    expected = familiar.distances(rows, labels)
    fractions = rows.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(familiar.distances(fractions.reshape(-1, 1, *SHAPE), labels), expected)
    alone = [familiar.distances(rows[i : i + 1], labels[i : i + 1]).item() for i in range(40)]
    assert alone == expected.tolist()


@pytest.mark.parametrize("each", [1, 2, 5])
def test_few_images_a_class_and_equal_ones_are_no_obstacle(each):
    rows, labels = np.full((3 * each, 72), 7, np.uint8), np.arange(3 * each) % 3
    found, others = fit(rows, labels, 3)
    assert others.sum() == 3 * (each - max(each * 3 // 4, 1))
    assert not found.distances(rows, labels).any()


@pytest.mark.parametrize("times", [0.5, 1, 3])
def test_the_temperature_undoes_a_factor_of_the_logits(times):
    ops, draws = ARITHMETICS["exact"], np.random.default_rng(4)
    logits = draws.normal(0, 2, (4000, 4))
    shares = tempered(ops, logits, 1.0)
    labels = (shares.cumsum(axis=1) < draws.random((4000, 1))).sum(axis=1)
    found = fitted_temperature(ops, times * logits, labels)
    assert found == pytest.approx(times, rel=0.1)
    after, before = (calibration_error(tempered(ops, times * logits, t), labels) for t in (found, 1.0))
    assert after < 0.03
    assert times == 1 or after < before


def test_the_calibration_error_of_a_worked_example():
    probabilities = np.array([[0.75, 0.25]] * 4 + [[0.5, 0.5]] * 4)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    assert calibration_error(probabilities, labels) == 0.125  # (|1 - 3/4| 4 + |1/2 - 1/2| 4) / 8


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (1.0, 1, ">99.9%"),
        (0.99961, 1, ">99.9%"),
        (0.999, 1, "99.9%"),
        (0.0, 1, "0.0%"),
        (1e-9, 1, "<0.1%"),
        (0.997, 0, ">99%"),
        (0.98, 0, "98%"),
        (0.5, 1, "50.0%"),
    ],
)
def test_nothing_is_said_to_be_wholly_sure(share, digits, text):
    assert percent(share, digits) == text


def a_detector(shown=None, held_out=None):
    """A net of one class more, which nobody trained."""
    weights, about = a_net(["affine 6", "tanh", "affine"], SHAPE, classes=11)
    return Classifier(ARITHMETICS["exact"], None, weights, about)


def judged_file(path, held_out="train", detect=None):
    """A model file that can refuse, with its classifier."""
    weights, about = a_net(["affine 6", "tanh", "affine"], SHAPE)
    about["data"] |= {"held_out": held_out, "validation": 0}
    rows, labels = images(400)
    net = load_model(a_file(path, weights, about))
    said, *found = judging(net, (rows, labels), images(100, seed=2), detect)
    return a_file(path, weights, about | said, *found)


@pytest.mark.parametrize("held_out", ["train", "validation"])
def test_a_model_file_keeps_what_its_answers_are_judged_by_beside_the_same_weights(tmp_path, held_out):
    plain = load_model(a_file(tmp_path / "plain.npz", *a_net(["affine 6", "tanh", "affine"], SHAPE)))
    net = load_model(judged_file(tmp_path / "judged.npz", "test" if held_out == "train" else held_out))
    assert net.about["sha256"] == plain.about["sha256"]
    assert net.about["judging"]["held_out"] == held_out
    assert (net.temperature == 1) == (held_out == "train")
    rows, _ = images(100, seed=2)
    assert net.refuses(rows, net.logits(rows, 10)).sum() <= 5
    assert plain.refuses(rows, net.logits(rows, 10)) is None


@pytest.mark.parametrize("name", ["means", "axes"])
def test_what_answers_are_judged_by_is_vouched_for(tmp_path, name):
    path = judged_file(tmp_path / "weights.npz", "test")
    arrays = read_npz(path)
    write_npz(path, arrays | {name: arrays[name] + 1})
    with pytest.raises(PipelineError, match=r"describes arrays with SHA-256 .* and holds others"):
        load_model(path)
    write_npz(path, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(PipelineError, match=r"describes arrays with SHA-256 .* and holds others"):
        load_model(path)


def test_a_model_file_keeps_its_detector_which_refuses_what_it_does_not_find_likely(tmp_path):
    net = load_model(judged_file(tmp_path / "with.npz", "test", a_detector))
    alone = load_model(judged_file(tmp_path / "without.npz", "test"))
    rows, _ = images(100, seed=3)
    scores = net.logits(rows, 10)
    classes = scores.argmax(axis=1)
    unlikely = net.detector.shares_of(rows, classes) < net.detector.about["limit"]
    far = net.subspaces.refuses(rows, classes)
    assert net.about["sha256"] == alone.about["sha256"]
    np.testing.assert_array_equal(net.refuses(rows, scores), unlikely | far)
    every = net._replace(detector=net.detector._replace(about={**net.detector.about, "limit": 1.0}))
    assert every.refuses(rows, scores).all()
    assert alone.detector is None


def damaged(arrays):
    """Arrays of a model file with another weight of the detector."""
    return arrays | {"detector_W1": arrays["detector_W1"] + 1}


def missing(arrays):
    """Arrays of a model file without one of the detector."""
    return {name: array for name, array in arrays.items() if name != "detector_b2"}


@pytest.mark.parametrize("change", [damaged, missing])
def test_a_detector_that_does_not_fit_its_description_is_refused(tmp_path, change):
    path = judged_file(tmp_path / "weights.npz", "test", a_detector)
    write_npz(path, change(read_npz(path)))
    with pytest.raises(PipelineError, match=r"describes arrays with SHA-256 .* and holds others"):
        load_model(path)
