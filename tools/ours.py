"""Our own contenders: the steps that training takes, the plain ones they must equal, and the matrix products alone."""

import numpy as np

from pipeline.fast.choices import fast_steps
from pipeline.nn import architecture, build
from pipeline.nn.arithmetic import ARITHMETICS, inputs
from pipeline.nn.gradients import backprop
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.losses import LOSSES
from pipeline.nn.random import Stream
from pipeline.nn.weights import views
from pipeline.training.loop import one_by_one
from pipeline.training.optimizers import sgd

FLOAT32 = ARITHMETICS["float32"]
LOSS = "cross_entropy"


def knobs(work):
    return architecture(work.model, work._asdict() | {"filters": 3, "kernel": 3, "pool": 2})


def first_weights(work, images):
    """The weights by name that every contender starts from."""
    model = build(work.model, FLOAT32, images.shape[1:], 10, **knobs(work))
    return views(initialize(model.shapes, glorot, Stream(1)).astype(np.float32), model.shapes)


class Plain:
    """One function a layer, one batch after the other: what the fast ways are measured against."""

    name = "ours, plain"

    def __init__(self, work, weights, images, labels, ops=FLOAT32):
        self.model = build(work.model, ops, images.shape[1:], 10, **knobs(work))
        self.flat = np.concatenate([array.ravel() for array in weights.values()])
        self.start(work, ops, images, labels)

    def start(self, work, ops, images, labels):
        grads = np.empty_like(self.flat)
        gradient = backprop(ops, self.model, LOSSES[LOSS], self.flat, grads)
        self.steps = one_by_one(gradient, sgd(work.rate), self.flat, grads, {}, images, labels)

    def run(self, batches):
        return self.steps.run(batches)

    def weights(self):
        return views(self.flat, self.model.shapes)

    @staticmethod
    def can(work):
        return True


class Ours(Plain):
    """What `python -m pipeline.train` does."""

    name = "ours"
    arithmetic = "float32"

    def __init__(self, work, weights, images, labels):
        ops = ARITHMETICS[self.arithmetic]
        theirs = {name: array.astype(ops.dtype) for name, array in weights.items()}
        super().__init__(work, theirs, inputs(ops, images), labels, ops)

    def start(self, work, ops, images, labels):
        net = {"model": work.model, "knobs": knobs(work), "loss": LOSS, "arithmetic": self.arithmetic}
        self.steps = fast_steps(net, ops, self.model, sgd(work.rate), work.batch, self.flat, {}, images, labels)


class Float64(Ours):
    """The same with twice the digits; not the CNN, whose pooling bends otherwise on other rounding errors."""

    name = "ours, float64"
    arithmetic = "float64"

    @staticmethod
    def can(work):
        return work.model == "two_layer" and work.batch > 1


class Exact(Float64):
    """The same with the same bits on every machine, which is the default."""

    name = "ours, exact"
    arithmetic = "exact"


class Products:
    """Every matrix product of a plain step, again and again, into arrays that are there already; nothing else."""

    name = "its matrix products alone"

    def __init__(self, work, weights, images, labels):
        self.products = []

        def noting(a, b, out=None):
            result = np.matmul(a, b)
            self.products.append((a.copy(order="K"), b.copy(order="K"), np.empty_like(result)))
            return result if out is None else np.copyto(out, result)

        Plain(work, weights, images, labels, FLOAT32._replace(matmul=noting)).run(np.arange(work.batch)[None])

    def run(self, batches):
        for _ in batches:
            for a, b, out in self.products:
                np.matmul(a, b, out=out)

    weights = None

    @staticmethod
    def can(work):
        return True
