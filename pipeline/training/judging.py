"""How the answers of a trained net are judged: temperature and limit, fitted to held-out images if there are any."""

from typing import Any

import numpy as np

from pipeline.model import Classifier
from pipeline.nn.calibration import fitted_temperature
from pipeline.nn.subspaces import MOST_HELD_OUT, Subspaces, fit, limited
from pipeline.training.loader import Labelled

BATCH = 250  # images classified at a time


def judging(net: Classifier, train: Labelled, held_out: Labelled) -> tuple[dict[str, Any], Subspaces | None]:
    """The key `judging` of the model file, and the subspaces; {} and None if no images are left for the limit.

    Test images may not decide anything. Without a validation split the temperature stays 1, because a net is too sure
    of images that it was trained on. The limit is then set on training images that no subspace was fitted to.
    """
    subspaces, others = fit(*train, net.about["net"]["classes"])
    kept = np.flatnonzero(others)[-MOST_HELD_OUT:]
    validated = net.about["data"]["held_out"] == "validation"
    images, labels = held_out if validated else (train[0][kept], train[1][kept])
    if not len(images):
        return {}, None
    logits = net.logits(images, BATCH)
    temperature = fitted_temperature(net.ops, logits, labels) if validated else 1.0
    said = {"temperature": temperature, "held_out": "validation" if validated else "train", "images": len(images)}
    return {"judging": said}, limited(subspaces, images, logits.argmax(axis=1))
