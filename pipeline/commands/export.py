"""Not a stage: the trained net in the formats of other programs."""

import json
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from pipeline.base.errors import PipelineError, library, printable, reports_errors

if TYPE_CHECKING:
    from pipeline.model import Classifier
    from pipeline.nn.layers import Place
    from pipeline.nn.net import Net

OPSET, IR = 17, 8  # of ONNX, both of 2022: old enough for all programs that read it
PRODUCER = "reproducible-mnist-pipeline"


class Format(StrEnum):
    """The formats of an export."""

    onnx = "onnx"
    safetensors = "safetensors"
    npz = "npz"
    csv = "csv"


@reports_errors
def main(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write; for csv a folder.")],
    form: Annotated[
        Format | None, typer.Option("--format", case_sensitive=False, help="By default what FILE ends in.")
    ] = None,
    model: Annotated[Path, typer.Option(metavar="PATH", help="The model file.")] = Path("data/model/weights.npz"),
) -> None:
    r"""Export the trained net.

    onnx: a graph from `images`, float32 of the shape and scale that the net was trained on, to `logits` and
    `probabilities`; its metadata hold the description of the model file. safetensors: the arrays, with the same
    metadata. npz: the arrays alone. csv: a table for each array.
    onnx and safetensors need one more package: pip install "reproducible-mnist-pipeline\[export]".

    Example: pipeline export net.onnx
    """
    from pipeline.base.files import write_bytes
    from pipeline.base.npz import write_npz
    from pipeline.base.paths import require_other
    from pipeline.base.text import table
    from pipeline.model import load_model

    known = [choice.value for choice in Format]
    chosen = form or file.suffix.lower().removeprefix(".")
    if chosen not in known:
        raise PipelineError(f"{file} does not say what to write; name a --format: {', '.join(known)}.")
    require_other(file, model)
    classifier = load_model(model)
    match Format(chosen):
        case Format.onnx:
            write_bytes(file, onnx_file(classifier))
        case Format.safetensors:
            write_bytes(file, safetensors_file(classifier))
        case Format.npz:
            write_npz(file, classifier.weights)
        case Format.csv:
            for name, array in classifier.weights.items():
                require_other(file / f"{name}.csv", model)
                rows = array.reshape(len(array), -1).tolist()
                write_bytes(file / f"{name}.csv", table([f"{i}" for i in range(len(rows[0]))], rows))
    typer.echo(printable(f"{', '.join(classifier.about['net']['layers'])}: {file}"))


def about(classifier: "Classifier") -> str:
    """The description of the model file, as JSON."""
    return json.dumps(classifier.about, sort_keys=True, allow_nan=False)


def safetensors_file(classifier: "Classifier") -> bytes:
    """The arrays by name, in the dtype that the net computes with."""
    import numpy as np

    arrays = {name: np.ascontiguousarray(array) for name, array in classifier.weights.items()}
    return bytes(library("safetensors.numpy").save(arrays, metadata={"about": about(classifier)}))


def onnx_file(classifier: "Classifier") -> bytes:
    """The net as an ONNX graph in float32; the same bytes for the same net."""
    import numpy as np

    from pipeline.nn.net import build

    onnx, helper, numpy_helper = map(library, ("onnx", "onnx.helper", "onnx.numpy_helper"))
    described, flat = classifier.about["net"], classifier.about["data"]["layout"] == "flat"
    shape, classes = described["input_shape"], described["classes"]
    *chain, last = steps(build(described["layers"], tuple(shape), classes), flat)
    outputs = [*(f"{step.operator}{i}" for i, step in enumerate(chain[:-1], 1)), "logits"]
    tempers = [Step("Div", ("temperature",))] if classifier.temperature != 1 else []
    chain, outputs = [*chain, *tempers, last], [*outputs, *("tempered" for _ in tempers), "probabilities"]
    arrays = {name: array.astype(np.float32) for name, array in classifier.weights.items()} | {
        "shape": np.array([-1, *shape]),
        "temperature": np.float32(classifier.temperature).reshape(()),
    }

    def value(name: str, *sizes: int) -> Any:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *sizes])

    graph = helper.make_graph(
        [
            helper.make_node(step.operator, [before, *step.arrays], [name], name, **step.options)
            for before, step, name in zip(["images", *outputs], chain, outputs, strict=False)
        ],
        ", ".join(described["layers"]),
        [value("images", *([math.prod(shape)] if flat else shape))],
        [value(name, classes) for name in ("logits", "probabilities")],
        [numpy_helper.from_array(arrays[name], name) for step in chain for name in step.arrays],
    )
    opset = [helper.make_opsetid("", OPSET)]
    exported = helper.make_model(graph, producer_name=PRODUCER, ir_version=IR, opset_imports=opset)
    helper.set_model_props(exported, {"about": about(classifier)})
    onnx.checker.check_model(exported, full_check=True)
    return bytes(exported.SerializeToString(deterministic=True))


class Step(NamedTuple):
    """A node of the graph: operator, arrays that it takes after the output of the node before, and attributes."""

    operator: str
    arrays: tuple[str, ...] = ()
    options: Mapping[str, Any] = {}  # nobody changes it


def steps(net: "Net", flat: bool) -> list[Step]:
    """The graph from images, in rows of pixels if `flat`, to logits and then to probabilities."""
    number, made = 0, [Step("Reshape", ("shape",))] if flat and net.words[0][0] != "affine" else []
    for (word, numbers), at, layer in zip(net.words, net.places, net.layers, strict=True):
        number += bool(layer.weights)
        if word not in OPERATORS:
            raise PipelineError(f"ONNX has no operator for {word}; add it to OPERATORS in pipeline/commands/export.py.")
        *before, last = OPERATORS[word](at, *numbers)
        made += [*before, last._replace(arrays=tuple(f"{name}{number}" for name in layer.weights))]
    return [*made, Step("Softmax", options={"axis": 1})]


def affine(at: "Place", units: int) -> list[Step]:
    """X W + b; Flatten leaves rows as they are."""
    return [*([Step("Flatten")] if len(at.shape) > 1 else []), Step("Gemm")]


def conv(at: "Place", filters: int, kernel: int, padding: int, stride: int) -> list[Step]:
    """ONNX calls it a convolution too; its shape has the number of filters."""
    return [Step("Conv", options={"kernel_shape": [kernel] * 2, "pads": [padding] * 4, "strides": [stride] * 2})]


def pool(operator: str) -> Callable[..., list[Step]]:
    """A pooling operator of that name; like our layers, it ignores a rest at the edge."""
    return lambda at, size: [Step(operator, options={"kernel_shape": [size] * 2, "strides": [size] * 2})]


def plain(operator: str) -> Callable[..., list[Step]]:
    """An operator of that name, without attributes."""
    return lambda at, *numbers: [Step(operator)]


# for each word of pipeline.nn.layers.LAYERS, called with the layer's place and its numbers
OPERATORS: dict[str, Callable[..., list[Step]]] = {
    "affine": affine,
    "conv": conv,
    "max_pool": pool("MaxPool"),
    "mean_pool": pool("AveragePool"),
    "sigmoid": plain("Sigmoid"),
    "tanh": plain("Tanh"),
    "relu": plain("Relu"),
    "dropout": plain("Identity"),  # outside training
}
