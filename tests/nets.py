"""Nets that nobody trained, with files that say all that a trained one's says."""

from pathlib import Path
from typing import Any

import numpy as np
from described import described
from pipeline.nn.weights import save_weights, size, views

from pipeline.base.arrays import Array
from pipeline.datasets.features import feature_shape
from pipeline.nn import architecture, build
from pipeline.nn.arithmetic import ARITHMETICS

KNOBS = {"hidden": 12, "activation": "sigmoid", "filters": 4, "kernel": 3, "pool": 2}


def a_net(
    model: str, shape: tuple[int, int] = (28, 28), features: str = "pixels", arithmetic: str = "exact", **knobs: Any
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Weights large enough to have opinions, and what their file says about them."""
    normalize = knobs.pop("normalize", True)
    layout = "image" if model == "cnn" else "flat"
    seen = feature_shape(features, shape)
    input_shape = [1, *seen] if layout == "image" else [seen[0] * seen[1]]
    knobs = architecture(model, KNOBS | knobs)
    ops = ARITHMETICS[arithmetic]
    shapes = build(model, ops, tuple(input_shape), 10, **knobs).shapes
    weights = views(np.random.default_rng(1).normal(0, 1, size(shapes)), shapes)
    for array in weights.values():
        array *= 0.1 if array.ndim == 1 else 3 / np.sqrt(array.size / array.shape[0 if array.ndim == 4 else -1])
    weights["W1"] /= 1 if normalize else 255
    net = {"model": model, "knobs": knobs, "input_shape": input_shape, "classes": 10, "arithmetic": arithmetic}
    data = described(shape) | {
        "feature_shape": seen,
        "features": features,
        "normalize": normalize,
        "layout": layout,
        "sha256": "0" * 64,
    }
    about = {
        "net": net | {"loss": "cross_entropy"},
        "params": {"model": model, **knobs},
        "data": data,
    }
    return {name: array.astype(ops.dtype) for name, array in weights.items()}, about


def a_file(path: Path, weights: dict[str, Array], about: dict[str, Any]) -> Path:
    """A model file of a net."""
    flat = np.concatenate([array.reshape(-1) for array in weights.values()])
    save_weights(path, flat, {name: array.shape for name, array in weights.items()}, about)
    return path
