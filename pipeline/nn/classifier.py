"""A trained net, as read from its file: everything needed to use it is in there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.nn import build
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic
from pipeline.nn.inference import logits
from pipeline.nn.losses import LOSSES, softmax
from pipeline.nn.model import Model
from pipeline.nn.weights import REMAKE, load_weights


class Classifier(NamedTuple):
    """A model with its weights, and what its file says about it."""

    ops: Arithmetic
    model: Model
    weights: Mapping[str, Array]
    about: Mapping[str, Any]

    def logits(self, images: Array, batch: int) -> Array:
        """(N, K) of images (N, ...), so many at a time. Raises PipelineError where they are not what it knows."""
        expected = tuple(self.about["net"]["input_shape"])
        if images.shape[1:] != expected:
            raise PipelineError(f"the model takes images of shape {expected}, found {images.shape[1:]}; {REMAKE}.")
        with np.errstate(over="ignore", invalid="ignore"):  # said once, below
            scores = np.concatenate(list(logits(self.ops, self.model, self.weights, images, batch)))
        if not np.isfinite(scores).all():
            raise PipelineError(f"the model answers with NaN or infinity, so its weights are unsound; {REMAKE}.")
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Softmax of logits (N, K), which stay as they are."""
        return softmax(self.ops, scores.copy())

    def loss(self, scores: Array, labels: Array) -> float:
        """Mean loss of logits (N, K) for class indices (N,), by the loss the net was trained with."""
        return LOSSES[self.about["net"]["loss"]](self.ops, scores.copy(), labels)[0]

    def require_data(self, data: Mapping[str, Any]) -> None:
        """Raise PipelineError unless the net was trained on dataset.npz of that description and SHA-256."""
        if self.about["data"] != data:
            raise PipelineError(f"the model was trained on another dataset.npz than the one here; {REMAKE}.")

    def require_curves(self, digests: Mapping[str, str]) -> None:
        """Raise PipelineError unless the curves, by file name and SHA-256, are those of the same training."""
        if self.about.get("curves", digests) != digests:
            raise PipelineError(f"{' and '.join(digests)} are not those of the model beside them; {REMAKE}.")

    def first_layer(self, image_shape: Sequence[int]) -> Array:
        """The weights of the first layer as pictures (M, Y, X): one a filter, or one a unit."""
        W1 = self.weights["W1"]
        return W1.reshape(-1, *W1.shape[-2:]) if W1.ndim == 4 else W1.T.reshape(-1, *image_shape)


def load_classifier(path: Path) -> Classifier:
    """The net in a model file. Raises PipelineError where the arrays are not those its description promises."""
    arrays, about = load_weights(path)
    net = about["net"]
    try:
        ops, _ = ARITHMETICS[net["arithmetic"]], LOSSES[net["loss"]]
        model = build(net["model"], ops, tuple(net["input_shape"]), net["classes"], **net["knobs"])
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise PipelineError(f"{path}: there is no net of {net} ({error}); {REMAKE}.") from None
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    expected = {name: (shape, ops.dtype) for name, shape in model.shapes.items()}
    if found != expected:
        raise PipelineError(f"{path}: a {net['model']} net has arrays {expected}, found {found}; {REMAKE}.")
    return Classifier(ops, model, arrays, about)
