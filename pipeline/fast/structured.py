"""Numerical differentiation of the two-layer net under cross-entropy, made fast by its structure.

Moving W1[i, j] by h moves one number an image: pre-activation (n, j), by s = h x[n, i]. With d for what that does
to hidden output z[n, j], the logits of image n move by d W2[j], and with its probabilities p[n] from before,

    loss after - loss before  =  log(1 + sum over k of p[n, k] (exp(d W2[j, k]) - 1)) - d W2[j, label]

without the rounding of two whole losses. A central difference is the mean over images of that change for +s less
that for -s. W2[j, k] moves logit (n, k) by s = h z[n, j] in the same way, and a bias is the weight of an input 1.
Shapes: N images, D inputs, H hidden units, K classes; M outputs of a layer, I inputs; everything is float64.
"""

from collections.abc import Callable

import numpy as np

from pipeline.base.arrays import Array
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.gradients import Gradient
from pipeline.nn.layers import affine
from pipeline.nn.losses import softmax, softmax_cross_entropy
from pipeline.nn.model import Model
from pipeline.nn.weights import views

Change = Callable[[Array, slice], Array]  # of the losses of some images, when a layer's outputs each move by s

ALL = slice(None)
FAR = 50.0  # the second probe of an odd function, in steps
NEAR = 5e-4  # two powers describe what an output does when it moves no further than this


def structured(ops: Arithmetic, model: Model, weights: Array, grads: Array, step: float, activation: str) -> Gradient:
    """Central differences like those of `numerical`, for the model two_layer under softmax_cross_entropy."""
    w, g = views(weights, model.shapes), views(grads, model.shapes)
    act = ACTIVATIONS[activation]

    def gradient(x: Array, labels: Array) -> float:
        x = x.reshape(len(x), -1)
        a = affine(ops, x, w["W1"], w["b1"])
        z = act.forward(ops, a.copy())
        logits = affine(ops, z, w["W2"], w["b2"])
        p, own = softmax(ops, logits.copy()), np.eye(logits.shape[1])[labels]

        def hidden(s: Array, images: slice) -> Array:
            d = act.forward(ops, a[images] + s) - z[images]
            total = np.zeros_like(d)
            for k, weight in enumerate(w["W2"].T):
                total += p[images, k, None] * np.expm1(d * weight)
            change: Array = np.log1p(total) - d * w["W2"].T[labels[images]]
            return change

        def output(s: Array, images: slice) -> Array:
            change: Array = np.log1p(p[images] * np.expm1(s)) - own[images] * s
            return change

        smooth = activation != "relu" and step * max(1.0, np.abs(x).max()) <= NEAR  # a bias has the input 1
        differences = odd if smooth else every
        one = np.ones((len(x), 1))
        for name, change, inputs in ("W1", hidden, x), ("b1", hidden, one), ("W2", output, z), ("b2", output, one):
            differences(change, inputs, step, g[name].reshape(inputs.shape[1], -1))
        np.divide(grads, 2 * step * len(x), out=grads)
        return softmax_cross_entropy(ops, logits, labels)[0]

    return gradient


def every(change: Change, inputs: Array, step: float, out: Array) -> None:
    """Fill out (I, M) with the sum over images of change(step x) - change(-step x) for every input x (N, I).

    Each of the 2 I M losses is evaluated; an image where the input is 0 adds nothing to a difference.
    """
    out[...] = 0
    for n, row in enumerate(inputs):
        image, lit = slice(n, n + 1), np.flatnonzero(row)
        s = step * row[lit, None]
        out[lit] += change(s, image) - change(-s, image)


def odd(change: Change, inputs: Array, step: float, out: Array) -> None:
    """The same by what change(s) - change(-s) is: an odd function, c1 s + c3 s s s until rounding hides the rest.

    Two probes, at a step and far from it, give both coefficients, and two matrix products the sums over images.
    """
    near, far = (change(s, ALL) - change(-s, ALL) for s in (np.array(step), np.array(FAR * step)))
    cubic = (far / FAR - near) / (FAR * FAR - 1)
    np.matmul(inputs.T, near - cubic, out=out)
    out += (inputs * inputs * inputs).T @ cubic
