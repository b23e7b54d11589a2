"""How a net was made: its parameters, its data set, and the commands that make it again."""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

CONVERTED = ("features", "normalize", "one_hot", "layout", "validation")
PLAIN = re.compile(
    r"(?!(true|false|null)$)[a-z]\w*( [-+.\w]+)*", re.ASCII
)  # a word and its numbers, which YAML takes without quotes
STANDARD = {  # the values in the project's params.yaml; a command names only other values
    "download.dataset": "mnist",
    "convert.features": "pixels",
    "convert.normalize": True,
    "convert.one_hot": True,
    "convert.layout": "flat",
    "convert.validation": 0,
    "train.layers": ["affine 50", "sigmoid", "affine"],
    "train.initializer": "normal 0.01",
    "train.loss": "cross_entropy",
    "train.gradient": "backprop",
    "train.arithmetic": "exact",
    "train.optimizer": "sgd",
    "train.learning_rate": 0.1,
    "train.schedule": "constant",
    "train.weight_decay": 0.0,
    "train.augment": [],
    "train.average": "none",
    "train.batch_size": 100,
    "train.sampling": "replacement",
    "train.length": "10000 iterations",
    "train.seed": 1,
}


def parameters(about: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parameters that made the net, by stage, as DVC spells their keys; about: from the model file."""
    data = about["data"]
    return {
        "download": {"download.dataset": data["name"]},
        "convert": {f"convert.{key}": data[key] for key in CONVERTED},
        "train": {f"train.{key}": value for key, value in about["params"].items()},
        "evaluate": {},
    }


def settings(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every parameter that made the net, and its value."""
    stages = parameters(about)
    return [(key, flow(value)) for key, value in (stages["convert"] | stages["train"]).items()]


def provenance(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The data set, with the hash of its file."""
    data = about["data"]
    words = {"data set": "title", "homepage": "homepage", "licence": "licence", "dataset.npz, SHA-256": "sha256"}
    return [(word, data[key]) for word, key in words.items()]


def commands(about: Mapping[str, Any]) -> list[str]:
    """The commands of the four stages, each with the parameters that differ from the project's params.yaml."""
    lines = []
    for stage, values in parameters(about).items():
        other = {key: flow(value) for key, value in values.items() if flow(value) != flow(STANDARD.get(key))}
        told = (f"-S {shlex.quote(f'{key}={value}')}" for key, value in other.items())
        lines.append(" ".join([f"python -m pipeline.{stage}", *told]))
    return lines


def flow(value: Any) -> str:
    """A parameter as -S reads it and params.yaml has it: [affine 50, sigmoid, affine]."""
    if isinstance(value, list) and all(PLAIN.fullmatch(str(item)) for item in value):
        return f"[{', '.join(value)}]"
    return json.dumps(value, ensure_ascii=False).strip('"')
