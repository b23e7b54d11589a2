"""Nets that nobody trained, with files like the files of trained nets."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from described import described

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.datasets.features import feature_shape
from pipeline.model import load_model, save_model
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.check import example_of
from pipeline.nn.images import stored
from pipeline.nn.inference import logits
from pipeline.nn.layers import LAYERS
from pipeline.nn.net import Net, build, size, views

SIGMOID = ["affine 12", "sigmoid", "affine"]
TEXTBOOK = ["conv 30 5", "relu", "max_pool 2", "affine 100", "relu", "affine"]
DEEP = ["conv 16 5", "relu", "max_pool 2", "conv 32 5", "relu", "max_pool 2", "affine 128", "relu", "affine"]
LENET = ["conv 6 5 2", "tanh", "mean_pool 2", "conv 16 5", "tanh", "mean_pool 2"]
LENET += ["affine 120", "tanh", "affine 84", "tanh", "affine"]
STACKS = 12


def a_stack(seed: int, shape: tuple[int, int] = (28, 28)) -> list[str]:
    """Random layers that fit images of `shape`; number 0 is LeNet-5."""
    if seed == 0:
        return LENET
    rng = np.random.default_rng(seed)
    others = ("affine", "conv", "max_pool", "mean_pool")
    flat = [example_of(word, choice) for word, choice in LAYERS.items() if word not in others]
    between = [*flat, "max_pool 2", "max_pool 3", "mean_pool 2", "mean_pool 3"]
    while True:
        layers = [str(rng.choice(between))] * (seed % 4 == 0)
        for _ in range(seed % 3):
            numbers = [rng.integers(1, 9), rng.integers(1, 6), rng.integers(0, 3), rng.integers(1, 3)]
            layers += [f"conv {' '.join(map(str, numbers[: rng.integers(2, 5)]))}", *rng.choice(between, 2).tolist()]
        for _ in range(rng.integers(0, 3)):
            layers += [f"affine {rng.integers(5, 40)}", str(rng.choice(flat))]
        layers += ["affine", *(["tanh"] if seed % 5 == 0 else [])]
        try:
            build(layers, (1, *shape), 10)
        except PipelineError:  # the images have become too small
            continue
        return layers


def a_net(
    layers: list[str] = SIGMOID,
    shape: tuple[int, int] = (28, 28),
    features: str = "pixels",
    arithmetic: str = "exact",
    layout: str = "flat",
    normalize: bool = True,
    classes: int = 10,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Weights that give clear answers, and the description in their file."""
    seen = feature_shape(features, shape)
    net = {"layers": layers, "input_shape": [1, *seen], "classes": classes, "arithmetic": arithmetic, "batch_size": 100}
    data = described(shape) | {
        "feature_shape": seen,
        "features": features,
        "normalize": normalize,
        "layout": layout,
        "sha256": "0" * 64,
    }
    about = {"net": net | {"loss": "cross_entropy"}, "params": {"layers": layers, "seed": 1}, "data": data}
    made = built(about)
    flat = opinionated(made, 1 if normalize else 255).astype(ARITHMETICS[arithmetic].dtype)
    return views(flat, made.shapes), about


def built(about: Mapping[str, Any], white: int | None = None) -> Net:
    """The net that a model file describes, for fractions, or for bytes where `white` stands for 1."""
    net = about["net"]
    return build(net["layers"], tuple(net["input_shape"]), net["classes"], net["batch_size"], white)


def opinionated(net: Net, white: int) -> Array:
    """Weights (P,) for which sparse images up to `white` differ in every layer: sums of mean 0 and deviation 1."""
    ops, rng = ARITHMETICS["float64"], np.random.default_rng(1)
    flat = rng.normal(size=size(net.shapes))
    x = white * rng.random((50, *net.places[0].shape)) * (rng.random((50, *net.places[0].shape)) < 0.2)
    for layer, w in zip(net.layers, net.by_layer(flat), strict=True):
        if w:
            w["b"][...] = 0
            y = layer.forward(ops, w, x)[0]
            w["W"] /= y.std()
            w["b"] -= y.mean() / y.std()
        x = layer.forward(ops, w, x)[0]
    return flat


def truth(weights: Mapping[str, Array], about: Mapping[str, Any], images: Array) -> Array:
    """The logits (N, K) that Python has for images (N, ...)."""
    ops, pixels = ARITHMETICS[about["net"]["arithmetic"]], stored(images)
    return np.concatenate(list(logits(ops, built(about, pixels.white), joined(weights), pixels, 100)))


def joined(weights: Mapping[str, Array]) -> Array:
    """The arrays as one flat vector (P,)."""
    return np.concatenate([array.reshape(-1) for array in weights.values()])


def a_file(path: Path, weights: dict[str, Array], about: dict[str, Any], *judging: Any) -> Path:
    """A model file of a net; judging: its subspaces and its detector, if there are any."""
    save_model(path, joined(weights), {name: array.shape for name, array in weights.items()}, about, *judging)
    return path


def loaded(path: Path) -> tuple[Mapping[str, Array], Mapping[str, Any]]:
    """The arrays of a model file, and its description."""
    net = load_model(path)
    return net.weights, net.about
