"""Networks on arrays: MODELS says what a name in params.yaml means.

arithmetic  - what is computed with
layers, activations, losses - function pairs: a formula and its derivative
linear, two_layer, cnn - the models, each a record of shapes, forward and backward
weights, initializers - one flat vector and its named views
gradients, check - the derivative of the loss by that vector, and the proof that it is right
optimizers, training - from gradients to a trained net
structured, fast_two_layer, fast_pixels, fast_cnn - the same numbers sooner, where a net's structure allows
choices     - which of those ways is taken
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.nn.arithmetic import Arithmetic
from pipeline.nn.cnn import cnn
from pipeline.nn.linear import linear
from pipeline.nn.model import Model
from pipeline.nn.two_layer import two_layer

MODELS: dict[str, Callable[..., Model]] = {"linear": linear, "two_layer": two_layer, "cnn": cnn}


def architecture(name: str, knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `knobs` that the model `name` has, by the keywords of its builder."""
    return {key: knobs[key] for key in inspect.signature(MODELS[name]).parameters if key in knobs}


def build(name: str, ops: Arithmetic, input_shape: tuple[int, ...], classes: int, **knobs: Any) -> Model:
    """The model `name` for inputs of `input_shape` (without N) and that many classes."""
    return MODELS[name](ops, input_shape, classes, **knobs)
