"""From the settings of a training run to a trained net: the one place where the parts of `nn` meet."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.signals import Stopping
from pipeline.fast.choices import choose_gradient, fast_steps, seconds_a_step
from pipeline.nn import architecture, build
from pipeline.nn.arithmetic import ARITHMETICS, inputs
from pipeline.nn.inference import accuracy
from pipeline.nn.initializers import initialize, initializer
from pipeline.nn.losses import LOSSES
from pipeline.nn.random import Stream
from pipeline.nn.weights import views
from pipeline.training.checkpoints import Checkpoints, State
from pipeline.training.loop import WEIGHTS_STREAM, History, Measured, Steps, fit, one_by_one, schedule
from pipeline.training.optimizers import Optimizer, Slots, optimizer

Labelled = tuple[Array, Array]  # images (N, ...) and class indices (N,)


class Trainer:
    """A net, its data and its settings (the keys of section `train` of params.yaml)."""

    def __init__(self, settings: Mapping[str, Any], train: Labelled, held_out: Labelled, classes: int) -> None:
        knobs = architecture(settings["model"], settings)
        input_shape = train[0].shape[1:]
        self.ops = ARITHMETICS[settings["arithmetic"]]
        self.settings, self.train, self.held_out = settings, (inputs(self.ops, train[0]), train[1]), held_out
        self.model = build(settings["model"], self.ops, input_shape, classes, **knobs)
        self.net: dict[str, Any] = {"knobs": knobs, "input_shape": list(input_shape), "classes": classes}
        self.net |= {key: settings[key] for key in ("model", "arithmetic", "loss")}
        start = initializer(settings["initializer"], settings["std"])
        stream = Stream(settings["seed"], WEIGHTS_STREAM)
        self.weights = initialize(self.model.shapes, start, stream).astype(self.ops.dtype)
        keys = ("batch_size", "length", "unit", "sampling", "seed")
        self.plan = schedule(len(train[0]), *(settings[key] for key in keys))

    def fit(self, watch: Callable[[History], None], checkpoints: Checkpoints, stopping: Stopping) -> History:
        """Train the weights in place, from the last checkpoint if there is one; `watch` sees the history grow.

        Raises PipelineError where training diverges, Stopped where `stopping` wants it, with a checkpoint written.
        """
        method = optimizer(*(self.settings[key] for key in ("optimizer", "learning_rate", "momentum")))
        slots = method.start(self.weights)
        history = self.restore(checkpoints.load(), slots)
        if not history.accuracies:
            history.accuracies.append(Measured(0.0, *self.measure()))
        watch(history)

        def after(history: History) -> None:
            watch(history)
            require_better_than_guessing(history, self.plan.per_epoch, self.guessing(), self.net["classes"])
            done, state = len(history.losses), functools.partial(self.state, slots, history)
            if stopping.wanted:
                checkpoints.save(done, state())
                stopping.stop(
                    f"Stopped after iteration {done} of {self.plan.iterations}; run it again to go on from there."
                )
            checkpoints.keep(done, state)

        return fit(self.plan, self.steps(method, slots), self.measure, after, history)

    def steps(self, method: Optimizer, slots: Slots) -> Steps:
        """How the steps are taken: by the fastest way that gives what the settings ask for."""
        way, step, size = (self.settings[key] for key in ("gradient", "step", "batch_size"))
        if way == "backprop":
            fast = fast_steps(self.net, self.ops, self.model, method, size, self.weights, slots, *self.train)
            if fast:
                return fast
        grads = np.empty_like(self.weights)
        gradient = choose_gradient(way, self.net, self.ops, self.model, self.weights, grads, step)
        return one_by_one(gradient, method, self.weights, grads, slots, *self.train)

    def seconds(self) -> float:
        """About how long the gradients of the whole run will take, from a trial of one or of a part of it."""
        images, labels = (part[: self.settings["batch_size"]] for part in self.train)
        way, step = self.settings["gradient"], self.settings["step"]
        x = images.astype(self.ops.dtype)
        return self.plan.iterations * seconds_a_step(way, self.net, self.ops, self.model, self.weights, x, labels, step)

    def guessing(self) -> float:
        """The loss of a net that finds all classes equally likely."""
        even = np.zeros((1, self.net["classes"]), self.ops.dtype)
        return LOSSES[self.settings["loss"]](self.ops, even, np.zeros(1, np.intp))[0]

    def measure(self) -> tuple[float, float]:
        """Accuracy on the training and on the held-out images."""
        named = views(self.weights, self.model.shapes)
        return accuracy(self.ops, self.model, named, *self.train), accuracy(self.ops, self.model, named, *self.held_out)

    def state(self, slots: Slots, history: History) -> State:
        """All that the rest of the run depends on: random streams need no more than the iteration."""
        remembered = {f"slot_{name}": array for name, array in slots.items()}
        curves = {"losses": np.array(history.losses), "accuracies": np.array(history.accuracies)}
        return {"weights": self.weights} | remembered | curves

    def restore(self, state: State | None, slots: Slots) -> History:
        """Take up a saved state; a fresh history where there is none."""
        if state is None:
            return History()
        self.weights[:] = state["weights"]
        for name, array in slots.items():
            array[:] = state[f"slot_{name}"]
        return History(state["losses"].tolist(), [Measured(*row) for row in state["accuracies"].tolist()])


def require_better_than_guessing(history: History, per_epoch: int, guessing: float, classes: int) -> None:
    """Raise PipelineError where an epoch's loss is far above, and its accuracy no better than, what guessing has."""
    last, losses = history.accuracies[-1], history.losses[-per_epoch:]
    mean = sum(losses) / len(losses)
    if len(history.losses) >= per_epoch and mean > 10 * guessing and last.train < 1.5 / classes:
        raise PipelineError(
            f"training diverged: after epoch {last.epoch:.1f} the loss is {mean:.1f}, where guessing has "
            f"{guessing:.1f}, and accuracy {last.train:.0%}; no model was written. "
            "Choose a smaller train.learning_rate."
        )
