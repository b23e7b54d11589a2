"""How training goes: a live bar on a terminal, and some lines on stdout for the log."""

import sys
import time

from tqdm import tqdm

from pipeline.base.signals import Stopping
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import History, Plan

MOST_LINES = 20


class Progress(tqdm):  # type: ignore[type-arg]  # tqdm is generic in its stubs only
    """A context manager to call with the history as it grows; its bar is shown only if stderr is a terminal.

    If stdout cannot be written, `stopping` gets to know this: training then ends with a checkpoint.
    """

    def __init__(self, plan: Plan, held_out: str, checkpoints: Checkpoints, stopping: Stopping) -> None:
        super().__init__(total=plan.iterations, unit="it", dynamic_ncols=True, disable=None, leave=False)
        self.plan, self.held_out, self.checkpoints, self.stopping = plan, held_out, checkpoints, stopping
        self.began: float | None = None
        self.set_postfix_str("measuring the untrained net")  # this takes long, before the first step

    def __call__(self, history: History) -> None:
        """Show the progress; print a line after every epoch, or only after some if there are many."""
        done, last = len(history.losses), history.accuracies[-1]
        if self.began is None:
            return self.begin(done)
        standing = f"train {last.train:.2%}  {self.held_out} {last.held_out:.2%}"
        self.update(done - self.n)
        self.set_postfix_str(f"loss {history.losses[-1]:.3f}  {standing}")
        stride = -(-self.plan.iterations // (MOST_LINES * self.plan.per_epoch)) * self.plan.per_epoch
        if done % stride == 0 or done == self.plan.iterations:
            recent = history.losses[-self.plan.per_epoch :]
            left = self.spent / (done - self.initial) * (self.plan.iterations - done)
            loss = sum(recent) / len(recent)
            line = f"epoch {last.epoch:5.1f}  iteration {done:6d}  loss {loss:.4f}  {standing}"
            self.say(f"{line}  {self.spent:.0f} s, {left:.0f} s left")

    def say(self, line: str) -> None:
        """Print a line on stdout at once, for `tee` too."""
        try:
            self.write(line, file=sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            self.stopping.lose_stdout(error)

    def begin(self, done: int) -> None:
        """Start the clock; `done` iterations are from a checkpoint."""
        self.began, self.initial, self.n = time.monotonic(), done, done
        if done:
            self.say(f"going on after iteration {done} of {self.plan.iterations}")
        elif reason := self.checkpoints.why_anew():
            self.say(f"starting anew: {reason}")

    @property
    def spent(self) -> float:
        """Seconds since the first iteration of this process."""
        return time.monotonic() - self.began if self.began is not None else 0.0
