"""The one exception a user is meant to see, and the one place that prints it."""

import functools
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HALF = 2000  # letters of an error's begin and end that are shown: what was found may be a whole file


class PipelineError(Exception):
    """Something the user can mend: the message is one line of expected, found, where, what to do."""


class Stopped(BaseException):
    """Told to stop by a signal, and stopped where nothing was lost; no Exception, lest a try take it for its own."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def printable(text: str) -> str:
    """`text` without what a terminal would obey, such as escapes and newlines."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def one_line(error: Exception) -> str:
    """The message, whatever a damaged file put into it: nothing that a terminal would obey, and no flood."""
    line = printable(" ".join(str(error).split()))
    return line if len(line) <= 2 * HALF else f"{line[:HALF]} ... {line[-HALF:]}"


def stop(number: int, frame: FrameType | None) -> None:
    """What a signal to stop does wherever the command stands: no file is half-written under its final name."""
    raise Stopped("Stopped; nothing was lost, run it again.", number)


@contextmanager
def heeding_signals() -> Iterator[None]:
    """While entered, SIGINT and SIGTERM raise Stopped, so that what is to be cleaned up is; none that are ignored."""
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command print what a user can mend as one line on stderr and exit with code 1.

    Stopped by a signal, it says so and exits with 128 and the signal's number, as a shell has it.
    """

    @functools.wraps(command)
    def reporting(*args: Any, **kwargs: Any) -> None:
        try:
            with heeding_signals():
                command(*args, **kwargs)
        except PipelineError as error:
            sys.exit(f"error: {one_line(error)}")
        except Stopped as stopped:
            print(stopped, file=sys.stderr)
            sys.exit(128 + stopped.signal_number)
        except OSError as error:
            if error.errno is None and not isinstance(error, io.UnsupportedOperation):
                raise  # not from the operating system: a bug, so keep the traceback
            reason = os.strerror(error.errno) if error.errno else error
            where = f" ({error.filename})" if error.filename else ""
            sys.exit(f"error: {reason}{where}; nothing was lost, mend that and run it again.")
        except MemoryError as error:
            asked = f" ({error})" if str(error) else ""
            sys.exit(f"error: out of memory{asked}; nothing was lost, ask for less or find more and run it again.")

    return reporting
