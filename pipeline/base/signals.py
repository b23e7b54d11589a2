"""When a long stage should stop: a signal, or the death of the `dvc repro` that started it."""

import os
import signal
from types import FrameType, TracebackType

from pipeline.base.errors import Stopped

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """While entered, SIGINT and SIGTERM are noted rather than obeyed; `check` says so where it is safe to stop.

    A stage that DVC started also stops when its parent is gone: DVC killed would leave it running beside the next.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.parent = os.getppid() if "DVC_STAGE" in os.environ else None

    def __enter__(self) -> "Stopping":
        self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = number

    @property
    def wanted(self) -> bool:
        """Whether it is time to stop."""
        if self.parent not in (None, os.getppid()):
            self.received = signal.SIGTERM
        return self.received is not None

    def stop(self, message: str) -> None:
        """Raise Stopped, for the exit code that tells a shell which signal it was."""
        raise Stopped(message, self.received or signal.SIGTERM)
