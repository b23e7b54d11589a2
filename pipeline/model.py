"""The model file weights.npz: a trained net, with everything that is needed to use it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest, read_npz, write_npz
from pipeline.base.schema import Trained, read_json
from pipeline.base.words import made
from pipeline.fast.rewrite import fast
from pipeline.nn.arithmetic import ARITHMETICS, Arithmetic
from pipeline.nn.images import shifted, stored
from pipeline.nn.inference import logits
from pipeline.nn.losses import LOSSES, Loss, mean, softmax
from pipeline.nn.net import Shapes, build, views

ABOUT = "about"  # the member of weights.npz that describes the others, as JSON
DIGEST = "sha256"  # the key of the description that vouches for the arrays
REMAKE = "make it again: python -m pipeline.train"


class Classifier(NamedTuple):
    """A net with its weights by name, and what its file says about it."""

    ops: Arithmetic
    loss: Loss
    weights: Mapping[str, Array]
    about: Mapping[str, Any]

    def logits(self, images: Array, batch: int) -> Array:
        """Logits (N, K) of images (N, ...), `batch` at a time. Raises PipelineError where they do not fit the net."""
        described = self.about["net"]
        shape = tuple(described["input_shape"])
        if np.prod(images.shape[1:]) != np.prod(shape):
            raise PipelineError(f"the model takes images of shape {shape}, found {images.shape[1:]}; {REMAKE}.")
        found, white = stored(images)
        net = fast(build(described["layers"], shape, described["classes"], described["batch_size"], white))
        flat = np.concatenate([array.reshape(-1) for array in self.weights.values()])
        with np.errstate(over="ignore", invalid="ignore"):  # said once, below
            scores = np.concatenate(list(logits(self.ops, net, flat, found, batch)))
        if not np.isfinite(scores).all():
            raise PipelineError(f"the model answers with NaN or infinity, so its weights are unsound; {REMAKE}.")
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Softmax of logits (N, K)."""
        return softmax(self.ops, scores)

    def shares(self, images: Array, batch: int, crops: int) -> Array:
        """Probabilities (N, K) of images (N, ...); with 9 crops, the mean over an image and its 8 shifts."""
        if crops == 1:
            return self.probabilities(self.logits(images, batch))
        if (features := self.about["data"]["features"]) != "pixels":
            raise PipelineError(f"the model takes {features}, and only pixels can be shifted; choose crops 1.")
        shifts = shifted(images, self.about["net"]["input_shape"][1:])
        return added(self.probabilities(self.logits(shift, batch)) for shift in shifts) / crops

    def mean_loss(self, scores: Array, labels: Array) -> float:
        """Mean loss of logits (N, K) for class indices (N,), by the loss the net was trained with."""
        return mean(self.ops, self.loss(self.ops, scores, labels)[0])

    def require_data(self, data: Mapping[str, Any]) -> None:
        """Raise PipelineError unless the net was trained on dataset.npz of that description and SHA-256."""
        if self.about["data"] != data:
            raise PipelineError(f"the model was trained on another dataset.npz than the one here; {REMAKE}.")

    def require_curves(self, digests: Mapping[str, str]) -> None:
        """Raise PipelineError unless the curves, by file name and SHA-256, are those of the same training."""
        if self.about.get("curves", digests) != digests:
            raise PipelineError(f"{' and '.join(digests)} are not those of the model beside them; {REMAKE}.")

    def first_layer(self, image_shape: Sequence[int]) -> Array:
        """The first weights as pictures (M, Y, X): one a filter, or one a unit where they see the image."""
        W1 = self.weights["W1"]
        if W1.ndim == 4:
            return W1.reshape(-1, *W1.shape[-2:])
        side = (1, len(W1)) if len(W1) != np.prod(image_shape) else image_shape
        return W1.T.reshape(-1, *side)


def added(parts: Iterable[Array]) -> Array:
    """The sum of the parts, added in their order: the same bits everywhere."""
    total: Array = reduce(add, parts)
    return total


def save_model(path: Path, weights: Array, shapes: Shapes, about: Mapping[str, Any]) -> None:
    """Replace `path` with the arrays by name and `about`, which says what net they are and where from.

    `about` also gets the SHA-256 of the arrays, so that it describes no others.
    Raises PipelineError where a weight is not finite, and leaves `path` as it was.
    """
    arrays = views(weights, shapes)
    require_finite(path, arrays)
    description = json.dumps({**about, DIGEST: arrays_digest(arrays)}, sort_keys=True, allow_nan=False)
    write_npz(path, arrays | {ABOUT: np.array(description)})


def load_model(path: Path) -> Classifier:
    """The net in a model file.

    Raises PipelineError where the file is missing or damaged, or its arrays are not those its description promises.
    """
    arrays = read_npz(path, remake=REMAKE)
    if ABOUT not in arrays:
        raise PipelineError(f"{path} does not say what net it holds (no member {ABOUT!r}); {REMAKE}.")
    about = read_json(str(arrays.pop(ABOUT)), path, Trained, REMAKE)
    require_finite(path, arrays)
    described, found = about[DIGEST], arrays_digest(arrays)
    if described != found:
        raise PipelineError(f"{path} describes arrays with SHA-256 {described} and holds others, {found}; {REMAKE}.")
    net = about["net"]
    try:
        ops, loss = ARITHMETICS[net["arithmetic"]], made(LOSSES, net["loss"])
        built = build(net["layers"], tuple(net["input_shape"]), net["classes"])
        if built.layers[-1].shape != (net["classes"],):
            raise ValueError("it does not have one output a class")
    except (LookupError, ValueError, PipelineError) as error:
        raise PipelineError(f"{path}: there is no net of {net} ({error}); {REMAKE}.") from None
    expected = {name: (shape, ops.dtype) for name, shape in built.shapes.items()}
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != expected:
        raise PipelineError(f"{path}: {', '.join(net['layers'])} has arrays {built.shapes}, found others; {REMAKE}.")
    return Classifier(ops, loss, arrays, about)


def require_finite(path: Path, arrays: Mapping[str, Array]) -> None:
    """Raise PipelineError for the first array that is not of fractions, or has NaN or infinity in it."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise PipelineError(f"{path}: {name} is an array of {array.dtype}, expected fractions; {REMAKE}.")
        if not np.isfinite(array).all():
            raise PipelineError(f"{path}: {name} holds NaN or infinity; {REMAKE}, with a smaller learning rate.")
