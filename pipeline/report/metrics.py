"""What a judged net is worth, as plain numbers.

Shapes: N images, K classes. A score with nothing to divide by (no image of a class, none called it) is 0.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.npz import Array


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """Counts (K, K): row the true class, column the predicted one; the sum is N."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def scores(confusion: Array, names: Sequence[str]) -> dict[str, Any]:
    """Accuracy, error, and precision, recall and F1 of each class, from a confusion matrix (K, K)."""
    count, right = int(confusion.sum()), confusion.diagonal()
    accuracy = share(int(right.sum()), count)
    called, actual = confusion.sum(axis=0), confusion.sum(axis=1)
    by_class = {
        name: {
            "images": int(actual[k]),
            "precision": share(int(right[k]), int(called[k])),
            "recall": share(int(right[k]), int(actual[k])),
            "f1": share(2 * int(right[k]), int(called[k] + actual[k])),
        }
        for k, name in enumerate(names)
    }
    return {"images": count, "accuracy": accuracy, "error": share(count - int(right.sum()), count), "classes": by_class}


def share(part: int, whole: int) -> float:
    """part / whole, and 0 of nothing."""
    return part / whole if whole else 0.0


def worst_mistakes(labels: Array, probabilities: Array, most: int) -> Array:
    """Indices of the wrong answers given with the highest probability, worst first."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    order = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    return wrong[order[:most]]
