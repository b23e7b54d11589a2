"""Of several ways to the same numbers the fastest that applies; the tests prove them equal.

A net is described as in its file: {"model": "two_layer", "knobs": {"hidden": 50, ...}, "loss": "cross_entropy", ...}.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.fast.cnn import batch_innermost
from pipeline.fast.structured import structured
from pipeline.fast.two_layer import batch_by_batch, image_by_image
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.gradients import Gradient, backprop, complex_step, loss_of, numerical
from pipeline.nn.losses import LOSSES
from pipeline.nn.model import Model
from pipeline.training.loop import Steps
from pipeline.training.optimizers import Optimizer, Slots

Net = Mapping[str, Any]


def choose_gradient(
    way: str, net: Net, ops: Arithmetic, model: Model, weights: Array, grads: Array, step: float
) -> Gradient:
    """What `way` means in params.yaml: backprop, numerical or complex_step. The last two need float64."""
    loss = LOSSES[net["loss"]]
    if way == "backprop":
        return backprop(ops, model, loss, weights, grads)
    if way == "complex_step":
        return complex_step(ops, model, loss, weights, grads)
    if has_structure(net):
        return structured(ops, model, weights, grads, step, net["knobs"]["activation"])
    return numerical(ops, model, loss, weights, grads, step)


def has_structure(net: Net) -> bool:
    """Whether `structured` knows a shortcut to the numerical gradient of this net."""
    return bool(net["model"] == "two_layer" and net["loss"] == "cross_entropy")


def seconds_a_step(
    way: str, net: Net, ops: Arithmetic, model: Model, weights: Array, x: Array, labels: Array, step: float
) -> float:
    """About how long the gradient of a batch x (N, ...) takes, from a trial of a part of it; nothing changes."""
    if way == "backprop" or (way == "numerical" and has_structure(net)):
        trial, trials = choose_gradient(way, net, ops, model, weights, np.empty_like(weights), step), 1
    else:
        point, losses = (weights, 2) if way == "numerical" else (weights.astype(complex), 1)
        trial, trials = loss_of(ops, model, LOSSES[net["loss"]], point), losses * len(weights)
    trial(x, labels)
    start = time.perf_counter()
    trial(x, labels)
    return (time.perf_counter() - start) * trials


def fast_steps(
    net: Net,
    ops: Arithmetic,
    model: Model,
    optimizer: Optimizer,
    batch_size: int,
    weights: Array,
    slots: Slots,
    images: Array,
    labels: Array,
) -> Steps | None:
    """Steps by backpropagation made for this net, equal to those of `one_by_one` but for rounding, or None."""
    loss = LOSSES[net["loss"]]
    if net["model"] == "cnn":
        pool = net["knobs"]["pool"]
        return batch_innermost(ops, model, pool, loss, optimizer, weights, slots, images, labels)
    if net["model"] == "two_layer" and optimizer.rate is not None:
        activation = net["knobs"]["activation"]
        if batch_size == 1 and net["loss"] == "cross_entropy" and net["arithmetic"] != "exact":
            return image_by_image(ops, model, activation, optimizer.rate, weights, images, labels)
        return batch_by_batch(ops, model, activation, loss, optimizer.rate, weights, images, labels)
    return None
