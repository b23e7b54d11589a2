"""Arrays take the asked form without losing anything, and dataset.npz describes its content."""

import json
import tracemalloc

import numpy as np
import pytest
from described import described
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.base.arrays import Rows
from pipeline.base.errors import PipelineError
from pipeline.base.provenance import sha256
from pipeline.datasets import arrays as a
from pipeline.datasets.idx import read_idx, write_idx
from pipeline.datasets.raw import arrange, arranged, load_mnist, load_raw, open_raw

images = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)))

ABOUT = described((2, 3), "äbcde")


@given(images)
def test_normalized_pixels_are_float32_from_0_to_1_and_can_be_read_back(pixels):
    normalized = a.normalize(pixels)
    assert normalized.dtype == np.float32
    assert normalized.min() >= 0
    assert normalized.max() <= 1
    np.testing.assert_array_equal(np.rint(normalized * 255), pixels)


def test_normalizing_in_blocks_changes_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (2 * a.BLOCK + 3, 2, 2)).astype(np.uint8)
    np.testing.assert_array_equal(a.normalize(pixels), pixels / np.float32(255))


@given(st.lists(st.integers(0, 9), min_size=1))
def test_one_hot_and_back(labels):
    rows = a.one_hot(np.array(labels), 10)
    assert rows.dtype == np.float32
    assert (rows.sum(axis=1) == 1).all()
    assert a.class_indices(rows).tolist() == labels


@given(images)
def test_the_layouts_hold_the_same_numbers(pixels):
    n, *shape = pixels.shape
    flat, images = (arrange(a.Split(pixels, np.zeros(n)), None, "pixels", False, flat).images for flat in (True, False))
    assert images.shape == (n, 1, *shape)
    np.testing.assert_array_equal(a.as_pictures(flat, shape), pixels)


def test_a_saved_dataset_reads_back_with_what_it_says_of_itself(tmp_path):
    path = tmp_path / "dataset.npz"
    train = a.Split(np.zeros((4, 6), np.float32), a.one_hot(np.arange(4), 5))
    a.save_dataset(path, {"train": train, "test": train}, ABOUT)
    (read,) = a.load_splits(path, ABOUT, ["test"])
    assert read.labels.tolist() == [0, 1, 2, 3]
    assert read.labels.dtype == np.intp  # with a byte, label x images would overflow
    assert a.describe_dataset(path) == ABOUT
    with np.load(path, allow_pickle=False) as plain:  # and plain NumPy reads it as well
        assert set(plain) == {"about", "train_images", "train_labels", "test_images", "test_labels"}


def test_C24_the_same_arrays_make_the_same_file(tmp_path):
    split = a.Split(np.ones((4, 6), np.float32), np.arange(4))
    for name in ("one.npz", "two.npz"):
        a.save_dataset(tmp_path / name, {"train": split}, {"b": 1, "a": 2})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_E1_a_missing_dataset_says_which_command_makes_it(tmp_path):
    with pytest.raises(PipelineError, match=r"dataset.npz does not exist; make it again: python -m pipeline.convert"):
        a.load_splits(tmp_path / "dataset.npz", ABOUT, ["test"])


FOUR = np.ones((4, 6), np.float32)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (
            FOUR,
            [0, 1, -1, 2],
            r"whole numbers from 0 to 4, or one-hot rows of 5, found int64 of shape \(4,\), -1 to 2;",
        ),
        (FOUR, [0, 1, 5, 2], r"whole numbers from 0 to 4, or one-hot rows of 5, found int64 of shape \(4,\), 0 to 5;"),
        (FOUR, [0, 1, 0.5, 2], "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, [0, 1, np.nan, 2], "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, np.eye(4, 6), "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, np.eye(4, 5) / 2, "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, np.eye(4, 5)[:, None], "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, np.empty((4, 0)), "or one-hot rows of 5, found float64 of shape"),
        (FOUR, np.array(list("abcd")), "test_labels: expected whole numbers from 0 to 4, or one-hot rows of 5, found "),
        (FOUR, [0, 1, 2], r"test_labels: expected 4 labels, one per image, found shape \(3,\)"),
        (FOUR, np.array(1), r"expected 4 labels, one per image, found shape \(\)"),
        (FOUR[:, :5], range(4), r"float64 of shape N x 6 or N x 1 x 2 x 3, found float32 of shape \(4, 5\)"),
        (FOUR[:, 0], range(4), r"found float32 of shape \(4,\)"),
        (FOUR.reshape(4, 2, 3), range(4), r"found float32 of shape \(4, 2, 3\)"),
        (FOUR.astype(str), range(4), r"test_images: expected uint8, float32, float64 of shape .* found <U"),
        (FOUR.astype(np.int32), range(4), "expected uint8, float32, float64 of shape .* found int32 of shape"),
        (FOUR.astype(np.int8), range(4), "found int8 of shape"),
        (FOUR.astype(np.float16), range(4), "found float16 of shape"),
        (FOUR * np.float32(np.nan), range(4), "test_images: expected pixels from .* found nan to nan"),
        (FOUR * -np.float32(np.inf), range(4), "expected pixels from .* found -inf to -inf"),
        (np.where(np.eye(4, 6), np.nan, FOUR), range(4), "found nan to nan"),
        (FOUR * (2**20 + 1), range(4), "expected pixels from -1048576 to 1048576, found 1.04858e.06 to .*; scale them"),
        (
            FOUR.astype(np.uint8),
            range(4),
            "expected images of one form, found .* against float32 of shape .* in train_images",
        ),
        (
            FOUR.reshape(4, 1, 2, 3),
            range(4),
            "expected images of one form, found .* against float32 of shape .* in train_images",
        ),
    ],
)
def test_E2_what_does_not_fit_the_description_is_refused(tmp_path, images, labels, said):
    splits = {"train": a.Split(FOUR, np.arange(4)), "test": a.Split(images, np.asarray(labels))}
    a.save_dataset(tmp_path / "d.npz", splits, ABOUT)
    with pytest.raises(PipelineError, match=said):
        a.load_splits(tmp_path / "d.npz", ABOUT, ["train", "test"])


def test_a_missing_split_is_named(tmp_path):
    split = a.Split(np.ones((4, 6), np.float32), np.arange(4))
    a.save_dataset(tmp_path / "d.npz", {"train": split}, {})
    with pytest.raises(PipelineError, match="no array 'test_images'"):
        a.load_splits(tmp_path / "d.npz", ABOUT, ["test"])


def test_held_out_images_are_the_last_of_the_training_set():
    train = a.Unread(Rows.of(np.arange(10)[:, None], 4), np.arange(10))
    splits = a.hold_out({"train": train, "test": train}, 3)
    assert list(splits) == ["train", "validation", "test"]
    assert splits["train"].labels.tolist() == splits["train"].images.whole()[:, 0].tolist() == list(range(7))
    assert splits["validation"].labels.tolist() == splits["validation"].images.whole()[:, 0].tolist() == [7, 8, 9]


@given(n=st.integers(1, 30), count=st.integers(1, 9), data=st.data())
def test_rows_are_those_of_the_array_however_they_are_cut_and_as_often_as_asked_for(n, count, data):
    array = np.arange(2 * n).reshape(n, 2)
    start = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(start + 1, n + 2))
    rows = Rows.of(array, count).each(lambda block: block[:, :1] + 1).cut(start, stop)
    for _ in range(2):
        assert np.array_equal(rows.whole(), array[start:stop, :1] + 1)
    assert (rows.shape, rows.nbytes) == (rows.whole().shape, rows.whole().nbytes)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (np.repeat(np.arange(10), 50), True),
        (np.tile(np.repeat(np.arange(10), 50), 3), True),
        (np.repeat([0, 1], [900, 100]), True),
        (np.random.default_rng(1).integers(0, 10, 500), False),
        (np.random.default_rng(1).random(1000) < 0.1, False),
        (np.tile([0, 1], 50), False),
        (np.array([3]), False),
    ],
    ids=["sorted", "sorted copies", "sorted, few of one", "mixed", "mixed, few of one", "in turn", "one"],
)
def test_images_sorted_by_class_are_noticed(labels, found):
    assert a.sorted_by_class(labels) is found


def test_blocks_of_images_sorted_by_class_are_refused(tmp_path):
    with pytest.raises(PipelineError, match=r"sorted by class.*choose shuffle or replacement"):
        a.require_mixed(tmp_path / "d.npz", np.repeat(np.arange(10), 50), "blocks")
    a.require_mixed(tmp_path / "d.npz", np.tile(np.arange(10), 50), "blocks")
    a.require_mixed(tmp_path / "d.npz", np.repeat(np.arange(10), 50), "shuffle")


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_written(tmp_path):
    unread = Rows((10**15, 784), np.dtype(np.float32), lambda: pytest.fail("read"))
    with pytest.raises(PipelineError, match="expected 3,136,000,000,000,003,920 bytes free on its disk, found"):
        a.save_dataset(tmp_path / "d.npz", {"train": (unread, np.zeros(3))}, ABOUT)
    assert not list(tmp_path.iterdir())


def test_holding_out_every_image_is_refused():
    train = a.Unread(Rows.of(np.arange(10)[:, None], 4), np.arange(10))
    with pytest.raises(PipelineError, match=r"convert.validation is 10, but there are only 10 training images"):
        a.hold_out({"train": train, "test": train}, 10)


@pytest.fixture
def raw(tmp_path):
    """A folder as download leaves it: 20 + 10 images of 3 x 4, two classes."""
    rng = np.random.default_rng(0)
    files = {}
    for split, count in (("train", 20), ("test", 10)):
        for part, array in (("images", rng.integers(0, 256, (count, 3, 4))), ("labels", np.arange(count) % 2)):
            path = tmp_path / f"{split}-{part}.gz"
            write_idx(path, array.astype(np.uint8))
            files[f"{split}_{part}"] = {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256(path)}
    about = dict.fromkeys(("name", "title", "homepage", "licence"), "tiny")
    about |= {"class_names": ["x", "o"], "image_shape": [3, 4], "files": files, "framed": True}
    (tmp_path / "dataset.json").write_text(json.dumps(about))
    return tmp_path


def of_size(raw, count):
    """The folder with `count` training images."""
    rng, about = np.random.default_rng(0), json.loads((raw / "dataset.json").read_text())
    for part, array in (("images", rng.integers(0, 256, (count, 3, 4))), ("labels", np.arange(count) % 2)):
        path = raw / about["files"][f"train_{part}"]["name"]
        write_idx(path, array.astype(np.uint8))
        about["files"][f"train_{part}"]["sha256"] = sha256(path)
    (raw / "dataset.json").write_text(json.dumps(about))


@pytest.mark.parametrize(("shown", "normalized"), [("pixels", False), ("pixels", True), ("edges", True)])
def test_the_memory_of_a_conversion_does_not_grow_with_the_images(raw, monkeypatch, shown, normalized):
    """Only labels are in memory. An image has 12 bytes, so that a copy of the images would exceed the limit."""
    for module in ("idx", "arrays", "raw"):
        monkeypatch.setattr(f"pipeline.datasets.{module}.BLOCK", 4096)
    peaks = []
    for count in (20_000, 200_000):
        of_size(raw, count)
        tracemalloc.start()
        _, splits = open_raw(raw)
        arrays = {name: arranged(split, 2, shown, normalized, True) for name, split in splits.items()}
        a.save_dataset(raw / "d.npz", arrays, ABOUT)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 8 * 180_000


@pytest.mark.parametrize("classes", [None, 2])
@pytest.mark.parametrize("form", [("pixels", True, True), ("pixels", False, False), ("edges", True, False)])
def test_what_is_arranged_by_the_block_is_what_is_arranged_at_once(raw, monkeypatch, classes, form):
    monkeypatch.setattr("pipeline.datasets.idx.BLOCK", 50)
    whole, rows = load_raw(raw)[1]["train"], open_raw(raw)[1]["train"]
    for expected, found in zip(arrange(whole, classes, *form), arranged(rows, classes, *form), strict=True):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.array_equal(found.whole(), expected)


def test_what_is_wrong_inside_a_file_says_more_than_its_hash(raw):
    path = raw / "train-images.gz"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    with pytest.raises(PipelineError, match=r"train-images.gz: expected a sound gzip file, found incorrect data check"):
        open_raw(raw)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_load_mnist_gives_the_tutorials_arrays(raw, normalized, flat, one_hot):
    (images, labels), (test_images, test_labels) = load_mnist(normalized, flat, one_hot, folder=raw)
    assert images.dtype == (np.float32 if normalized else np.uint8)
    assert images.shape == ((20, 12) if flat else (20, 1, 3, 4))
    assert labels.shape == ((20, 2) if one_hot else (20,))
    assert len(test_images) == len(test_labels) == 10
    for array in (images, labels, test_images, test_labels):
        array += 1  # the tutorials change them in place
        assert array.flags.c_contiguous


def refused(raw, name: str, array, pattern: str) -> None:
    write_idx(raw / name, np.asarray(array, np.uint8))
    with pytest.raises(PipelineError, match=pattern):
        load_raw(raw)


@pytest.mark.parametrize("code", [np.float32, np.float64])
@pytest.mark.parametrize("part", ["images", "labels"])
def test_C10_pixels_and_labels_that_are_no_whole_numbers_are_refused(raw, part, code):
    write_idx(raw / f"train-{part}.gz", read_idx(raw / f"train-{part}.gz").astype(code))
    with pytest.raises(PipelineError, match=f"found {np.dtype(code)} of shape"):
        load_raw(raw)


def test_C10_signed_bytes_are_no_pixels(raw):
    write_idx(raw / "train-images.gz", (read_idx(raw / "train-images.gz") // 2).astype(np.int8))
    with pytest.raises(PipelineError, match="found int8 of shape"):
        load_raw(raw)


def test_C15_a_label_beyond_the_classes_is_located(raw):
    refused(raw, "train-labels.gz", [0, 1, 2] + [0] * 17, "train-labels.gz: label 2 is 2, expected 0 to 1")


def test_C25_pixels_are_taken_as_they_lie_in_the_file(raw):
    """Pixels are turned only if the description says `transposed`: nothing is guessed from what a digit looks like."""
    _, splits = load_raw(raw)
    assert np.array_equal(splits["train"].images, read_idx(raw / "train-images.gz"))


def test_C12_no_images_at_all_are_refused(raw):
    refused(raw, "train-images.gz", np.zeros((0, 3, 4)), r"expected uint8 images of 3 x 4, found uint8 of shape \(0")


def test_E8_an_empty_split_is_refused(tmp_path):
    empty = a.Split(np.empty((0, 6), np.float32), np.empty(0, np.int64))
    a.save_dataset(tmp_path / "d.npz", {"test": empty}, {})
    with pytest.raises(
        PipelineError,
        match=r"test_images: expected uint8, float32, float64 of shape .* found float32 of shape \(0, 6\)",
    ):
        a.load_splits(tmp_path / "d.npz", ABOUT, ["test"])


def test_C16_fewer_labels_than_images_is_refused(raw):
    refused(raw, "train-labels.gz", [0, 1] * 9, r"expected 20 labels, one per image .* shape \(18,\)")


def test_C18_images_of_another_size_are_refused(raw):
    refused(raw, "test-images.gz", np.zeros((10, 4, 3)), r"expected uint8 images of 3 x 4, found .* \(10, 4, 3\)")


def test_C19_a_constant_image_file_is_refused(raw):
    refused(raw, "train-images.gz", np.full((20, 3, 4), 7), "every pixel is 7")


def test_C20_an_absent_class_is_named(raw):
    refused(raw, "test-labels.gz", [1] * 10, "no image of class 0")


def test_C11_images_where_labels_belong_are_refused(raw):
    refused(raw, "train-labels.gz", np.zeros((20, 3, 4)), r"one per image of train-images.gz, found uint8 of shape")


def test_C17_train_and_test_swapped_is_noticed_by_their_counts(raw):
    labels = (raw / "test-labels.gz").read_bytes()
    (raw / "train-labels.gz").write_bytes(labels)
    with pytest.raises(PipelineError, match="expected 20 labels"):
        load_raw(raw)


def test_a_missing_description_says_what_to_run(tmp_path):
    with pytest.raises(
        PipelineError, match=r"dataset.json does not exist; fetch it again: python -m pipeline.download"
    ):
        load_raw(tmp_path)


@pytest.mark.parametrize("title", ["\x1b[2J", "a\nb", "\u202e", "\x9b"])
def test_a_title_that_a_terminal_would_obey_is_refused(raw, title):
    about = json.loads((raw / "dataset.json").read_text())
    (raw / "dataset.json").write_text(json.dumps(about | {"title": title}))
    with pytest.raises(PipelineError, match=r"title: .*printable.*; fetch it again") as refused:
        load_raw(raw)
    assert str(refused.value).isprintable()


def test_C17_a_sound_file_that_is_another_one_is_refused(raw):
    refused(raw, "test-labels.gz", [1, 0] * 5, "test-labels.gz: expected SHA-256 [0-9a-f]{64}, as dataset.json says")
