"""From the settings of a training run to a trained net: the one place where the parts of `nn` meet."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.nn import architecture, build
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.gradients import backprop
from pipeline.nn.inference import accuracy
from pipeline.nn.initializers import initialize, initializer
from pipeline.nn.losses import LOSSES
from pipeline.nn.optimizers import optimizer
from pipeline.nn.random import Stream
from pipeline.nn.training import WEIGHTS_STREAM, History, fit, one_by_one, schedule
from pipeline.nn.weights import views
from pipeline.npz import Array

Labelled = tuple[Array, Array]  # images (N, ...) and class indices (N,)


class Trainer:
    """A net, its data and its settings (the keys of section `train` of params.yaml)."""

    def __init__(self, settings: Mapping[str, Any], train: Labelled, held_out: Labelled, classes: int) -> None:
        knobs = architecture(settings["model"], settings)
        input_shape = train[0].shape[1:]
        self.settings, self.train, self.held_out = settings, train, held_out
        self.ops = ARITHMETICS[settings["arithmetic"]]
        self.model = build(settings["model"], self.ops, input_shape, classes, **knobs)
        self.net = {"knobs": knobs, "input_shape": list(input_shape), "classes": classes}
        self.net |= {key: settings[key] for key in ("model", "arithmetic", "loss")}
        start = initializer(settings["initializer"], settings["std"])
        stream = Stream(settings["seed"], WEIGHTS_STREAM)
        self.weights = initialize(self.model.shapes, start, stream).astype(self.ops.dtype)
        keys = ("batch_size", "length", "unit", "sampling", "seed")
        self.plan = schedule(len(train[0]), *(settings[key] for key in keys))

    def fit(self, watch: Callable[[History], None]) -> History:
        """Train the weights in place; `watch` sees the history grow."""
        grads = np.empty_like(self.weights)
        gradient = backprop(self.ops, self.model, LOSSES[self.settings["loss"]], self.weights, grads)
        method = optimizer(*(self.settings[key] for key in ("optimizer", "learning_rate", "momentum")))
        slots = method.start(self.weights)
        steps = one_by_one(gradient, method, self.weights, grads, slots, *self.train)
        return fit(self.plan, steps, self.measure, watch)

    def measure(self) -> tuple[float, float]:
        """Accuracy on the training and on the held-out images."""
        named = views(self.weights, self.model.shapes)
        return accuracy(self.ops, self.model, named, *self.train), accuracy(self.ops, self.model, named, *self.held_out)
