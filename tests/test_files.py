"""A file is whole or as it was (rows C22 to C24 of the fault table), whatever fails while it is written."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from disks import Behind, raising

from pipeline.base import files
from pipeline.base.errors import PipelineError
from pipeline.base.files import publish, remove_abandoned, replacing, sole_writer, write_bytes, write_json
from pipeline.base.npz import write_npz
from pipeline.base.paths import opened

ROOT = Path(__file__).parents[1]
ARRAYS = {"a": np.arange(1000), "b": np.ones((3, 4), np.float32)}
WRITERS = {
    "bytes": lambda path: write_bytes(path, b"new"),
    "json": lambda path: write_json(path, {"b": [1.5, None], "a": "é"}),
    "npz": lambda path: write_npz(path, ARRAYS),
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "file"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@every_writer
def test_a_file_appears_with_its_folder_and_nothing_beside_it(write, path):
    write(path)
    assert list(contents(path.parent)) == ["file"]


@every_writer
def test_C24_a_second_write_gives_the_same_bytes(write, path):
    write(path)
    first = path.read_bytes()
    write(path)
    assert path.read_bytes() == first


@every_writer
@pytest.mark.parametrize("call", ["open", "fdopen", "fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_C22_a_call_that_fails_leaves_the_old_file_alone(write, call, code, path, monkeypatch):
    write_bytes(path, b"old")

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(code)):
            write(path)
    assert contents(path.parent) == {"file": b"old"}
    write(path)
    assert list(contents(path.parent)) == ["file"]


OPTIONAL = {
    "fsync": [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF],
    "chmod": [errno.EPERM],
    "flock": [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL, errno.EPERM],
}


@pytest.mark.parametrize(("call", "code"), [(call, code) for call, codes in OPTIONAL.items() for code in codes])
def test_what_a_file_system_does_not_support_is_done_without_and_said_once(call, code, path, monkeypatch, capsys):
    """CIFS, vboxsf, NFS and Lustre answer so; some also count the links of a file as 0."""

    def fail(*_args, **_kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl if call == "flock" else os, call, fail)
    monkeypatch.setattr(os, "fstat", lambda _: os.stat_result([0] * 10))
    monkeypatch.setattr(files, "_missed", set())
    for content in (b"old", b"new"):
        with sole_writer(path.parent):
            write_bytes(path, content)
    assert contents(path.parent) == {"file": b"new", ".lock": b""}
    told = capsys.readouterr().err.splitlines()
    assert len(told) == {"fsync": 2, "chmod": 0, "flock": 1}[call]  # files and folders; not needed; locks
    assert all(
        line.startswith(f"warning: {path.parent}") and line.endswith(f"({os.strerror(code)}); going on without.")
        for line in told
    )


@pytest.mark.parametrize("code", [errno.EPERM, errno.EINVAL], ids=errno.errorcode.get)
def test_nothing_is_done_without_a_rename(code, path, monkeypatch):
    write_bytes(path, b"old")

    def fail(*_args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match=os.strerror(code)):
        write_bytes(path, b"new")
    assert contents(path.parent) == {"file": b"old"}


@pytest.mark.parametrize("limit", [0, 1, 1000, 8000, 8497])
def test_C22_a_disk_that_is_full_at_any_byte_leaves_the_old_file_alone(limit, path):
    """A real limit, on the size of files, in a process of its own."""
    write_bytes(path, b"old")
    program = f"""
import resource
from pathlib import Path
import numpy as np
from pipeline.base.errors import reports_errors
from pipeline.base.npz import write_npz
arrays = {{"a": np.arange(1000), "b": np.ones((3, 4), np.float32)}}
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
reports_errors(lambda: write_npz(Path({str(path)!r}), arrays))()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: File too large ({path}); correct that and run it again.\n"
    assert contents(path.parent) == {"file": b"old"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, ValueError])
def test_C22_a_writer_that_stops_leaves_the_old_file_alone(error, path):
    write_bytes(path, b"old")

    def stop():
        with replacing(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        stop()
    assert contents(path.parent) == {"file": b"old"}


def test_C22_an_error_after_the_rename_leaves_the_new_file(path, monkeypatch):
    """The folder could not be flushed: a power cut may bring back the old file, but whole."""
    write_bytes(path, b"old")
    monkeypatch.setattr("pipeline.base.files.sync_folder", raising(OSError(errno.EIO, "folder")))
    with pytest.raises(OSError, match="folder"):
        write_bytes(path, b"new")
    assert contents(path.parent) == {"file": b"new"}


@pytest.mark.parametrize("byte", [0, 40, 100, 150, 8200, -10])
def test_C23_an_npz_that_reads_back_otherwise_does_not_replace_the_old_one(byte, path, monkeypatch):
    write_bytes(path, b"old")

    class LyingDisk(Behind):
        """Flips one bit of what is read back."""

        def read(self, size=-1):
            place, size_of_file = self.file.tell(), os.fstat(self.file.fileno()).st_size
            content = bytearray(self.file.read(size))
            if 0 <= byte % size_of_file - place < len(content):
                content[byte % size_of_file - place] ^= 4
            return bytes(content)

    LyingDisk.every(monkeypatch)
    with pytest.raises(OSError, match="other bytes are read than were written"):
        write_npz(path, ARRAYS)
    assert contents(path.parent) == {"file": b"old"}


def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1])
    write_bytes(path, b"new")
    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o000, 0o666)])
def test_D80_the_umask_is_heeded_and_left_as_it_was(mask, mode, path):
    before = os.umask(mask)
    write_bytes(path, b"new")
    assert os.umask(before) == mask
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("link", [Path.hardlink_to, Path.symlink_to])
def test_a_link_is_not_written_through(link, path, tmp_path):
    cached = tmp_path / "cached"
    cached.write_bytes(b"old")
    path.parent.mkdir()
    link(path, cached)
    write_bytes(path, b"new")
    assert (cached.read_bytes(), path.read_bytes(), path.is_symlink()) == (b"old", b"new", False)


def test_a_folder_in_place_of_a_file_is_not_touched(path):
    path.mkdir(parents=True)
    with pytest.raises(PipelineError, match="is a folder where a file belongs; move it away and run again"):
        write_bytes(path, b"new")
    assert contents(path.parent / "file") == {}


def bind(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # a name of at most 107 bytes


SPECIAL = {
    "pipe": os.mkfifo,
    "socket": bind,
    "link to a device": lambda path: path.symlink_to(os.devnull),
    "link to stdout": lambda path: path.symlink_to("/proc/self/fd/1"),
}


@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
def test_only_a_file_is_replaced_by_a_file(make, path):
    path.parent.mkdir()
    make(path)
    before = path.lstat()[:7]  # without the time of the last reading
    with pytest.raises(
        PipelineError, match=r"file is not a regular file, and is not replaced by one; choose another name"
    ):
        write_bytes(path, b"new")
    assert path.lstat()[:7] == before
    assert [left.name for left in path.parent.iterdir()] == ["file"]


@contextlib.contextmanager
def flickering(path):
    """Meanwhile, another thread makes the file and removes it, again and again."""
    done = threading.Event()

    def make_and_remove():
        while not done.is_set():
            path.write_bytes(b"")
            path.unlink(missing_ok=True)

    other = threading.Thread(target=make_and_remove)
    other.start()
    try:
        yield
    finally:
        done.set()
        other.join()


def test_a_file_that_comes_and_goes_is_not_taken_for_a_device(path):
    def answer():
        try:
            opened(path, "make it").close()
        except PipelineError as error:
            return str(error)
        return "there"

    path.parent.mkdir()
    with flickering(path):
        for _ in range(300):
            write_bytes(path, b"new")
            assert {answer() for _ in range(20)} <= {"there", f"{path} does not exist; make it."}


def test_a_file_in_place_of_a_folder_is_an_error_that_names_it(path):
    path.parent.write_bytes(b"precious")
    with pytest.raises(OSError, match="folder"):
        write_bytes(path, b"new")
    assert path.parent.read_bytes() == b"precious"


def test_a_name_like_a_pattern_is_swept_like_any_other(tmp_path):
    (tmp_path / ".[ab]*.abcdefgh.part").touch()
    (tmp_path / ".a.abcdefgh.part").touch()
    remove_abandoned(tmp_path / "[ab]*")
    assert list(contents(tmp_path)) == [".a.abcdefgh.part"]


def test_the_temporary_file_of_a_live_writer_is_not_swept(path):
    with replacing(path) as file:
        file.write(b"first")
        remove_abandoned(path)
        write_bytes(path, b"second")
        assert len(contents(path.parent)) == 2
    assert contents(path.parent) == {"file": b"first"}


def test_where_locks_are_forbidden_a_file_is_written_and_a_folder_named(path, monkeypatch):
    """SELinux answers EACCES; some systems answer the same if another process has the lock."""
    monkeypatch.setattr(fcntl, "flock", raising(PermissionError(errno.EACCES, "Permission denied")))
    write_bytes(path, b"new")
    assert contents(path.parent) == {"file": b"new"}
    monkeypatch.setattr(fcntl, "flock", raising(OSError(errno.ESTALE, "Stale file handle")))
    with pytest.raises(OSError, match=f"Stale.*{path.parent}"), sole_writer(path.parent):
        pass


def write_often(path, letter, times):
    for _ in range(times):
        write_bytes(Path(path), letter * 100_000)


def test_two_writers_never_show_a_mixture(path):
    write_bytes(path, b"a" * 100_000)
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_often, args=(str(path), letter, 60)) for letter in (b"a", b"b")]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        seen.add((content[:1], len(content), len(set(content))))
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert seen == {(b"a", 100_000, 1), (b"b", 100_000, 1)}
    assert list(contents(path.parent)) == ["file"]


def test_json_is_sorted_strict_and_text(path):
    write_json(path, {"b": 0.1, "a": "é"})
    assert path.read_text("utf-8") == '{\n  "a": "é",\n  "b": 0.1\n}\n'
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(path, number)


def test_a_second_holder_of_a_folder_is_refused_and_a_dead_one_forgotten(tmp_path):
    program = f"""
import os, sys
from pathlib import Path
from pipeline.base.files import sole_writer
with sole_writer(Path({str(tmp_path)!r})):
    print("held", flush=True)
    sys.stdin.readline()
    os._exit(9)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdout.readline()
        with pytest.raises(PipelineError, match="another process is writing to"), sole_writer(tmp_path):
            pass
        other.communicate("\n")
    with sole_writer(tmp_path):
        pass


def test_a_lock_that_another_user_made_holds_as_well(unprivileged):
    (unprivileged / ".lock").touch(0o444)
    with sole_writer(unprivileged), pytest.raises(PipelineError, match="another process"), sole_writer(unprivileged):
        pass


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_the_mode_of_a_lock_heeds_the_umask(mask, mode, tmp_path):
    before = os.umask(mask)
    with sole_writer(tmp_path):
        os.umask(before)
    assert (tmp_path / ".lock").stat().st_mode & 0o777 == mode


def test_git_ignores_half_written_files(tmp_path):
    """The temporary files of `replacing`, and the files that DVC leaves when its disk is full."""
    shutil.copy(ROOT / ".gitignore", tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    names = ["data/raw/.train-images-idx3-ubyte.gz.k2xw8_a1.part", "data/raw/.Yk6XvUJcWq7hLs3ZbTn9Rd.tmp"]
    done = subprocess.run(["git", "check-ignore", *names], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == names


CONTENTS = {"a.png": b"new a", "b.csv": b"new b", "metrics.json": b"new metrics"}


def old_files(folder):
    for name in CONTENTS:
        write_bytes(folder / name, b"old")


def test_E6_published_files_are_all_there(tmp_path):
    old_files(tmp_path)
    publish(tmp_path, CONTENTS)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == CONTENTS


@pytest.mark.parametrize("name", CONTENTS)
def test_E6_where_one_file_cannot_be_written_none_is_published(tmp_path, name):
    old_files(tmp_path)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    with pytest.raises(PipelineError, match="is a folder where a file belongs"):
        publish(tmp_path, CONTENTS)
    assert {path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == {b"old"}


def test_E6_killed_between_two_renames_nothing_vouches_for_the_mixture(tmp_path, monkeypatch):
    old_files(tmp_path)
    rename, renamed = os.replace, []

    def killed_at_the_second(source, target):
        renamed.append(target)
        if len(renamed) == 2:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, CONTENTS)
    assert not (tmp_path / "metrics.json").exists()


def test_C24_where_seeking_fails_no_other_kind_of_zip_is_written(path, monkeypatch):
    """Zipfile would write sizes after each member: this is sound, too, but has other bytes."""
    write_npz(path, ARRAYS)
    before = path.read_bytes()

    class Unseekable(Behind):
        once = True

        def tell(self):
            if self.once:
                self.once = False
                raise OSError(errno.EIO, "tell")
            return self.file.tell()

    Unseekable.every(monkeypatch)
    with pytest.raises(OSError, match="other bytes are read than were written"):
        write_npz(path, ARRAYS)
    assert path.read_bytes() == before
