"""Distorted images: always the same bytes, for any batch, as strong as promised, and used by training."""

import hashlib

import numpy as np
import pytest
from test_trainer import BYTES, ROOT, finish, trainer

from pipeline.base.errors import PipelineError
from pipeline.commands import features
from pipeline.datasets.raw import Split
from pipeline.nn.random import Stream
from pipeline.training import augment
from pipeline.training.augment import UNIT, Distortion, mixed
from pipeline.training.loop import fit, plan

ALL = ["shift 1.5", "affine 10 0.1 0.2", "elastic 0.9 5"]
NOTHING = ["shift 0", "affine 0 0 0", "elastic 0 5"]
SHAPES = [(28, 28), (8, 8), (5, 9), (1, 1), (3, 300)]


def synthetic(n: int, shape: tuple[int, int]) -> np.ndarray:
    """Images of rough strokes: bytes that no library decides."""
    images = Stream(5).integers(256, (n, *shape)).astype(np.uint8)
    images[images < 128] = 0
    return images


@pytest.mark.parametrize(
    ("words", "shape", "golden"),
    [
        (ALL, (28, 28), "0e51913f55035344"),
        (
            ["elastic 2.5 1.5", "shift 0.25"],
            (8, 11),
            "3a832a078fca7c3c",
        ),
        (["affine 180 0.5 1"], (11, 8), "9364c35e960101ec"),
    ],
)
def test_the_bytes_never_change(words, shape, golden):
    images = Distortion(words, shape, 1).render(synthetic(200, shape), np.arange(10**10, 10**10 + 200))
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == golden


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_depends_on_its_number_alone(shape, monkeypatch):
    images, numbers = synthetic(30, shape), np.arange(30) * 7 + 2
    expected = Distortion(ALL, shape, 1).render(images, numbers)
    monkeypatch.setattr(augment, "PIXELS", 5 * images[0].size)  # blocks of 5
    distortion = Distortion([ALL[2], *ALL[:2]], shape, 1)
    for part in (slice(None), slice(None, None, -1), slice(3, 4), [17, 2, 2, 29]):
        assert np.array_equal(distortion.render(images[part], numbers[part]), expected[part])
    flat = distortion.render(images.reshape(30, -1), numbers)
    assert np.array_equal(flat, expected.reshape(30, -1))


def test_other_seeds_and_other_numbers_distort_otherwise():
    image, numbers = np.repeat(synthetic(1, (28, 28)), 1000, axis=0), np.arange(1000)
    one, other = (Distortion(ALL, (28, 28), seed).render(image, numbers) for seed in (1, 2))
    assert len(np.unique(np.concatenate([one, other]).reshape(2000, -1), axis=0)) == 2000


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("words", [NOTHING, [], NOTHING[1:2]])
def test_a_distortion_of_strength_0_changes_nothing(words, shape):
    images = synthetic(20, shape)
    assert np.array_equal(Distortion(words, shape, 1).render(images, np.arange(20)), images)


def test_a_pixel_is_the_rounded_mixture_of_the_four_around_its_place():
    images, rng = synthetic(3, (7, 6)), np.random.default_rng(0)
    positions = rng.integers(-2 * UNIT, 10 * UNIT, (2, 3, 7, 6)).astype(np.int32)  # with a border of 1: outside, too
    sixteenths = (positions + 8) // 16
    bordered = np.pad(images, ((0, 0), (1, 2), (1, 2))).astype(int)
    y, x = (np.clip(part, 0, 16 * (size + 1)) for part, size in zip(sixteenths, (7, 6), strict=True))
    image, total = np.arange(3)[:, None, None], 128
    for below, right in np.ndindex(2, 2):
        share = (y % 16 if below else 16 - y % 16) * (x % 16 if right else 16 - x % 16)
        total = total + share * bordered[image, y // 16 + below, x // 16 + right]
    assert np.array_equal(mixed(images, positions), total // 256)


@pytest.mark.parametrize("ink", [0, 1, 254, 255])
def test_no_pixel_is_darker_or_brighter_than_those_it_is_made_of(ink):
    found = Distortion(ALL, (28, 28), 1).render(np.full((200, 28, 28), ink, np.uint8), np.arange(200))
    assert found.max() == ink
    assert (found[:, 10:18, 10:18] == ink).all()


def displacements(text: str, shape: tuple[int, int] = (28, 28), n: int = 2000) -> np.ndarray:
    """How far one distortion displaces the positions of n images, in pixels (2, n, Y, X)."""
    distortion, positions = Distortion([text], shape, 3), np.zeros((2, n, *shape), np.int32)
    distortion.displaced[0](distortion.random(np.arange(n)), positions)
    return positions / UNIT


@pytest.mark.parametrize(("pixels", "sigma"), [(0.9, 5), (2, 1.5), (16, 12)])
def test_an_elastic_field_is_as_strong_and_as_smooth_as_promised(pixels, sigma):
    found = displacements(f"elastic {pixels} {sigma}")
    assert found.std() == pytest.approx(pixels, rel=0.03)
    assert abs(found.mean()) < 0.1 * pixels
    near = (found[..., 1:] * found[..., :-1]).mean() / (found * found).mean()
    assert near == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.01)  # what a Gaussian makes of white noise
    assert abs((found[0] * found[1]).mean()) < 0.2 * pixels**2


def test_a_shift_is_uniform_and_the_same_everywhere():
    found = displacements("shift 1.5", (4, 5))
    assert (found == found[:, :, :1, :1]).all()
    assert 1.49 < np.abs(found).max() <= 1.5
    assert found.std() == pytest.approx(1.5 / np.sqrt(3), rel=0.03)


def maps(text: str, shape: tuple[int, int] = (29, 41)) -> np.ndarray:
    """The matrices (n, 2, 2) with which `text` maps (down, across) from the centre, which stays."""
    found, (rows, columns) = displacements(text, shape, 500), shape
    assert (found[:, :, rows // 2, columns // 2] == 0).all()
    down = (found[:, :, -1, 0] - found[:, :, 0, 0]) / (rows - 1)
    across = (found[:, :, 0, -1] - found[:, :, 0, 0]) / (columns - 1)
    return np.stack([down, across], axis=-1).transpose(1, 0, 2) + np.eye(2)


@pytest.mark.parametrize("degrees", [10, 180])
def test_a_rotation_keeps_lengths_and_turns_up_to_so_many_degrees(degrees):
    found = maps(f"affine {degrees} 0 0")
    np.testing.assert_allclose(found @ found.transpose(0, 2, 1), np.tile(np.eye(2), (500, 1, 1)), atol=2e-3)
    angles = np.degrees(np.arctan2(found[:, 0, 1], found[:, 0, 0]))
    assert 0.98 * degrees < np.abs(angles).max() < 1.01 * degrees
    assert angles.std() == pytest.approx(degrees / np.sqrt(3), rel=0.05)


def test_scale_changes_the_size_of_each_axis_by_up_to_its_share():
    sizes = 1 / np.diagonal(maps("affine 0 0.3 0"), axis1=1, axis2=2)
    assert sizes.min() == pytest.approx(0.7, abs=0.01)
    assert sizes.max() == pytest.approx(1.3, abs=0.01)
    assert abs(np.corrcoef(sizes.T)[0, 1]) < 0.1


def test_shear_leans_letters_to_both_sides():
    found = maps("affine 0 0 0.2")
    np.testing.assert_allclose(found[:, [0, 0, 1], [0, 1, 1]], np.tile([1, 0, 1], (500, 1)), atol=1e-3)
    assert found[:, 1, 0].min() == pytest.approx(-0.2, abs=0.005)
    assert found[:, 1, 0].max() == pytest.approx(0.2, abs=0.005)


# training


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
@pytest.mark.parametrize("layers", [["affine 5", "relu", "affine"], ["conv 2 2", "relu", "max_pool 2", "affine"]])
def test_training_on_distorted_images_is_the_same_however_it_is_cut(tmp_path, monkeypatch, sampling, layers):
    settings = {"augment": ALL, "sampling": sampling, "layers": layers, "length": "60 iterations"}
    result, history = finish(trainer(**settings), tmp_path)
    monkeypatch.setattr("pipeline.training.loader.DISTORTED", 1)
    one = trainer(**settings)
    begun = one.begin(None)
    begun.accuracies += history.accuracies[:1]
    assert fit(one.plan, one.steps(), one.measure, lambda history: None, begun, most=7).losses == history.losses
    assert one.result.tobytes() == result
    plain, undistorted = finish(trainer(**settings | {"augment": []}), tmp_path)
    assert plain != result
    assert undistorted.accuracies[0] == history.accuracies[0]
    assert finish(trainer(**settings | {"augment": NOTHING}), tmp_path) == (plain, undistorted)


@pytest.mark.parametrize("sampling", ["shuffle", "replacement"])
def test_no_two_images_shown_have_the_same_number(sampling):
    one = plan(23, 5, "40 iterations", sampling, 1)
    numbers, done = [], 0
    for batches in one.blocks(0, 3):
        numbers += one.numbers(batches, done).reshape(-1).tolist()
        done += len(batches)
    assert len(numbers) == len(set(numbers)) == (40 * 5 if sampling == "replacement" else 8 * 23)
    assert min(numbers) == 0


def test_what_is_not_stored_as_bytes_cannot_be_distorted():
    with pytest.raises(PipelineError, match=r"train.augment is \[shift 1\], but augment needs pixels: .*; set convert"):
        trainer(augment=["shift 1"], images=BYTES / np.float32(255.5))


def test_features_draws_what_a_net_is_shown_of_each_class(tmp_path, monkeypatch, capsys):
    digits = Split(synthetic(6, (8, 8)), np.array([0, 1, 1, 2, 0, 2]))
    found, drawn = ({"class_names": ["a", "b", "c"]}, {"test": digits}), {}
    monkeypatch.setattr("pipeline.datasets.raw.load_raw", lambda _: found)
    monkeypatch.setattr("pipeline.report.plots.rows", lambda pictures, titles: drawn.update(pictures) or b"png")
    features.main(tmp_path / "plain.png", ROOT / "params.yaml")
    assert list(drawn) == ["pixels", "edges", "fourier"]
    features.main(tmp_path / "distorted.png", ROOT / "params.yaml", ["train.augment=[shift 2, elastic 0.9 3]"])
    assert list(drawn)[3:] == [f"distorted {i}" for i in range(1, 11)]
    assert {pictures.shape for name, pictures in drawn.items() if name[0] == "d"} == {(3, 8, 8)}
    assert "fourier, distorted of 3 images" in capsys.readouterr().out
