"""Our own contenders: the steps that training takes, the plain ones they must equal, and the matrix products alone."""

import numpy as np
from short_run import PLAIN

from pipeline.base.words import made
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.gradients import backprop
from pipeline.nn.initializers import glorot, initialize
from pipeline.nn.losses import LOSSES
from pipeline.nn.net import build, views
from pipeline.nn.random import Stream
from pipeline.training.optimizers import sgd
from pipeline.training.trainer import Trainer

FLOAT32 = ARITHMETICS["float32"]
SHAPE = (1, 28, 28)


def first_weights(work):
    """The weights by name that every contender starts from."""
    shapes = build(work.layers, SHAPE, 10).shapes
    return views(initialize(shapes, glorot(), Stream(1)).astype(np.float32), shapes)


class Plain:
    """One function per layer, one batch after the other, on fractions: the fast ways are compared with this."""

    name = "ours, plain"

    def __init__(self, work, weights, images, labels):
        self.net = build(work.layers, SHAPE, 10, work.batch)
        self.flat = np.concatenate([array.ravel() for array in weights.values()])
        self.grads = np.empty_like(self.flat)
        self.gradient = backprop(FLOAT32, self.net, made(LOSSES, "cross_entropy"), self.flat, self.grads)
        self.images, self.labels, self.rate = images, labels, work.rate

    def run(self, batches):
        for batch in batches:
            self.gradient(self.images[batch], self.labels[batch])
            sgd().update(self.flat, self.grads, {}, self.rate)

    def weights(self):
        return views(self.flat, self.net.shapes)

    @staticmethod
    def can(work):
        return True


class Ours(Plain):
    """What `python -m pipeline.train` does."""

    name = "ours"
    arithmetic = "float32"

    def __init__(self, work, weights, images, labels):
        settings = {"layers": work.layers, "arithmetic": self.arithmetic, "learning_rate": work.rate}
        settings |= {"batch_size": work.batch, "sampling": "replacement"}
        data = images.reshape(-1, 784), labels
        self.trainer = Trainer(PLAIN | settings, SHAPE, data, (data[0][:100], data[1][:100]), 10)
        flat = np.concatenate([array.ravel() for array in weights.values()])
        self.trainer.weights[:] = self.trainer.turned(flat)
        self.trainer.begin(None)
        self.steps = self.trainer.steps()

    def run(self, batches):
        return self.steps(batches, 0)

    def weights(self):
        return views(self.trainer.result, self.trainer.shapes)


class Float64(Ours):
    """The same with twice the digits; not the CNN: other rounding errors change which pixel its pooling takes."""

    name = "ours, float64"
    arithmetic = "float64"

    @staticmethod
    def can(work):
        return work.model == "two_layer"


class Exact(Float64):
    """The same with the same bits on every machine, which is the default."""

    name = "ours, exact"
    arithmetic = "exact"


class Products:
    """The matrix products of a step of affine layers, again and again, into arrays that exist already."""

    name = "its matrix products alone"

    def __init__(self, work, weights, images, labels):
        rng = np.random.default_rng(0)

        def array(*shape):
            return rng.random(shape, np.float32)

        matrices = [weight for weight in weights.values() if weight.ndim == 2]
        self.products = []
        for i, (inputs, units) in enumerate(matrix.shape for matrix in matrices):
            x, W, dy = array(work.batch, inputs), array(inputs, units), array(work.batch, units)
            self.products += [(x, W, array(work.batch, units)), (x.T, dy, array(inputs, units))]
            self.products += [(dy, W.T, array(work.batch, inputs))] if i else []

    def run(self, batches):
        for _ in batches:
            for a, b, out in self.products:
                np.matmul(a, b, out=out)

    weights = None

    @staticmethod
    def can(work):
        return work.model == "two_layer"
