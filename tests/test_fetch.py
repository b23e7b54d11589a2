"""Rows D53 to D71 and D77 to D80 of the fault table: the disk, other processes, and files that exist already."""

import contextlib
import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from disks import Behind, raising
from fault_server import reply
from fetching import FILE, FLIPPED, GOOD, names, refusal

from pipeline.base.errors import PipelineError
from pipeline.datasets.fetch import fetch
from pipeline.datasets.registry import BUNDLED_DIGITS, DATASETS

ROOT = Path(__file__).parents[1]


# D53 to D58: the disk


CALLS = ("open", "fsync", "replace")  # of os


def failing(monkeypatch, place, error):
    """Let a call fail, or a method of the file after it has done what it does."""
    if place in CALLS:
        return monkeypatch.setattr(os, place, raising(error))

    def fail(self, *args):
        getattr(self.file, place)(*args)
        raise error

    type("Failing", (Behind,), {place: fail}).every(monkeypatch)


@pytest.mark.parametrize("place", [*CALLS, "write", "flush", "close"])
@pytest.mark.parametrize("row", ["D53-ENOSPC", "D54-EDQUOT", "D55-EIO", "D56-EROFS"])
def test_a_disk_that_fails_is_final_and_leaves_the_old_file(row, place, server, folder, patience, monkeypatch):
    code = getattr(errno, row.split("-")[1])
    good, never = server.mirror(reply(GOOD)), server.mirror(reply(GOOD))
    folder.mkdir()
    (folder / FILE.name).write_bytes(b"old")
    with monkeypatch.context() as patch:
        failing(patch, place, OSError(code, os.strerror(code)))
        with pytest.raises(OSError, match=os.strerror(code)) as failed:
            fetch(FILE, folder, [good, never], patience)
    assert failed.value.errno == code
    assert server.asked(never) == 0
    assert {name: (folder / name).read_bytes() for name in names(folder)} == {FILE.name: b"old"}
    fetch(FILE, folder, [good], patience)
    assert (folder / FILE.name).read_bytes() == GOOD


def test_D53_a_full_disk_says_on_which_file(folder, server, patience, monkeypatch):
    failing(monkeypatch, "write", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left") as failed:
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert failed.value.filename == str(folder / FILE.name)


def test_D53_a_real_limit_on_the_size_of_files(tmp_path):
    program = f"""
import resource, sys
from pathlib import Path
from pipeline.datasets.fetch import fetch
from pipeline.datasets.registry import BUNDLED_DIGITS, DATASETS
from pipeline.base.errors import reports_errors
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
dataset = DATASETS["digits"]
reports_errors(lambda: fetch(dataset.files["train_images"], Path({str(tmp_path)!r}), dataset.mirrors))()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: File too large ({tmp_path / 'train-images-idx3-ubyte.gz'})")
    assert done.stderr.count("\n") == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("mode", [pytest.param(0o500, id="D56-no-w-bit"), pytest.param(0o600, id="D57-no-x-bit")])
def test_a_folder_without_permission(mode, server, unprivileged, patience):
    folder = unprivileged / "raw"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(PermissionError):
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    folder.chmod(0o700)
    assert names(folder) == []


def test_D58_a_name_that_is_too_long(server, folder, patience):
    with pytest.raises(OSError, match="File name too long"):
        fetch(FILE._replace(name="x" * 250 + ".gz"), folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder) == []


# D62 to D65: several at once


def test_D62_several_processes_at_once(tmp_path, folder):
    (tmp_path / FILE.name).write_bytes(GOOD)
    program = f"""
import sys, time
from pathlib import Path
from pipeline.datasets.fetch import fetch
from pipeline.datasets.registry import File
folder = Path({str(folder)!r})
print("ready", flush=True)
sys.stdin.readline()
for i in range(50):
    (folder / {FILE.name!r}).unlink(missing_ok=True)
    fetch(File(*{tuple(FILE)!r}), folder, [{tmp_path.as_uri()!r}])
"""
    command = [sys.executable, "-c", program]
    crowd = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for process in crowd:
        process.stdout.readline()
    for process in crowd:
        process.stdin.write("\n")
        process.stdin.flush()
    seen = set()
    while any(process.poll() is None for process in crowd):
        with contextlib.suppress(FileNotFoundError):
            seen.add((folder / FILE.name).read_bytes())
    for process in crowd:
        process.communicate()
    assert [process.returncode for process in crowd] == [0] * 4
    assert seen == {GOOD}
    assert names(folder) == [FILE.name]


def orphan(folder, content=b"half"):
    """A temporary file like those that a killed process leaves."""
    folder.mkdir(exist_ok=True)
    path = folder / f".{FILE.name}.abcdef12.part"
    path.write_bytes(content)
    return path


def test_D63_a_process_killed_while_it_writes_is_swept_up_after(server, folder, patience):
    program = f"""
import os, signal
from pathlib import Path
from pipeline.base.files import replacing
with replacing(Path({str(folder / FILE.name)!r})) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == -signal.SIGKILL
    assert len(names(folder)) == 1
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder) == [FILE.name]


def test_D64_a_lock_that_somebody_holds_is_not_waited_for(server, folder, patience):
    theirs = orphan(folder)
    with theirs.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
        assert names(folder) == [theirs.name, FILE.name]
    fetch(FILE, folder, [], patience)
    assert names(folder) == [FILE.name]


@pytest.mark.parametrize("error", [None, OSError(errno.ENOLCK, "No locks available")], ids=["no-op", "unsupported"])
def test_D65_where_locks_do_nothing_all_is_well_and_nothing_is_swept(error, server, folder, patience, monkeypatch):
    theirs = orphan(folder)
    monkeypatch.setattr(fcntl, "flock", raising(error) if error else lambda *_: None)
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder) == [theirs.name, FILE.name]
    assert (folder / FILE.name).read_bytes() == GOOD


# D66 to D71: things that may lie at the target


def test_D66_stale_part_files_are_swept_and_others_are_not(server, folder, patience):
    orphan(folder)
    others = [".another.abcdef12.part", f"{FILE.name}.part", "notes.txt"]
    for name in others:
        (folder / name).touch()
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder) == sorted([*others, FILE.name])


def test_D66_a_part_file_that_is_a_pipe_blocks_nobody(server, folder, patience):
    folder.mkdir()
    os.mkfifo(folder / f".{FILE.name}.abcdef12.part")
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="D67-zero-bytes"),
        pytest.param(GOOD[:-1], id="D68-truncated"),
        pytest.param(GOOD + b"\0", id="D68-too-long"),
        pytest.param(FLIPPED, id="D69-flipped-bit"),
    ],
)
def test_a_damaged_target_is_replaced(content, server, folder, patience):
    folder.mkdir()
    (folder / FILE.name).write_bytes(content)
    refusal(folder, [server.mirror(reply(b"", 404))], patience)
    assert fetch(FILE, folder, [server.mirror(reply(GOOD))], patience) != "kept"
    assert (folder / FILE.name).read_bytes() == GOOD


def test_D70_a_folder_in_place_of_the_target(server, folder, patience):
    (folder / FILE.name / "precious").mkdir(parents=True)
    with pytest.raises(PipelineError, match=r"is a folder where a file belongs; move it away"):
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert names(folder / FILE.name) == ["precious"]


def test_D70_a_pipe_in_place_of_the_target(server, folder, patience):
    folder.mkdir()
    os.mkfifo(folder / FILE.name)
    with pytest.raises(PipelineError, match="is not a regular file"):
        fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert (folder / FILE.name).is_fifo()


@pytest.mark.parametrize("link", ["dangling", "elsewhere", "loop", "folder", "hard"], ids="D71-{}".format)
def test_a_link_is_replaced_and_never_written_through(link, server, folder, patience, tmp_path):
    folder.mkdir()
    target, elsewhere = folder / FILE.name, tmp_path / "cache"
    elsewhere.write_bytes(FLIPPED)
    match link:
        case "dangling":
            target.symlink_to(tmp_path / "nowhere")
        case "elsewhere":
            target.symlink_to(elsewhere)
        case "loop":
            target.symlink_to(target)
        case "folder":
            target.symlink_to(tmp_path)
        case "hard":
            target.hardlink_to(elsewhere)
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert not target.is_symlink()
    assert target.read_bytes() == GOOD
    assert elsewhere.read_bytes() == FLIPPED
    assert not (tmp_path / "nowhere").exists()


def test_D71_a_link_to_the_right_bytes_is_kept(folder, tmp_path, patience):
    folder.mkdir()
    (tmp_path / "cache").write_bytes(GOOD)
    (folder / FILE.name).symlink_to(tmp_path / "cache")
    assert fetch(FILE, folder, [], patience) == "kept"


# D77 to D80: files that exist already, clocks, permissions


def test_D77_offline_with_good_files_opens_no_socket(tmp_path):
    """Not even while the libraries are imported."""
    program = """
import os, sys
from pathlib import Path
sys.addaudithook(lambda event, _: event.startswith("socket.") and os._exit(7))
from pipeline.datasets.fetch import fetch
from pipeline.datasets.registry import BUNDLED_DIGITS, DATASETS
print([fetch(file, Path(sys.argv[1]), ["https://mirror.invalid/"]) for file in DATASETS["digits"].files.values()])
"""
    command = [sys.executable, "-c", program]
    digits = subprocess.run([*command, str(BUNDLED_DIGITS)], cwd=ROOT, capture_output=True, text=True, check=True)
    assert digits.stdout == "['kept', 'kept', 'kept', 'kept']\n"
    assert subprocess.run([*command, str(tmp_path)], cwd=ROOT, check=False).returncode == 7


def test_D78_offline_without_is_an_error(folder, patience, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", raising(socket.gaierror(socket.EAI_AGAIN, "Temporary failure")))
    assert "Temporary failure" in refusal(folder, DATASETS["mnist"].mirrors, patience)


@pytest.mark.parametrize("now", [0, 4e9], ids=["D79-1970", "D79-2096"])
def test_a_wrong_clock_changes_nothing(now, server, folder, patience, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: float(now))
    orphan(folder)
    busy = reply(b"", 429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT")
    fetch(FILE, folder, [server.mirror(busy, reply(GOOD))], patience)
    assert names(folder) == [FILE.name]


def test_a_progress_bar_is_only_for_a_terminal(server, folder, patience, capsys):
    fetch(FILE, folder, [server.mirror(reply(GOOD))], patience)
    assert capsys.readouterr() == ("", "")
