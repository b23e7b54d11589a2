"""The tutorials' net: affine - activation - affine."""

import math

from pipeline.base.arrays import Array
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import affine, affine_backward, affine_grads
from pipeline.nn.model import Model, Weights


def two_layer(
    ops: Arithmetic, input_shape: tuple[int, ...], classes: int, hidden: int = 50, activation: str = "sigmoid"
) -> Model:
    """x (N, D) or (N, C, Y, X) -> logits (N, K) through H hidden units."""
    inputs = math.prod(input_shape)
    act = ACTIVATIONS[activation]
    shapes = {"W1": (inputs, hidden), "b1": (hidden,), "W2": (hidden, classes), "b2": (classes,)}

    def forward(w: Weights, x: Array) -> tuple[Array, tuple[Array, Array]]:
        x = x.reshape(len(x), inputs)
        z = act.forward(ops, affine(ops, x, w["W1"], w["b1"]))
        return affine(ops, z, w["W2"], w["b2"]), (x, z)

    def backward(w: Weights, cache: tuple[Array, Array], dy: Array, g: Weights) -> None:
        x, z = cache
        affine_grads(ops, dy, z, g["W2"], g["b2"])
        dz = act.backward(ops, affine_backward(ops, dy, w["W2"]), z)
        affine_grads(ops, dz, x, g["W1"], g["b1"])

    return Model(shapes, forward, backward)
