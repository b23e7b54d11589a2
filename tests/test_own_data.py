"""Own data without a change to the code: class folders of pictures, their description, and sets of another form."""

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from by_hand import ROOT
from PIL import Image

from pipeline import convert, download, evaluate, train
from pipeline.base.errors import PipelineError
from pipeline.commands import import_folder, predict
from pipeline.datasets import fetch
from pipeline.datasets.arrays import describe_dataset
from pipeline.datasets.description import find
from pipeline.datasets.idx import encode_idx
from pipeline.datasets.raw import load_raw
from pipeline.datasets.registry import DATASETS, File

PARAMS = ROOT / "examples/digits/params.yaml"
OWN = "download.dataset=datasets/bars.json"


def picture(path: Path, turned: bool, shift: int, size: tuple[int, int] = (12, 9)) -> None:
    """A dark bar on light paper, in colour: upright, or lying where it is `turned`."""
    pixels = np.full((*size, 3), 200, np.uint8)
    pixels[(slice(shift, shift + 2), ...) if turned else (slice(None), slice(shift, shift + 2))] = (10, 60, 30)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def bars(folder: Path, count: int = 6) -> Path:
    for i in range(count):
        picture(folder / "lying" / f"{i}.png", True, i)
        picture(folder / "upright" / f"{i}.png", False, i)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def take(pictures: Path, name: str = "bars", **options) -> dict:
    """The description that import-folder writes."""
    import_folder.main(pictures, name, **{"size": None, "test": 0.5, "seed": 1, "framed": False} | options)
    return json.loads(Path(f"datasets/{name}.json").read_text())


def refusal(pictures: Path, name: str = "bars", **options) -> str:
    with pytest.raises(SystemExit) as refused:
        take(pictures, name, **options)
    assert not Path("datasets").exists()
    line = str(refused.value)
    assert line.startswith("error: ")
    assert "\n" not in line
    return line.removeprefix("error: ")


def contents() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The splits as convert reads them."""
    download.main(PARAMS, [OWN])
    return {name: tuple(split) for name, split in load_raw(Path("data/raw"))[1].items()}


def test_the_whole_pipeline_runs_on_class_folders_and_predict_reads_the_pictures_back(here, capsys):
    for split in ("train", "test"):
        bars(here / "pictures" / split)
    about = take(here / "pictures")
    assert (about["class_names"], about["image_shape"], about["framed"]) == (["lying", "upright"], [12, 9], False)
    download.main(PARAMS, [OWN])
    convert.main(PARAMS, [])
    train.main(PARAMS, ["train.length=100 iterations", "train.learning_rate=0.05", "train.layers=[affine]"])
    evaluate.main(PARAMS, [])
    assert describe_dataset(Path("data/processed/dataset.npz"))["framing"] is None
    assert "The pad is left out: the pictures of this data set" in Path("data/evaluation/report.html").read_text()
    capsys.readouterr()
    predict.main([*(here / "pictures/train").iterdir()], Path("data/model/weights.npz"), False, None)
    read = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    right = [Path(path).parent.name == said for path, said in read]
    assert len(right) == 12
    assert sum(right) >= 0.95 * 12


def test_colour_becomes_grey_and_every_picture_is_in_one_split_under_its_class(here):
    take(bars(here / "pictures"))
    splits = contents()
    assert sorted(np.unique(images).tolist() for images, _ in splits.values()) == [[42, 200]] * 2  # ITU-R BT.601
    found = {(images[i].tobytes(), int(labels[i])) for images, labels in splits.values() for i in range(len(images))}
    assert len(found) == 12
    for images, labels in splits.values():
        upright = (images[:, 0] == images[:, -1]).all(axis=1) & (images[:, 0].min(axis=1) < 200)
        assert np.array_equal(labels, upright.astype(int))


def test_the_seed_decides_the_split_and_any_last_part_of_it_has_every_class(here):
    hashes = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        about = take(bars(here / "pictures", 12), name, seed=seed)
        hashes.append([file["sha256"] for file in about["files"].values()])
    assert hashes[0] == hashes[1] != hashes[2]
    take(here / "pictures", test=0.01)
    assert contents()["test"][1].tolist() in ([0, 1], [1, 0])
    labels = contents()["train"][1]
    assert len(set(labels[-8:].tolist())) == 2


def test_the_folders_train_and_test_are_the_splits(here):
    bars(here / "pictures/train", 5)
    bars(here / "pictures/test", 3)
    take(here / "pictures")
    assert {name: len(images) for name, (images, _) in contents().items()} == {"train": 10, "test": 6}


def test_pictures_of_any_size_are_scaled_to_fit_with_the_colour_of_their_border_around(here):
    for i in range(4):
        picture(here / "pictures/lying" / f"{i}.png", True, 1 + i, (24, 36))
        picture(here / "pictures/upright" / f"{i}.png", False, 1 + i, (9, 9))
    take(here / "pictures", size="12x12")
    images, labels = contents()["train"]
    assert images.shape == (4, 12, 12)
    wide = images[labels == 0]
    assert (wide[:, :2] == 200).all()
    assert (wide[:, -2:] == 200).all()
    assert (wide[:, 2:-2].min(axis=(1, 2)) < 200).all()


def test_folders_that_are_numbers_come_in_their_order_and_more_classes_than_a_byte_tells_are_kept(here):
    for k in range(300):
        for i in range(2):
            picture(here / f"pictures/{k}/{i}.png", bool(i), k % 8)
    assert take(here / "pictures")["class_names"] == [str(k) for k in range(300)]
    assert sorted(contents()["train"][1].tolist()) == list(range(300))


def spoil_text(pictures: Path) -> None:
    (pictures / "lying/notes.txt").write_text("a")


def spoil_cut(pictures: Path) -> None:
    content = (pictures / "lying/0.png").read_bytes()
    (pictures / "lying/0.png").write_bytes(content[:60])


def spoil_size(pictures: Path) -> None:
    picture(pictures / "upright/0.png", True, 1, (5, 9))


@pytest.mark.parametrize(
    ("spoil", "named", "said"),
    [
        (spoil_text, "lying/notes.txt", "is no picture; expected one of PNG"),
        (spoil_cut, "lying/0.png", "is damaged: "),
        (spoil_size, "upright/0.png", "has 5 x 9 pixels, {}/lying/"),
    ],
)
def test_a_file_that_cannot_be_taken_is_named_and_nothing_is_written(spoil, named, said, here, capsys):
    pictures = bars(here / "pictures")
    spoil(pictures)
    assert counted(refusal(pictures)) == (1, len([*pictures.rglob("*.*")]))
    line, _ = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {pictures / named} {said.format(pictures)}")


def counted(line: str) -> tuple[int, int]:
    """The numbers in '1 of 12 files are refused above; mend or remove them, then run it again.'"""
    wrong, _, total, rest = line.split(maxsplit=3)
    assert rest == "files are refused above; mend or remove them, then run it again."
    return int(wrong), int(total)


def test_a_picture_that_is_too_large_names_the_way_out(here, capsys):
    picture(here / "pictures/a/0.png", True, 1, (257, 20))
    picture(here / "pictures/a/1.png", True, 1, (257, 20))
    refusal(here / "pictures")
    assert "0.png has 257 x 20 pixels, more than 256; scale all: --size 28x28." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("make", "options", "said"),
    [
        ([], {}, "pictures is no folder; name one"),
        (["a.png"], {}, "a.png: expected one folder per class, found a file."),
        (["a/.hidden"], {}, "pictures/a: expected pictures in it, and no folder; mend that, or remove it."),
        (["a/b/0.png"], {}, "pictures/a: expected pictures in it, and no folder"),
        (["a/0.png"], {}, "pictures/a holds one picture; a class needs two"),
        (["train/a/0.png", "test/b/0.png"], {}, "class a is in only one of train and test; put pictures in both."),
        (["train/a/0.png", "test/a/0.png", "valid/a/0.png"], {}, "pictures/valid lies beside train and test; move"),
        (["a/0.png"], {"test": 1.0}, "--test 1.0: expected a share above 0 and below 1"),
        (["a/0.png"], {"size": "28"}, "--size 28: expected rows x columns up to 256x256, such as 28x28."),
        (["a/0.png"], {"size": "28x257"}, "--size 28x257: expected rows x columns"),
        (["a/0.png"], {"name": "../a"}, "--name ../a: expected letters"),
        (["a\nb/0.png"], {}, r"pictures/a\nb: expected a name that can be printed"),
    ],
)
def test_folders_of_another_form_are_refused_where_they_differ(make, options, said, here):
    for name in make:
        picture_or_nothing(here / "pictures" / name)
    assert said in refusal(here / "pictures", **options)


def picture_or_nothing(path: Path) -> None:
    if path.suffix:
        return picture(path, True, 1)
    path.parent.mkdir(parents=True)
    path.touch()


def test_a_name_that_is_taken_is_refused(here):
    take(bars(here / "pictures"))
    before = Path("datasets/bars.json").read_bytes()
    with pytest.raises(SystemExit, match=r"datasets/bars.json exists; choose another --name, or delete it"):
        take(here / "pictures")
    assert Path("datasets/bars.json").read_bytes() == before


# descriptions


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("framed", None, "framed: Field required"),
        ("framed", "yes", "framed: Input should be a valid boolean, found 'yes'"),
        ("class_names", ["a", "a"], "class_names must differ"),
        ("image_shape", [28, 257], "image_shape.1: Input should be less than or equal to 256, found 257"),
        ("mirrors", [], "mirrors: "),
        ("colour", True, "colour: Extra inputs are not permitted, found True"),
    ],
)
def test_a_description_that_does_not_fit_is_refused_where_it_is_wrong(key, value, said, here):
    about = take(bars(here / "pictures"))
    about = {k: v for k, v in about.items() if k != key} | ({} if value is None else {key: value})
    Path("datasets/bars.json").write_text(json.dumps(about))
    with pytest.raises(PipelineError) as refused:
        find("datasets/bars.json")
    assert str(refused.value).startswith(f"datasets/bars.json: its description does not fit: {said}")
    assert str(refused.value).endswith("; correct it, or make it by pipeline import-folder.")


def test_a_file_that_is_not_packed_is_refused(here):
    about = take(bars(here / "pictures"))
    about["files"]["test_labels"]["name"] = "labels.idx"
    Path("datasets/bars.json").write_text(json.dumps(about))
    with pytest.raises(PipelineError, match=r"files: labels.idx must be a gzip file, with a name that ends in .gz"):
        find("datasets/bars.json")


def test_a_mirror_is_a_url_or_a_folder_beside_the_description(here):
    about = take(bars(here / "pictures"))
    mirrors = ["https://example.org/bars/", "bars", "../elsewhere/"]
    Path("datasets/bars.json").write_text(json.dumps(about | {"mirrors": mirrors}))
    expected = (mirrors[0], *(f"{(here / place).as_uri()}/" for place in ("datasets/bars", "elsewhere")))
    assert find("datasets/bars.json").mirrors == expected


def test_dvc_notices_descriptions_in_one_folder_and_others_are_refused_when_it_runs_the_stage(here, monkeypatch):
    take(bars(here / "pictures"))
    Path("datasets/bars.json").rename("bars.json")
    assert find("bars.json").image_shape == (12, 9)
    with pytest.raises(PipelineError, match=r"is bars.json, and DVC notices changes in datasets/ alone"):
        find("bars.json", recorded=True)


def test_an_edit_of_a_description_while_dvc_runs_the_stage_is_an_error(here, monkeypatch):
    take(bars(here / "pictures"))
    monkeypatch.setenv("DVC_STAGE", "download")

    fetch_all = fetch.fetch_all

    def edited(*arguments):
        Path("datasets/bars.json").write_text("{}")
        return fetch_all(*arguments)

    monkeypatch.setattr(fetch, "fetch_all", edited)
    with pytest.raises(SystemExit, match=r"error: datasets/bars.json was written to while the stage read it"):
        download.main(PARAMS, [OWN])
    assert not Path("data/raw/dataset.json").exists()


# sets of another form, on small files


def packed(array: np.ndarray) -> bytes:
    return gzip.compress(encode_idx(array), mtime=0)


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (20, 28, 28)).astype(np.uint8), np.arange(20) % 10


def registered(monkeypatch, name: str, **changed) -> None:
    monkeypatch.setitem(DATASETS, name, DATASETS[name]._replace(**changed))


def test_C25_emnist_is_taken_out_of_its_archive_and_turned_upright(here, monkeypatch, capsys, digits):
    images, labels = digits
    contents = [packed(images.swapaxes(1, 2)), packed(labels.astype(np.uint8))] * 2
    dataset, archive = DATASETS["emnist-digits"], here / "mirror/gzip.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        for file, content in zip(dataset.files.values(), contents, strict=True):
            zipped.writestr(file.path, content)
    files = {
        role: file._replace(sha256=hashlib.sha256(content).hexdigest())
        for (role, file), content in zip(dataset.files.items(), contents, strict=True)
    }
    checked = File("gzip.zip", archive.stat().st_size, hashlib.sha256(archive.read_bytes()).hexdigest())
    registered(monkeypatch, "emnist-digits", files=files, archive=checked, mirrors=(archive.parent.as_uri(),))
    download.main(PARAMS, ["download.dataset=emnist-digits"])
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {archive.as_uri()}
    assert np.array_equal(load_raw(Path("data/raw"))[1]["test"].images, images)
    Path("data/raw/gzip.zip").unlink()
    archive.unlink()
    download.main(PARAMS, ["download.dataset=emnist-digits"])  # files that exist and are right need no archive
    assert {line.split()[1] for line in capsys.readouterr().out.splitlines()} == {"kept"}


def test_an_archive_without_a_file_is_refused(here, digits):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zipped:
        zipped.writestr("gzip/other.gz", b"")
    (here / "gzip.zip").write_bytes(content.getvalue())
    file = DATASETS["emnist-digits"].files["test_labels"]
    with pytest.raises(
        PipelineError, match=rf"gzip.zip: expected {file.path} in it, a file with SHA-256 {file.sha256}"
    ):
        fetch.extract(here / "gzip.zip", file, here)


def test_qmnist_is_checked_by_md5_where_nothing_else_is_published_and_its_labels_by_their_first_column(
    here, monkeypatch, digits
):
    images, labels = digits
    wide = np.stack([labels, *[labels + 1000] * 7], axis=1).astype(np.int32)
    files = DATASETS["qmnist"].files
    (here / "mirror").mkdir()
    for role, file in files.items():
        content = packed(images if "images" in role else wide)
        (here / "mirror" / file.path).write_bytes(content)
        known = (
            {"md5": hashlib.md5(content).hexdigest()} if file.md5 else {"sha256": hashlib.sha256(content).hexdigest()}
        )
        files = files | {role: file._replace(bytes=0 if file.md5 else len(content), **known)}
    registered(monkeypatch, "qmnist", files=files, mirrors=((here / "mirror").as_uri(),))
    download.main(PARAMS, ["download.dataset=qmnist"])
    about, splits = load_raw(Path("data/raw"))
    assert splits["train"].labels.tolist() == labels.tolist()
    assert about["files"]["train_images"]["sha256"] == hashlib.sha256(packed(images)).hexdigest()
    name = files["test_images"].path
    (here / "mirror" / name).write_bytes(packed(images)[:-1])
    Path("data/raw/t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(SystemExit, match=rf"expected a file with MD5 {files['test_images'].md5}, which no mirror sent"):
        download.main(PARAMS, ["download.dataset=qmnist"])
