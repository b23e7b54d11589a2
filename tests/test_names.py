"""Names and texts from outside reach terminal, JSON and disk without harm, whatever they hold."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from nets import a_file, a_net
from PIL import Image, ImageDraw

from pipeline.commands import compare, export, features, predict

NAMES = ["ноль", "один", "два", "три", "четыре", "пять", "шесть", "семь", "八", "九"]


def picture(path: Path | bytes) -> Path:
    image = Image.new("L", (40, 40), 255)
    ImageDraw.Draw(image).line([(20, 5), (18, 35)], fill=0, width=4)
    file = io.BytesIO()
    image.save(file, "PNG")
    path = Path(os.fsdecode(path))
    path.write_bytes(file.getvalue())
    return path


@pytest.fixture
def model(tmp_path) -> Path:
    weights, about = a_net(["affine"], (8, 8))
    about["data"]["class_names"] = NAMES
    return a_file(tmp_path / "weights.npz", weights, about)


@pytest.fixture
def asked(model, monkeypatch) -> Callable[..., str]:
    """What predict prints on a terminal of some encoding."""

    def ask(*pictures: Path, encoding: str = "utf-8", **options) -> str:
        """Use ASCII, which is also UTF-8, where `encoding` lacks the letters."""
        written = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
        predict.main(list(pictures), model, **options)
        sys.stdout.flush()
        return written.getvalue().decode()

    return ask


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="refuses such names")
ODD = [
    pytest.param(b"caf\xe9.png", r"caf\udce9.png", marks=LINUX),
    pytest.param(b"a\x1b[2J\nb.png", r"a\x1b[2J\nb.png", marks=LINUX),
    pytest.param("п\u202e我.png".encode(), r"п\u202e我.png", marks=LINUX),
    (b"plain.png", "plain.png"),
]


@pytest.mark.parametrize(("name", "told"), ODD)
def test_a_file_name_is_told_printably(asked, tmp_path, name, told):
    path = picture(os.fsencode(tmp_path) + b"/" + name)
    assert asked(path).split("  ")[0] == f"{tmp_path}/{told}"
    (answer,) = json.loads(asked(path, as_json=True, encoding="ascii"))
    assert answer["picture"] == f"{tmp_path}/{told}"
    assert answer["digits"][0]["classes"][0]["class"] in NAMES


@LINUX
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_terminal_that_lacks_the_letters_gets_escapes(asked, tmp_path, encoding, as_json):
    path = picture(tmp_path / "цифра.png")
    assert asked(path, encoding=encoding, as_json=as_json)


@LINUX
def test_an_error_about_a_file_tells_its_name_printably(asked, tmp_path, capsys):
    broken = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\x1b[2J\xe9.png"))
    with pytest.raises(typer.Exit):
        asked(broken)
    told = rf"error: {tmp_path}/a\x1b[2J\udce9.png does not exist; name a picture, or - for stdin."
    assert told in capsys.readouterr().err.splitlines()


def refused(command: Callable[..., None], *arguments, **options) -> str:
    with pytest.raises(SystemExit) as left:
        command(*arguments, **options)
    return str(left.value)


def test_show_replaces_what_it_made_itself_and_no_other_file(asked, model, tmp_path):
    first, second, sheet = picture(tmp_path / "1.png"), picture(tmp_path / "2.png"), tmp_path / "sheet.png"
    before = first.read_bytes()
    assert "was not made by --show" in refused(predict.main, [second], model, show=first)  # --show *.png
    assert "which is an input; name another" in refused(predict.main, [first, second], model, show=first)
    assert first.read_bytes() == before
    for _ in range(2):
        asked(second, show=sheet)
    with Image.open(sheet) as image:
        assert image.text == {"Title": predict.SEEN}
    assert "which is an input; name another" in refused(predict.main, [tmp_path], model, show=sheet)
    assert "which is an input; name another" in refused(predict.main, [second], model, show=model)


def test_no_command_writes_to_what_it_reads(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    (tmp_path / "data/raw/dataset.json").touch()
    (tmp_path / "params.yaml").touch()
    before = model.read_bytes()
    for form in export.Format:
        assert "which is an input" in refused(export.main, Path("weights.npz"), form, model)
    (tmp_path / "W1.csv").hardlink_to(model)
    assert "which is an input" in refused(export.main, tmp_path, export.Format.csv, model)
    assert "which is an input" in refused(features.main, Path("data/raw/dataset.json"))
    assert "which is an input" in refused(compare.main, ["HEAD"], Path("params.yaml"))
    assert model.read_bytes() == before


def test_a_format_is_known_in_capitals_too(model, tmp_path, capsys):
    export.main(tmp_path / "net.NPZ", None, model)
    assert capsys.readouterr().out == f"affine: {tmp_path}/net.NPZ\n"
