"""The time of numerical differentiation: our fast way, an evaluation of every loss, and the code of the tutorials."""

import numpy as np
import tutorial
from works import timed

from pipeline.fast import differences
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.check import difference
from pipeline.nn.gradients import backprop
from pipeline.nn.initializers import initialize, normal
from pipeline.nn.losses import cross_entropy
from pipeline.nn.net import build, views
from pipeline.nn.random import Stream

TITLE = "the whole numerical gradient of 784-50-10, 100 images, float64"
STEP = 1e-4
SHOTS, SAMPLE = 9, 100  # weights of each array that stand for the tutorials' 39,760


def numerical_gradients(images, labels):
    """(way, median, spread) in microseconds per gradient."""
    ops, x = ARITHMETICS["float64"], images.astype(np.float64)
    net = build(["affine 50", "sigmoid", "affine"], (1, 28, 28), 10, len(images))
    weights = initialize(net.shapes, normal(0.01), Stream(1))
    grads, exact = np.empty_like(weights), np.empty_like(weights)
    backprop(ops, net, cross_entropy(0.0), weights, exact)(x, labels)
    ours = differences.differences(ops, net, weights, grads, STEP, 0.0)
    theirs = tutorial.TwoLayerNet(views(weights, net.shapes))

    def every():
        differences.NEAR, kept = 0.0, differences.NEAR
        ours(x, labels)
        differences.NEAR = kept

    def sample():
        return theirs.numerical_gradient(x, np.eye(10)[labels], SAMPLE)

    sampled = sum(min(SAMPLE, array.size) for array in theirs.params.values())
    ways = [
        ("ours, odd expansion", lambda: ours(x, labels), 1),
        ("ours, every perturbed loss", every, 1),
        (f"tutorial, from {sampled} weights", sample, sampled / weights.size),
    ]
    for name, way, _ in ways[:2]:
        way()
        if difference(grads, exact) > 1e-7:
            raise SystemExit(f"{name}: not the gradient")
    check = views(grads, net.shapes)
    for name, found in sample().items():
        if not np.allclose(found.flat[:SAMPLE], check[name].flat[:SAMPLE], atol=1e-6):  # its log(y + 1e-7) is not ours
            raise SystemExit(f"the tutorial's gradient of {name} is another")
    yield from timed(ways, SHOTS)
