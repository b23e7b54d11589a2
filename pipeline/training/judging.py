"""How the answers of a trained net are judged: temperature and limits, fitted to held-out images if there are any."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.model import BATCH, Classifier
from pipeline.nn.calibration import fitted_temperature
from pipeline.nn.subspaces import MOST_HELD_OUT, Subspaces, fit, limited
from pipeline.training.loader import Labelled

FALSE_REFUSALS = 0.008  # share of the held-out images that may be refused
BY_DISTANCE = 0.0015  # what is left of it for the distance beside a detector, which finds more

Detect = Callable[[Array, Labelled], Classifier]  # indices of training images, and held-out ones -> a trained detector
Judged = tuple[dict[str, Any], Subspaces | None, Classifier | None]


def judging(net: Classifier, train: Labelled, held_out: Labelled, detect: Detect | None = None) -> Judged:
    """The key `judging` of the model file, the subspaces and the detector; {} and None if no image is left for limits.

    Test images may not decide anything. Without a validation split the temperature stays 1, because a net is too sure
    of images that it was trained on. The limits are then set on training images that neither a subspace nor the
    detector was fitted to.
    """
    subspaces, others = fit(*train, net.about["net"]["classes"])
    kept = np.flatnonzero(others)[-MOST_HELD_OUT:]
    validated = net.about["data"]["held_out"] == "validation"
    images, labels = held_out if validated else (train[0][kept], train[1][kept])
    if not len(images):
        return {}, None, None
    logits = net.logits(images, BATCH)
    temperature = fitted_temperature(net.ops, logits, labels) if validated else 1.0
    said = {"temperature": temperature, "held_out": "validation" if validated else "train", "images": len(images)}
    classes, detector = logits.argmax(axis=1), None
    if detect:
        shown = np.delete(np.arange(len(train[0])), kept)
        detector = with_limit(detect(shown, (images, labels)), images, classes)
    share = BY_DISTANCE if detector else FALSE_REFUSALS
    return {"judging": said}, limited(subspaces, images, classes, share), detector


def with_limit(detector: Classifier, images: Array, classes: Array) -> Classifier:
    """`detector` with a limit that refuses a share FALSE_REFUSALS - BY_DISTANCE of `images` at most."""
    ordered = np.sort(detector.shares_of(images, classes))
    limit = float(ordered[int(len(ordered) * (FALSE_REFUSALS - BY_DISTANCE))])
    return detector._replace(about={**detector.about, "limit": limit})
