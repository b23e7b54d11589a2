"""What goes wrong is told in one line on stderr, and nothing in it can do anything to the terminal."""

import errno
import io

import pytest

from pipeline.base.errors import PipelineError, Stopped, one_line, reports_errors

TOLD = {
    PipelineError("a\nb\x1b[2Jc\u202ed\udce9é"): r"error: a b\x1b[2Jc\u202ed\udce9é",
    OSError(errno.EACCES, "", "a\x1b[2J"): r"error: Permission denied (a\x1b[2J); nothing was lost",
    OSError(
        errno.ENOSPC, "", "x.npz"
    ): "error: No space left on device (x.npz); nothing was lost, mend that and run it",
    OSError(errno.EIO, ""): "error: Input/output error; nothing was lost, mend that and run it again.",
    io.UnsupportedOperation("not seekable"): "error: not seekable; nothing was lost",
    MemoryError("Unable to allocate 9 GiB"): "error: out of memory (Unable to allocate 9 GiB); nothing was lost",
    MemoryError(): "error: out of memory; nothing was lost",
}


def failing(error: Exception):
    @reports_errors
    def command():
        raise error

    return command


@pytest.mark.parametrize(("error", "line"), TOLD.items(), ids=lambda part: type(part).__name__)
def test_T9_T10_a_fault_is_one_line_and_exit_code_1(error, line):
    with pytest.raises(SystemExit) as left:
        failing(error)()
    assert left.value.code.startswith(line)  # what Python prints on stderr, to exit with 1
    assert left.value.code.isprintable()


def test_T2_T3_a_signal_has_its_own_exit_code(capsys):
    with pytest.raises(SystemExit) as left:
        failing(Stopped("Stopped.", 15))()
    assert (left.value.code, capsys.readouterr().err) == (143, "Stopped.\n")


@pytest.mark.parametrize("error", [KeyError("bug"), OSError("bug"), ValueError("bug")], ids=repr)
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error), match="bug"):
        failing(error)()


def test_an_error_about_a_flood_of_letters_shows_its_begin_and_its_end():
    line = one_line(PipelineError(f"train.activation is {'a' * 100_000}; choose sigmoid."))
    assert line.startswith("train.activation is aaa")
    assert line.endswith("aaa; choose sigmoid.")
    assert len(line) < 5000
