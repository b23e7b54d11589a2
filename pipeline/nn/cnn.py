"""The convolutional net: conv - pool - relu - affine - relu - affine.

Pooling comes before relu: the same numbers, for p p times less work.
"""

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.layers import (
    affine,
    affine_backward,
    affine_grads,
    conv2d,
    conv2d_grads,
    max_pool,
    max_pool_backward,
)
from pipeline.nn.model import Model, Weights


def cnn(
    ops: Arithmetic,
    input_shape: tuple[int, ...],
    classes: int,
    filters: int = 3,
    kernel: int = 3,
    pool: int = 2,
    hidden: int = 128,
) -> Model:
    """x (N, C, Y, X) -> logits (N, K) through F filters of k by k pixels, cells of p by p and H hidden units.

    Raises PipelineError where the input is no image or is smaller than a filter and a cell need.
    """
    side = pooled_shape(input_shape, kernel, pool)
    relu = ACTIVATIONS["relu"]
    shapes = {
        "W1": (filters, input_shape[0], kernel, kernel),
        "b1": (filters,),
        "W2": (filters * side[0] * side[1], hidden),
        "b2": (hidden,),
        "W3": (hidden, classes),
        "b3": (classes,),
    }

    def forward(w: Weights, x: Array) -> tuple[Array, tuple[Array, ...]]:
        c, columns = conv2d(ops, x, w["W1"], w["b1"])
        p = max_pool(c, pool)
        r = relu.forward(ops, p.swapaxes(0, 1).copy().reshape(len(x), -1))  # backward needs p as it is
        z = relu.forward(ops, affine(ops, r, w["W2"], w["b2"]))
        return affine(ops, z, w["W3"], w["b3"]), (columns, c, p, r, z)

    def backward(w: Weights, cache: tuple[Array, ...], dy: Array, g: Weights) -> None:
        columns, c, p, r, z = cache
        affine_grads(ops, dy, z, g["W3"], g["b3"])
        dz = relu.backward(ops, affine_backward(ops, dy, w["W3"]), z)
        affine_grads(ops, dz, r, g["W2"], g["b2"])
        dr = relu.backward(ops, affine_backward(ops, dz, w["W2"]), r)
        dp = dr.reshape(len(dr), filters, *side).transpose(1, 0, 2, 3)
        conv2d_grads(ops, max_pool_backward(dp, c, p, pool), columns, g["W1"], g["b1"])

    return Model(shapes, forward, backward)


def pooled_shape(input_shape: tuple[int, ...], kernel: int, pool: int) -> tuple[int, int]:
    """Rows and columns of what the pooling hands on; PipelineError where there would be none."""
    if len(input_shape) != 3:
        raise PipelineError(
            f"the model cnn needs images of shape C x Y x X and the data set holds {input_shape}: "
            "set convert.layout to image and run python -m pipeline.convert."
        )
    _, rows, columns = input_shape
    if min(rows, columns) < kernel + pool - 1:
        raise PipelineError(
            f"images of {rows} x {columns} pixels are too small for the model cnn with train.kernel {kernel} "
            f"and train.pool {pool}: choose a smaller kernel or pool."
        )
    return (rows - kernel + 1) // pool, (columns - kernel + 1) // pool
