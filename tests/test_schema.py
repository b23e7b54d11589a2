"""A file's description is bounded, printable and consistent, or is refused in a line that names the place."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from described import described, trained

from pipeline.base.errors import PipelineError, one_line
from pipeline.base.schema import Converted, Features, Layout, Trained, read_json
from pipeline.datasets.features import FEATURES

FORGED = [
    ("data.class_names", ["x", "o"], "net must take [1, 28, 28] and tell 2 classes"),
    ("data.class_names", ["x"] * 10, "class_names must differ"),
    ("data.class_names", [""] * 10, "data.class_names.0: "),
    ("data.class_names", "0123456789", "data.class_names: "),
    ("data.title", "a" * 1000, "at most 300 letters"),
    ("data.title", "a\x1b[2J", "must be printable"),
    ("data.title", "a\nb", "must be printable"),
    ("data.title", "\udce9", "surrogates not allowed"),
    ("data.image_shape", [28], "data.image_shape: "),
    ("data.image_shape", [0, 28], "data.image_shape.0: "),
    ("data.image_shape", [28, 10**7], "data.image_shape.1: "),
    ("data.feature_shape", [14, 28], "net must take [1, 14, 28]"),
    ("data.features", "wavelets", "data.features: "),
    ("data.normalize", 1, "data.normalize: "),
    ("data.files", {}, "data.files: "),
    ("data.framing.stroke", 400, "framing must be that of digits in images of 28 x 28 pixels"),
    ("data.framing.stroke", 0, "framing must be"),
    ("data.framing.side", 1e7, "framing must be"),
    ("data.framing.side", 0, "framing must be"),
    ("data.framing.side", 29, "framing must be"),
    ("data.framing.row", 29, "framing must be"),
    ("data.framing.column", -1, "framing must be"),
    ("data.framing.least_slant", float("nan"), "is not JSON"),
    ("data.framing.more", 1, "data.framing.more: "),
    ("data.sha256", "0", "data.sha256: "),
    ("params.seed", {"a": 1}, "params.seed: "),
    ("params.seed", "a\nb", "params.seed: "),
    ("params.seed", float("inf"), "is not JSON"),
    ("params.a\nb", 1, "must be printable"),
    ("net.input_shape", [28, 28, 1], "net must take [1, 28, 28]"),
    ("net.input_shape", [784], "net.input_shape: "),
    ("net.layers", [], "net.layers: "),
    ("params.layers", ["a"] * 1000, "params.layers: "),
    ("params.layers", [["affine"]], "params.layers: "),
    ("net.classes", 0, "net.classes: "),
    ("sha256", None, "sha256: "),
    ("curves", {"loss.csv": 1}, "curves.loss.csv: "),
    ("more", 1, "more: "),
]


def read(model: type, content: Any) -> dict[str, Any]:
    return read_json(json.dumps(content), Path("x.npz"), model, "make it again")


@pytest.mark.parametrize(("place", "value", "problem"), FORGED, ids=lambda part: str(part)[:30])
def test_a_forged_description_is_refused_where_it_is_wrong(place, value, problem):
    about = trained((28, 28))
    *parents, key = place.split(".")
    part = about
    for parent in parents:
        part = part[parent]
    part[key] = value
    with pytest.raises(PipelineError) as refused:
        read(Trained, about)
    line = one_line(refused.value)
    assert line.startswith("x.npz: its description ")
    assert problem in line
    assert line.endswith("; make it again.")
    assert len(line) < 500


@pytest.mark.parametrize(
    "part", ["net", "params", "data", "sha256", *(f"data.{key}" for key in Converted.model_fields)]
)
def test_a_description_that_lacks_something_is_refused(part):
    about = trained((28, 28))
    *parents, key = part.split(".")
    del (about[parents[0]] if parents else about)[key]
    with pytest.raises(PipelineError, match=f"{part}: Field required; make it again"):
        read(Trained, about)


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '{"a":', "9" * 5000, b"\xff"], ids=str)
def test_what_is_no_description_at_all_is_refused(content):
    with pytest.raises(PipelineError, match="its description"):
        read_json(content, Path("x.npz"), Trained, "make it again")


def test_every_form_that_convert_makes_is_known():
    assert Features.__args__ == tuple(FEATURES)
    for features, layout in product(FEATURES, Layout.__args__):
        about = described((8, 16)) | {"features": features, "layout": layout}
        assert read(Converted, about) == about
