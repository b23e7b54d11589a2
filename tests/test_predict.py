"""predict: anyone's pictures through the command line, by a net that knows only its file."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from by_hand import ROOT, must
from drawings import SHAPES, STYLES, coverage, write, wrong
from PIL import Image

from pipeline.base.npz import read_npz, write_npz
from pipeline.commands.predict import judge
from pipeline.datasets.raw import load_raw
from pipeline.model import load_model

CNN = "[conv 3 3, relu, max_pool 2, affine 20, relu, affine]"


def drawing(digit: int) -> Image.Image:
    style = STYLES["finger"]._replace(wobble=0.0)
    return Image.fromarray((255 - 255 * coverage(SHAPES[digit][0], style, np.random.default_rng(2))).astype(np.uint8))


def predict(folder: Path, *arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "pipeline", "predict", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, input=stdin, capture_output=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for digit in (1, 3):
        drawing(digit).save(tmp_path / f"{digit}.png")
    return tmp_path


def test_an_answer_is_a_class_its_probability_and_the_next_two(finished, pictures):
    run = predict(finished, pictures / "1.png", pictures / "3.png")
    assert (run.returncode, run.stderr) == (0, b"")
    for digit, line in zip(("1", "3"), run.stdout.decode().splitlines(), strict=True):
        name, *told = line.split()
        assert name == str(pictures / f"{digit}.png")
        assert told[0] == digit
        shares = [float(share.strip("<>%")) for share in told[1::2]]
        assert len(set(told[::2])) == len(shares) == 3
        assert sum(shares) < 100.2
        assert shares == sorted(shares, reverse=True)


def test_json_says_the_same_and_standard_input_is_a_picture(finished, pictures):
    file = io.BytesIO()
    drawing(3).save(file, "PNG")
    (piped,) = json.loads(predict(finished, "-", "--json", stdin=file.getvalue()).stdout)
    (named,) = json.loads(predict(finished, pictures / "3.png", "--json").stdout)
    assert piped.pop("picture") == "-"
    assert named.pop("picture") == str(pictures / "3.png")
    assert piped == named
    assert piped["text"] == "3"
    (digit,) = piped["digits"]
    assert [set(answer) for answer in digit["classes"]] == [{"class", "probability"}] * 3
    assert digit["classes"][0]["class"] == "3"


def test_a_folder_means_the_pictures_in_it_and_what_else_is_there_is_named(finished, pictures):
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "more").mkdir()
    for name in ("._1.png", ".DS_Store", "Thumbs.db"):
        (pictures / name).write_bytes(b"the system's own")
    for name in ("2.jfif", "2.jpe"):
        drawing(3).save(pictures / name, "JPEG")
    run = predict(finished, pictures, "--json")
    assert [Path(answer["picture"]).name for answer in json.loads(run.stdout)] == ["1.png", "2.jfif", "2.jpe", "3.png"]
    assert run.stderr.decode().splitlines() == [
        f"note: {pictures / 'more'} was not read: it is a folder; name it, too.",
        f"note: {pictures / 'notes.txt'} was not read: it does not end like a picture.",
    ]
    assert run.returncode == 0


def test_HEIC_is_told_to_be_saved_as_JPEG_whatever_its_name(finished, pictures):
    for name in ("photo.HEIC", "renamed.jpg"):
        (pictures / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(12))
    run = predict(finished, pictures)
    assert run.returncode == 1
    assert len(run.stdout.splitlines()) == 2
    for name, line in zip(("photo.HEIC", "renamed.jpg"), run.stderr.decode().splitlines(), strict=True):
        assert line == (
            f"error: {pictures / name} is a HEIC or AVIF picture, or a video, which is not read; save it as JPEG."
        )


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_any_name_is_told_and_pictured(finished, pictures, encoding):
    names = [b"$a_$.png", b"_b.png", "три.png".encode(), "数字.png".encode(), b"\xe9.png"]
    folder = os.fsencode(pictures / "named")
    os.mkdir(folder)
    for name in names:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes((pictures / "3.png").read_bytes())
    command = [sys.executable, "-m", "pipeline", "predict", folder, "--show", pictures / "seen.png"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    run = subprocess.run(command, cwd=finished, env=environment, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    told = run.stdout.decode(encoding)
    assert len(told.splitlines()) == 5
    assert all(name in told for name in ("$a_$.png", "_b.png", r"\udce9.png"))
    assert ("три.png" in told) == (encoding == "utf-8")


def test_what_is_like_no_training_image_is_said_to_be_and_the_exit_code_is_1(finished, pictures):
    squares = np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((30, 30), int))
    Image.fromarray((255 * np.pad(squares, 40)).astype(np.uint8)).save(pictures / "board.png")
    run = predict(finished, pictures / "board.png", pictures / "3.png", "--show", pictures / "seen.png")
    board, three = run.stdout.decode().splitlines()
    assert run.returncode == 1
    assert "board.png  like no image that the net was trained on; nearest " in board
    assert three.split()[1] == "3"
    answers = json.loads(predict(finished, pictures / "board.png", pictures / "3.png", "--json").stdout)
    assert [answer["refused"] for answer in answers] == [True, False]


def test_a_model_file_of_an_older_version_says_that_it_cannot_refuse(finished, pictures):
    arrays = read_npz(finished / "data/model/weights.npz")
    about = {key: value for key, value in json.loads(str(arrays["about"])).items() if key != "judging"}
    kept = {name: array for name, array in arrays.items() if name not in ("means", "axes", "about")}
    write_npz(pictures / "old.npz", kept | {"about": np.array(json.dumps(about))})
    run = predict(finished, pictures / "3.png", "--model", pictures / "old.npz", "--json")
    assert run.stderr.decode().startswith("note: this model file is of an older version and refuses no image")
    assert json.loads(run.stdout)[0]["refused"] is None
    assert run.returncode == 0


def test_a_bad_picture_is_one_line_on_stderr_and_the_others_are_classified(finished, pictures):
    (pictures / "2.png").write_bytes((pictures / "3.png").read_bytes()[:200])
    Image.new("L", (30, 30), 200).save(pictures / "blank.png")
    run = predict(finished, pictures, pictures / "absent.png", f"{'long' * 99}.png", pictures / "1.png")
    assert run.returncode == 1
    assert [Path(line.split()[0]).name for line in run.stdout.decode().splitlines()] == ["1.png", "3.png", "1.png"]
    damaged, blank, absent, long = run.stderr.decode().splitlines()
    assert "2.png is damaged" in damaged
    assert "blank.png is blank: nothing stands out" in blank
    assert absent == f"error: {pictures / 'absent.png'} does not exist; name a picture, or - for stdin."
    assert long.endswith("longlong.png cannot be read: File name too long.")


def test_with_no_good_picture_there_is_no_answer(finished, pictures):
    run = predict(finished, pictures / "absent.png", "--json", "--show", pictures / "seen.png")
    assert (run.returncode, json.loads(run.stdout)) == (1, [])
    assert not (pictures / "seen.png").exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing"], "nothing holds no picture; expected a name ending in .bmp, .gif,"),
        (["x.png", "--model", "absent.npz"], "absent.npz does not exist; make it again: python -m pipeline.train"),
    ],
)
def test_what_cannot_be_done_is_one_line(copy, arguments, line):
    (copy / "nothing").mkdir()
    run = predict(copy, *arguments)
    assert (run.returncode, run.stdout) == (1, b"")
    (error,) = run.stderr.decode().splitlines()
    assert error.startswith(f"error: {line}")


def test_show_pictures_what_the_net_saw(finished, pictures):
    assert predict(finished, pictures, "--show", pictures / "seen.png").returncode == 0
    with Image.open(pictures / "seen.png") as image:
        assert image.convert("L").getextrema() == (0, 255)


def test_the_model_file_is_all_it_needs(finished, pictures):
    model = pictures / "elsewhere.npz"
    model.write_bytes((finished / "data/model/weights.npz").read_bytes())
    assert predict(pictures, "1.png", "--model", model).stdout.split()[1] == b"1"


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        ["convert.normalize=false"],
        ["convert.features=edges"],
        ["convert.features=fourier"],
        ["convert.layout=image", f"train.layers={CNN}"],
        ["convert.features=edges", f"train.layers={CNN}"],
    ],
    ids=" ".join,
)
def test_the_net_is_shown_what_it_was_trained_on(copy, settings):
    """From the pixels of the test images, predict gives the answers that evaluate gave from their features."""
    for stage in ("convert", "train", "evaluate"):
        must(copy, stage, *settings, "train.length=50 iterations", "train.optimizer=adam", "train.learning_rate=0.001")
    with (copy / "data/evaluation/predictions.csv").open() as file:
        expected = [row["predicted"] for row in csv.DictReader(file)]
    images = load_raw(copy / "data/raw")[1]["test"].images
    net = load_model(copy / "data/model/weights.npz")
    assert [answer["classes"][0]["class"] for answer in judge(net, images)] == expected


@pytest.mark.slow
@pytest.mark.mnist
def test_nine_of_ten_drawings_made_without_mnist_are_read_by_the_cnn(tmp_path, monkeypatch, mnist_mirror):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.setenv("PIPELINE_MIRRORS", mnist_mirror)
    settings = ["layers=[conv 16 5, relu, max_pool 2, affine 100, relu, affine]", "initializer=he", "optimizer=adam"]
    settings += ["learning_rate=0.001", "arithmetic=float32", "sampling=shuffle", "length=1 epochs"]
    must(tmp_path, "download")
    must(tmp_path, "convert")
    must(tmp_path, "train", *(f"train.{setting}" for setting in settings))
    digits = write(tmp_path / "drawings")
    mistakes = wrong(tmp_path / "data/model/weights.npz", digits)
    print(f"{len(digits) - len(mistakes)} of {len(digits)} drawings right; {mistakes}")
    assert len(digits) >= 100
    assert len(mistakes) <= 0.1 * len(digits)
