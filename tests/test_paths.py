"""An input is a file, and an output is not an input."""

import os
import socket
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened, require_other
from pipeline.base.text import read_columns
from pipeline.datasets.idx import read_idx
from pipeline.datasets.raw import load_raw
from pipeline.model import load_model
from pipeline.params import read_yaml

READERS = {
    "opened": lambda path: opened(path, "name another"),
    "params": read_yaml,
    "model": load_model,
    "curves": lambda path: read_columns(path, ["epoch"], "make it again"),
    "IDX": read_idx,
    "description": lambda path: load_raw(path.rename(path.with_name("dataset.json")).parent),
}


def make(kind: str, path: Path) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.relpath(path))  # whose name may have 107 bytes


@pytest.mark.skipif(sys.platform == "win32", reason="has no such files")
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "socket"])
def test_what_is_no_regular_file_is_refused_without_being_opened(tmp_path, monkeypatch, kind, reader):
    monkeypatch.chdir(tmp_path)
    make(kind, tmp_path / "x")
    with pytest.raises(PipelineError, match="is not a regular file; "):
        READERS[reader](tmp_path / "x")


def test_an_output_is_no_input_by_whatever_name(tmp_path):
    model = tmp_path / "model.npz"
    model.touch()
    (tmp_path / "hard.npz").hardlink_to(model)
    (tmp_path / "soft.npz").symlink_to(model)
    (tmp_path / "other.npz").touch()
    for name in ("model.npz", "hard.npz", "soft.npz", f"../{tmp_path.name}/model.npz"):
        with pytest.raises(PipelineError, match=r"which is an input; name another file to write"):
            require_other(tmp_path / name, tmp_path / "absent", model)
    for name in ("other.npz", "absent.npz"):
        require_other(tmp_path / name, tmp_path / "absent", model)


def test_an_input_is_known_where_inode_numbers_differ_at_every_call(tmp_path, monkeypatch):
    (tmp_path / "a").touch()
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)
    with pytest.raises(PipelineError, match="which is an input"):
        require_other(tmp_path / "." / "a", tmp_path / "a")
