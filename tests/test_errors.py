"""An error is one line on stderr, and nothing in this line can change the terminal."""

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.base.errors import PipelineError, one_line, reports_errors
from pipeline.base.signals import SIGNALS, Stopped, Stopping

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
from pipeline.base.errors import PipelineError, reports_errors
@reports_errors
def command():
    with open(sys.executable, "rb") as file:
        assert file.fileno() > 2
    print(len(sys.stdin.read()))
    if sys.argv[1:]:
        raise PipelineError("bad")
command()
"""

TOLD = {
    PipelineError("a\nb\x1b[2Jc\u202ed\udce9é"): r"error: a b\x1b[2Jc\u202ed\udce9é",
    OSError(errno.EACCES, "", "a\x1b[2J"): r"error: Permission denied (a\x1b[2J); correct that",
    OSError(errno.ENOSPC, "", "x.npz"): "error: No space left on device (x.npz); correct that and run it again.",
    OSError(errno.EIO, ""): "error: Input/output error; correct that and run it again.",
    io.UnsupportedOperation("not seekable"): "error: not seekable; correct that",
    MemoryError("Unable to allocate 9 GiB"): "error: out of memory (Unable to allocate 9 GiB); ask for less",
    RuntimeError("can't start new thread"): "error: can't start new thread; end other processes",
    MemoryError(): "error: out of memory; ask for less",
}


def failing(error: Exception):
    @reports_errors
    def command():
        raise error

    return command


@pytest.mark.parametrize(("error", "line"), TOLD.items(), ids=lambda part: type(part).__name__)
def test_T9_T10_a_fault_is_one_line_and_exit_code_1(error, line, capsys):
    with pytest.raises(SystemExit) as left:
        failing(error)()
    assert left.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith(line)
    assert told.removesuffix("\n").isprintable()


def test_T2_T3_a_signal_has_its_own_exit_code(capsys):
    with pytest.raises(SystemExit) as left:
        failing(Stopped("Stopped.", 143))()
    assert (left.value.code, capsys.readouterr().err) == (143, "Stopped.\n")


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_every_signal_that_would_end_a_command_is_heeded_and_an_ignored_one_is_ignored(number, capsys):
    @reports_errors
    def command():
        os.kill(os.getpid(), number)
        print("went on")

    before = signal.signal(number, signal.SIG_DFL)
    with pytest.raises(SystemExit) as left:
        command()
    assert (left.value.code, capsys.readouterr()) == (128 + number, ("", "Stopped; run it again.\n"))
    assert signal.signal(number, signal.SIG_IGN) == signal.SIG_DFL
    try:
        command()
        with Stopping() as stopping:
            os.kill(os.getpid(), number)
        assert not stopping.wanted
    finally:
        signal.signal(number, before)
    assert capsys.readouterr() == ("went on\n", "")


def ended(*arguments: str, **how: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of PROGRAM."""
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    line = [sys.executable, "-X", "dev", "-c", PROGRAM, *arguments]
    done = subprocess.run(line, cwd=ROOT, text=True, check=False, **{**pipes, **how})
    return done.returncode, done.stdout or "", done.stderr or ""


@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1, 2]], ids=str)
def test_a_closed_stream_is_an_empty_one(closed):
    expected = ("" if 1 in closed else "0\n", "" if 2 in closed else "error: bad\n")
    for code, arguments in ((0, ()), (1, ("fail",))):
        how = {"preexec_fn": lambda: [os.close(number) for number in closed]}
        assert ended(*arguments, **how) == (code, expected[0], expected[1] if code else "")


@pytest.fixture
def unread():
    """A pipe that nobody reads."""
    theirs, ours = os.pipe()
    os.close(theirs)
    yield ours
    os.close(ours)


def test_a_command_whose_output_nobody_reads_ends_quietly(unread):
    assert ended(stdout=unread) == (141, "", "")
    assert ended(stdout=unread, stderr=unread) == (141, "", "")


def test_an_error_that_nobody_reads_keeps_its_exit_code(unread):
    assert ended("fail", stderr=unread) == (1, "0\n", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_an_output_without_room_is_one_line():
    with open("/dev/full", "w") as full:
        assert ended(stdout=full) == (1, "", "error: No space left on device; correct that and run it again.\n")


@pytest.mark.parametrize("error", [KeyError("bug"), OSError("bug"), RuntimeError("bug"), ValueError("bug")], ids=repr)
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error), match="bug"):
        failing(error)()


def test_an_error_about_a_flood_of_letters_shows_its_begin_and_its_end():
    line = one_line(PipelineError(f"train.activation is {'a' * 100_000}; choose sigmoid."))
    assert line.startswith("train.activation is aaa")
    assert line.endswith("aaa; choose sigmoid.")
    assert len(line) < 5000
