"""Scores of a net, as plain numbers.

Shapes: N images, K classes. A score without a divisor (a class has no image, or is never predicted) is 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.base.arrays import Array


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Counts (K, K): row the true class, column the predicted one; the sum is N."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def headline(confusion: Array) -> dict[str, Any]:
    """Accuracy and error rate, from a confusion matrix (K, K), and the number of images."""
    count, right = int(confusion.sum()), int(confusion.trace())
    return {"images": count, "accuracy": share(right, count), "error_rate": share(count - right, count)}


def by_class(confusion: Array, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 and the number of images of each class, from a confusion matrix (K, K)."""
    right, called, actual = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    return {
        name: {
            "images": int(actual[k]),
            "precision": share(int(right[k]), int(called[k])),
            "recall": share(int(right[k]), int(actual[k])),
            "f1": share(2 * int(right[k]), int(called[k] + actual[k])),
        }
        for k, name in enumerate(names)
    }


def share(part: int, whole: int) -> float:
    """part / whole, or 0 if `whole` is 0."""
    return part / whole if whole else 0.0


def worst_mistakes(labels: Array, probabilities: Array, most: int) -> Array:
    """Indices of the wrong answers given with the highest probability, worst first."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    return wrong[order[:most]]


class Answers:
    """A net's answers for N images: pictures (N, Y, X), labels (N,), probabilities (N, K), names of the K classes.

    loss: the mean over the images; crops: mean probabilities (N, K) over the crops of each image, with own metrics;
    judged: numbers about the probabilities and refusals, which join the headline.
    """

    def __init__(
        self,
        pictures: Array,
        labels: Array,
        probabilities: Array,
        names: Sequence[str],
        loss: float,
        crops: Array | None = None,
        judged: Mapping[str, float] = {},
    ) -> None:
        self.pictures, self.labels, self.probabilities, self.names = pictures, labels, probabilities, names
        self.loss = loss
        self.predicted = probabilities.argmax(axis=1)
        self.confusion = confusion_matrix(labels, self.predicted, len(names))
        self.headline = headline(self.confusion) | {"loss": loss, **judged}
        if crops is not None:
            by_crops = confusion_matrix(labels, crops.argmax(axis=1), len(names))
            self.headline["crops_accuracy"] = headline(by_crops)["accuracy"]
