"""What stops a command: a signal, the death of the `dvc repro` that started it, or a stdout that nobody reads."""

import os
import signal
from types import FrameType

SIGNALLED = 128  # plus the signal's number is the exit code, as in a shell
UNREAD = SIGNALLED + 13  # SIGPIPE, which Windows does not have
# a closed terminal, Ctrl-C, Ctrl-\, kill, used up processor time, a batch system's warning, a closed console on Windows
NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGBREAK")
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


class Stopped(BaseException):
    """The command was told to stop; a BaseException, so that `except Exception` cannot swallow it."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Stopping:
    """While entered, a signal makes `wanted` true, which code can check; with `at_once`, a signal raises Stopped.

    Ignored signals stay ignored, as under nohup. A stage that DVC started also stops when its parent is gone: otherwise
    it would still run when DVC starts it again.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once, self.reason = at_once, ""
        self.exit_code: int | None = None
        self.parent = os.getppid() if "DVC_STAGE" in os.environ else None

    def __enter__(self) -> "Stopping":
        heeded = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        self.before = {number: signal.signal(number, self._heed) for number in heeded}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        self.exit_code = SIGNALLED + number
        if self.at_once:
            self.stop("Stopped; run it again.")

    def lose_stdout(self, error: OSError) -> None:
        """Note that stdout cannot be written: its reader is gone, which is not an error, or its disk is full."""
        unread = isinstance(error, BrokenPipeError)
        self.exit_code = self.exit_code or (UNREAD if unread else 1)
        self.reason = "" if unread else f"error: stdout cannot be written ({error.strerror}). "

    @property
    def wanted(self) -> bool:
        """Whether it is time to stop."""
        if self.parent not in (None, os.getppid()):
            self.exit_code = SIGNALLED + signal.SIGTERM
        return self.exit_code is not None

    def stop(self, message: str) -> None:
        """Raise Stopped, with the exit code that tells a shell which signal came."""
        raise Stopped(self.reason + message, self.exit_code or SIGNALLED + signal.SIGTERM)
