"""The model file weights.npz: a trained net, with everything that is needed to use it."""

import json
import math
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
from pipeline.nn.calibration import calibration_error, tempered
from pipeline.nn.images import shifted, stored
from pipeline.nn.inference import logits
from pipeline.nn.losses import LOSSES, Loss, mean
from pipeline.nn.net import Shapes, build, views
from pipeline.nn.subspaces import Subspaces

ABOUT = "about"  # the member of weights.npz that describes the others, as JSON
DIGEST = "sha256"  # the key of the description with the hash of the arrays
JUDGING = "judging"  # the key that says how answers are judged, with the hash of the arrays of Subspaces
DETECTOR = "detector"  # the key in it that describes the detector; its arrays have this in front of their names
BATCH = 250  # images that the detector classifies at a time
REMAKE = "make it again: python -m pipeline.train"


class Classifier(NamedTuple):
    """A net with its weights by name, the description in its file, and its subspaces (None in old files).

    detector: a second net with the same layers and one more class, for images of no class, if there is one.
    """

    ops: Arithmetic
    loss: Loss
    weights: Mapping[str, Array]
    about: Mapping[str, Any]
    subspaces: Subspaces | None = None
    detector: "Classifier | None" = None

    @property
    def temperature(self) -> float:
        """The number that divides logits so that probabilities are calibrated; 1 where none was fitted."""
        return float(self.about.get(JUDGING, {}).get("temperature", 1.0))

    def logits(self, images: Array, batch: int) -> Array:
        """Logits (N, K) of images (N, ...), `batch` at a time. Raises PipelineError where they do not fit the net."""
        described = self.about["net"]
        shape = tuple(described["input_shape"])
        if np.prod(images.shape[1:]) != np.prod(shape):
            raise PipelineError(f"the model takes images of shape {shape}, found {images.shape[1:]}; {REMAKE}.")
        found = stored(images)
        net = fast(build(described["layers"], shape, described["classes"], described["batch_size"], found.white))
        flat = np.concatenate([array.reshape(-1) for array in self.weights.values()])
        with np.errstate(over="ignore", invalid="ignore"):  # reported once, below
            scores = np.concatenate(list(logits(self.ops, net, flat, found, batch)))
        if not np.isfinite(scores).all():
            raise PipelineError(f"the model answers with NaN or infinity, so its weights are unsound; {REMAKE}.")
        return scores

    def probabilities(self, scores: Array) -> Array:
        """Softmax of logits (N, K) divided by the temperature."""
        return tempered(self.ops, scores, self.temperature)

    def refuses(self, images: Array, scores: Array) -> Array | None:
        """Whether each image (N, ...) with logits (N, K) is like no training image; None where the file cannot tell."""
        if self.subspaces is None:
            return None
        classes = scores.argmax(axis=1)
        refused = self.subspaces.refuses(images, classes)
        if self.detector:
            refused |= self.detector.shares_of(images, classes) < self.detector.about["limit"]
        return refused

    def shares_of(self, images: Array, classes: Array) -> Array:
        """The probability (N,) of the class in `classes` (N,) for each image (N, ...)."""
        shares: Array = self.probabilities(self.logits(images, BATCH))[np.arange(len(images)), classes]
        return shares

    @property
    def unlike(self) -> Mapping[str, Any] | None:
        """The subspaces and the detector as a mapping, for code that knows no nets."""
        if self.subspaces is None:
            return None
        found = self.detector and {"weights": self.detector.weights, "limit": self.detector.about["limit"]}
        return {**self.subspaces._asdict(), DETECTOR: found}

    def judged(self, images: Array, scores: Array, labels: Array) -> dict[str, float]:
        """Calibration errors of logits (N, K), with the temperature and without, and the share of images refused."""
        before, after = (tempered(self.ops, scores, one) for one in (1.0, self.temperature))
        found = {
            "calibration_error": calibration_error(after, labels),
            "uncalibrated_error": calibration_error(before, labels),
        }
        refused = self.refuses(images, scores)
        return found if refused is None else found | {"refused": float(np.count_nonzero(refused) / len(refused))}

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
        """Raise PipelineError unless the net was trained on the dataset.npz that `data` describes."""
        if self.about["data"] != data:
            raise PipelineError(f"the model was trained on another dataset.npz than the one here; {REMAKE}.")

    def require_curves(self, digests: Mapping[str, str]) -> None:
        """Raise PipelineError unless the curves, by file name and SHA-256, are from the same training."""
        if self.about.get("curves", digests) != digests:
            raise PipelineError(
                f"{' and '.join(digests)} belong to another training than the model beside them; {REMAKE}."
            )

    def first_layer(self, image_shape: Sequence[int]) -> Array:
        """The first weights as pictures (M, Y, X): one per filter, or one per unit where units see the image."""
        W1 = self.weights["W1"]
        if W1.ndim == 4:
            return W1.reshape(-1, *W1.shape[-2:])
        side = (1, len(W1)) if len(W1) != np.prod(image_shape) else image_shape
        return W1.T.reshape(-1, *side)


def added(parts: Iterable[Array]) -> Array:
    """The sum of the parts, added in their order: the same bits everywhere."""
    total: Array = reduce(add, parts)
    return total


def save_model(
    path: Path,
    weights: Array,
    shapes: Shapes,
    about: Mapping[str, Any],
    subspaces: Subspaces | None = None,
    detector: Classifier | None = None,
) -> None:
    """Replace `path` with the arrays by name and `about`, which describes the net and its origin.

    `about` also gets the SHA-256 of the weights, of the arrays of `subspaces` and of those of `detector`, so that it
    fits no other arrays.
    Raises PipelineError where a weight is not finite, and leaves `path` as it was.
    """
    arrays, unlike = views(weights, shapes), {}
    require_finite(path, arrays)
    if subspaces is not None:
        unlike = {"means": subspaces.means, "axes": subspaces.axes}
        said = {"bits": subspaces.bits, "limit": subspaces.limit, DIGEST: arrays_digest(unlike)}
        if detector:
            require_finite(path, detector.weights)
            said[DETECTOR] = {"limit": detector.about["limit"], DIGEST: arrays_digest(detector.weights)}
        about = {**about, JUDGING: about[JUDGING] | said}
    if detector:
        unlike |= {f"{DETECTOR}_{name}": array for name, array in detector.weights.items()}
    description = json.dumps({**about, DIGEST: arrays_digest(arrays)}, sort_keys=True, allow_nan=False)
    write_npz(path, arrays | unlike | {ABOUT: np.array(description)})


def load_model(path: Path) -> Classifier:
    """The net in a model file.

    Raises PipelineError where the file is missing or damaged, or its arrays do not fit its description.
    """
    arrays = read_npz(path, remake=REMAKE)
    if ABOUT not in arrays:
        raise PipelineError(f"{path} does not say what net it holds (no member {ABOUT!r}); {REMAKE}.")
    about = read_json(str(arrays.pop(ABOUT)), path, Trained, REMAKE)
    subspaces = read_subspaces(path, arrays, about) if about.get(JUDGING) else None
    detector = read_detector(path, arrays, about) if (about.get(JUDGING) or {}).get(DETECTOR) else None
    return read_net(path, arrays, about)._replace(subspaces=subspaces, detector=detector)


def read_detector(path: Path, arrays: dict[str, Array], about: Mapping[str, Any]) -> Classifier:
    """The detector of a model file, taken out of its arrays. Raises PipelineError where they do not fit `about`."""
    names = [name for name in arrays if name.startswith(f"{DETECTOR}_")]
    weights = {name.removeprefix(f"{DETECTOR}_"): arrays.pop(name) for name in names}
    net = about["net"] | {"classes": about["net"]["classes"] + 1}
    return read_net(path, weights, {"net": net, "data": about["data"], **about[JUDGING][DETECTOR]})


def read_net(path: Path, arrays: Mapping[str, Array], about: Mapping[str, Any]) -> Classifier:
    """The net that `about` describes, with its `arrays` by name. Raises PipelineError where they do not fit."""
    require_finite(path, arrays)
    require_digest(path, about[DIGEST], arrays)
    net = about["net"]
    try:
        ops, loss = ARITHMETICS[net["arithmetic"]], made(LOSSES, net["loss"])
        built = build(net["layers"], tuple(net["input_shape"]), net["classes"])
        if built.layers[-1].shape != (net["classes"],):
            raise ValueError("it does not have one output per class")
    except (LookupError, ValueError, PipelineError) as error:
        raise PipelineError(f"{path}: there is no net of {net} ({error}); {REMAKE}.") from None
    expected = {name: (shape, ops.dtype) for name, shape in built.shapes.items()}
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != expected:
        raise PipelineError(f"{path}: {', '.join(net['layers'])} has arrays {built.shapes}, found others; {REMAKE}.")
    return Classifier(ops, loss, arrays, about)


def read_subspaces(path: Path, arrays: dict[str, Array], about: Mapping[str, Any]) -> Subspaces:
    """The Subspaces of a model file, taken out of its arrays. Raises PipelineError where they do not fit `about`."""
    unlike: dict[str, Array] = {name: arrays.pop(name) for name in ("means", "axes") if name in arrays}
    said, net = about[JUDGING], about["net"]
    require_digest(path, said[DIGEST], unlike)
    found = {name: (array.dtype.name, array.shape[:1] + array.shape[-1:]) for name, array in unlike.items()}
    each = (net["classes"], math.prod(net["input_shape"]))
    if found != {"means": ("uint8", each), "axes": ("int8", each)} or [a.ndim for a in unlike.values()] != [2, 3]:
        raise PipelineError(f"{path}: {JUDGING} needs means and axes of {each[0]} classes, found others; {REMAKE}.")
    return Subspaces(unlike["means"], unlike["axes"], said["bits"], said["limit"])


def require_digest(path: Path, described: str, arrays: Mapping[str, Array]) -> None:
    """Raise PipelineError unless the arrays have the SHA-256 that the file describes."""
    if described != (found := arrays_digest(arrays)):
        raise PipelineError(f"{path} describes arrays with SHA-256 {described} and holds others, {found}; {REMAKE}.")


def require_finite(path: Path, arrays: Mapping[str, Array]) -> None:
    """Raise PipelineError for the first array that does not hold fractions, or holds NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise PipelineError(f"{path}: {name} is an array of {array.dtype}, expected fractions; {REMAKE}.")
        if not np.isfinite(array).all():
            raise PipelineError(f"{path}: {name} holds NaN or infinity; {REMAKE}, with a smaller learning rate.")
