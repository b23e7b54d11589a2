"""The registry: complete, well-formed, and right about the bundled files."""

import hashlib
import re
from urllib.parse import urlsplit

import pytest
from needs import MNIST, MNIST_ITSELF, need

from pipeline.datasets.idx import read_idx
from pipeline.datasets.registry import BUNDLED_DIGITS, DATASETS, NAMES

ROLES = ["train_images", "train_labels", "test_images", "test_labels"]
every_dataset = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS)


@every_dataset
def test_every_file_is_pinned_by_size_and_checksum(dataset):
    assert list(dataset.files) == ROLES
    assert [file.name for file in dataset.files.values()] == [*NAMES.values()]
    for file in (*dataset.files.values(), dataset.archive or dataset.files["train_images"]):
        assert file.bytes > 0 or file.path
        assert re.fullmatch("[0-9a-f]{64}", file.sha256) or re.fullmatch("[0-9a-f]{32}", file.md5)


def test_no_two_files_are_the_same():
    digests = [file.checksum for dataset in DATASETS.values() for file in dataset.files.values()]
    assert len(set(digests)) == len(digests)


@every_dataset
def test_mirrors_are_folders_over_https_or_in_the_project(dataset):
    assert dataset.mirrors
    for mirror in dataset.mirrors:
        assert mirror.endswith("/")
        assert urlsplit(mirror).scheme == "https" or mirror == BUNDLED_DIGITS.as_uri() + "/"


@every_dataset
def test_what_it_shows_and_who_may_use_it_is_said(dataset):
    assert len(dataset.class_names) == len(set(dataset.class_names)) == (47 if "balanced" in dataset.title else 10)
    assert len(dataset.image_shape) == 2
    assert all([dataset.title, dataset.homepage, dataset.licence])


def matches(dataset, folder, counts):
    """Check the four files in `folder` against the registry, and their contents against `counts`."""
    for role, file in dataset.files.items():
        content = (folder / file.name).read_bytes()
        assert len(content) == file.bytes
        assert hashlib.sha256(content).hexdigest() == file.sha256
        split, part = role.split("_")
        array = read_idx(folder / file.name)
        assert array.dtype == "uint8"
        assert array.shape == (counts[split], *(dataset.image_shape if part == "images" else ()))
        if part == "labels":
            assert set(array.tolist()) == set(range(len(dataset.class_names)))


def test_the_bundled_digits_are_the_registered_ones():
    matches(DATASETS["digits"], BUNDLED_DIGITS, {"train": 1500, "test": 297})


@pytest.mark.mnist
def test_mnist_is_the_registered_one():
    need(MNIST.is_dir(), MNIST_ITSELF)
    matches(DATASETS["mnist"], MNIST, {"train": 60_000, "test": 10_000})
