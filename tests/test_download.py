"""The stage, run as a person runs it: rows D59 to D61 of the fault table, and what it writes."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from disks import raising
from fault_server import HANG, head, reply
from fetching import names

from pipeline import download
from pipeline.datasets.registry import DATASETS
from pipeline.datasets.transport import split_urls

ROOT = Path(__file__).parents[1]


# D59 to D61: signals. The stage is run as a person runs it; faults at every system call are tested elsewhere.


def stage(folder, mirror):
    shutil.copy(ROOT / "params.yaml", folder)
    command = [sys.executable, "-m", "pipeline.download", "-S", "download.dataset=digits"]
    environment = {**os.environ, "PIPELINE_MIRRORS": mirror, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize(
    ("number", "codes"),
    [
        pytest.param(signal.SIGKILL, {-signal.SIGKILL}, id="D59-SIGKILL"),
        pytest.param(signal.SIGTERM, {143}, id="D60-SIGTERM"),
        pytest.param(signal.SIGINT, {130}, id="D61-SIGINT"),
    ],
)
def test_a_signal_in_the_middle_leaves_nothing_and_the_next_run_succeeds(number, codes, server, tmp_path):
    mirror = server.mirror([head(), b"half", HANG])
    with stage(tmp_path, mirror) as running:
        while not server.asked(mirror) and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(number)
        _, complaint = running.communicate(timeout=60)
    assert running.returncode in codes
    assert complaint == ("" if number == signal.SIGKILL else "Stopped; run it again.\n")
    assert names(tmp_path / "data" / "raw") == []

    with stage(tmp_path, "") as running:
        output, complaint = running.communicate()
    assert (running.returncode, complaint) == (0, "")
    assert len(output.splitlines()) == 4
    assert json.loads((tmp_path / "data/raw/dataset.json").read_text())["name"] == "digits"


# the stage itself


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data" / "raw"


def run_stage(*overrides):
    download.main(ROOT / "params.yaml", list(overrides))


def test_the_stage_writes_what_the_registry_says_and_where_each_file_came_from(raw, capsys):
    run_stage("download.dataset=digits")
    dataset = DATASETS["digits"]
    for file, line in zip(dataset.files.values(), capsys.readouterr().out.splitlines(), strict=True):
        assert line.split() == [file.name, dataset.mirrors[0] + file.name]
    about = (raw / "dataset.json").read_bytes()
    described = json.loads(about)
    assert described["name"] == "digits"
    assert described["image_shape"] == [8, 8]
    assert described["class_names"] == list("0123456789")
    assert described["files"] == {
        role: {"name": file.name, "bytes": file.bytes, "sha256": file.sha256} for role, file in dataset.files.items()
    }
    run_stage("download.dataset=digits")
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["kept"] * 4
    assert (raw / "dataset.json").read_bytes() == about


def test_D76_the_mirrors_of_the_environment_are_read_as_people_write_them():
    text = " file:///my files/a file/\n http://a/  FILE:///C# 100%/ https://user:p w@b/ \t"
    assert split_urls(text) == ["file:///my files/a file/", "http://a/", "FILE:///C# 100%/", "https://user:p w@b/"]
    assert split_urls(" ") == []


def test_T17_all_is_done_before_the_first_line_that_nobody_may_read(raw, monkeypatch):
    monkeypatch.setattr(typer, "echo", raising(BrokenPipeError(errno.EPIPE, "Broken pipe")))
    with pytest.raises(SystemExit):
        run_stage("download.dataset=digits")
    assert len(names(raw)) == 5


def test_the_mirrors_of_the_environment_come_first(raw, server, monkeypatch, capsys):
    first, second = server.mirror(reply(b"", 404)), DATASETS["digits"].mirrors[0].rstrip("/")
    monkeypatch.setenv("PIPELINE_MIRRORS", f"  {first}   {second}")
    run_stage("download.dataset=digits")
    assert server.asked(first) == 4
    assert capsys.readouterr().out.count(second) == 4


def test_a_data_set_that_is_not_complete_is_not_described(raw, server, monkeypatch):
    run_stage("download.dataset=digits")
    broken = DATASETS["kmnist"]._replace(mirrors=(server.mirror(reply(b"", 404)),))
    monkeypatch.setitem(DATASETS, "kmnist", broken)
    with pytest.raises(SystemExit, match=r"^error: data/raw/train-images.* which no mirror sent .*HTTP 404"):
        run_stage("download.dataset=kmnist")
    assert len(names(raw)) == 4
    assert "dataset.json" not in names(raw)
