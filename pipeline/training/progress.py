"""Training as it goes: a live bar where a person watches, a line now and then for the log."""

import sys
import time

from tqdm import tqdm

from pipeline.training.loop import History, Plan

MOST_LINES = 20


class Progress(tqdm):  # type: ignore[type-arg]  # tqdm is generic in its stubs only
    """A context manager to call with the history as it grows; its bar is silent unless stderr is a terminal."""

    def __init__(self, plan: Plan, held_out: str) -> None:
        super().__init__(total=plan.iterations, unit="it", dynamic_ncols=True, disable=None, leave=False)
        self.plan, self.held_out = plan, held_out
        self.began: float | None = None

    def __call__(self, history: History) -> None:
        """Show where training stands; say so in a line of its own after every epoch, or where they are many, some."""
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
            self.write(f"{line}  {self.spent:.0f} s, {left:.0f} s left", file=sys.stdout)

    def begin(self, done: int) -> None:
        """The clock starts after so many iterations, which a checkpoint may have saved."""
        self.began, self.initial, self.n = time.monotonic(), done, done
        if done:
            self.write(f"going on after iteration {done} of {self.plan.iterations}", file=sys.stdout)

    @property
    def spent(self) -> float:
        """Seconds since the first iteration of this process."""
        return time.monotonic() - self.began if self.began is not None else 0.0
