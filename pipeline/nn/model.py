"""A model is a record of its weights' shapes and two pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.base.arrays import Array

Weights = dict[str, Array]  # named views into one flat vector


class Model(NamedTuple):
    """What a net is, before it has weights.

    shapes: name -> shape of each weight array, in the order of the flat vector.
    forward: (weights, x (N, ...)) -> logits (N, K) and whatever backward will need.
    backward: (weights, that, dlogits (N, K), grads) -> None; fills grads.
    """

    shapes: dict[str, tuple[int, ...]]
    forward: Callable[[Weights, Array], tuple[Array, Any]]
    backward: Callable[[Weights, Any, Array, Weights], None]
