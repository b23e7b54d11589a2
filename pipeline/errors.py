"""The one exception a user is meant to see, and the one place that prints it."""

import functools
import io
import os
import sys
from collections.abc import Callable
from typing import Any


class PipelineError(Exception):
    """Something the user can mend: the message is one line of expected, found, where, what to do."""


class Stopped(Exception):
    """Told to stop by a signal, and stopped where nothing was lost."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


def one_line(error: Exception) -> str:
    """The message, whatever a damaged file put into it: nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(error).split()))


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command print what a user can mend as one line on stderr and exit with code 1."""

    @functools.wraps(command)
    def reporting(*args: Any, **kwargs: Any) -> None:
        try:
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
