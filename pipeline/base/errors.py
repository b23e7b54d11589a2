"""The exception for an error that a user can correct, and the only place that prints it."""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

from pipeline.base.signals import UNREAD, Stopped, Stopping

HALF = 2000  # letters shown of the start and of the end of an error, which may quote a whole file


class PipelineError(Exception):
    """An error that the user can correct; its one line says what was expected and found, where, and what to do."""


def library(module: str, extra: str = "export") -> Any:
    """A module that only some commands need. Raises PipelineError, with the way to install it, where it is missing."""
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        advice = f'pip install "reproducible-mnist-pipeline[{extra}]", or pip install {package}'
        raise PipelineError(f"{package} is not installed: {advice}.") from None


def printable(text: str) -> str:
    r"""`text` with escapes such as \x1b and \udce9 for control codes and for bytes that are not UTF-8."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def one_line(error: object) -> str:
    """The message in one printable line of limited length, whatever a damaged file put into it."""
    line = printable(" ".join(str(error).split()))
    return line if len(line) <= 2 * HALF else f"{line[:HALF]} ... {line[-HALF:]}"


def open_streams() -> None:
    """Replace each closed standard stream by an empty one: otherwise the next file opened gets its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, closefd=False))


def tell(line: str) -> None:
    """Print a line on stderr, if anybody still reads it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def leave(line: str) -> NoReturn:
    """Print a line on stderr, if anybody still reads it, and exit with 1.

    Python can print the line of a SystemExit by itself, but then exits with 120 if nobody reads it.
    """
    tell(line)
    left = SystemExit(line)
    left.code = 1
    raise left


def release_streams() -> None:
    """Discard what stdout and stderr can no longer write: Python would fail on it again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command report an error that a user can correct in one line on stderr, with exit code 1.

    A command that a signal stops says so, and exits with 128 plus the number of the signal. If nobody reads its stdout,
    it ends without a word.
    """

    @functools.wraps(command)
    def reporting(*args: Any, **kwargs: Any) -> None:
        open_streams()
        if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack letters of a name
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            with Stopping(at_once=True):
                command(*args, **kwargs)
                sys.stdout.flush()
        except PipelineError as error:
            leave(f"error: {one_line(error)}")
        except Stopped as stopped:
            tell(str(stopped))
            sys.exit(stopped.exit_code)
        except BrokenPipeError:
            sys.exit(UNREAD)
        except OSError as error:
            if error.errno is None and not isinstance(error, io.UnsupportedOperation):
                raise  # not from the operating system: a bug, so keep the traceback
            reason = os.strerror(error.errno) if error.errno else error
            where = f" ({one_line(error.filename)})" if error.filename else ""
            leave(f"error: {reason}{where}; correct that and run it again.")
        except RuntimeError as error:
            if "start new thread" not in str(error):
                raise
            leave(f"error: {error}; end other processes or raise the limit (ulimit -u), and run it again.")
        except MemoryError as error:
            asked = f" ({error})" if str(error) else ""
            leave(f"error: out of memory{asked}; ask for less, or free some memory, and run it again.")
        finally:
            release_streams()

    return reporting
