"""A linear classifier: softmax regression under cross-entropy, a multi-class support vector machine under hinge."""

import math

from pipeline.base.arrays import Array
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import affine, affine_grads
from pipeline.nn.model import Model, Weights


def linear(ops: Arithmetic, input_shape: tuple[int, ...], classes: int) -> Model:
    """x (N, D) or (N, C, Y, X) -> logits (N, K), one template a class."""
    inputs = math.prod(input_shape)

    def forward(w: Weights, x: Array) -> tuple[Array, Array]:
        x = x.reshape(len(x), inputs)
        return affine(ops, x, w["W1"], w["b1"]), x

    def backward(w: Weights, x: Array, dy: Array, g: Weights) -> None:
        affine_grads(ops, dy, x, g["W1"], g["b1"])

    return Model({"W1": (inputs, classes), "b1": (classes,)}, forward, backward)
