"""Not a stage: the trained net in the formats of other programs."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import PipelineError, printable, reports_errors

if TYPE_CHECKING:
    from pipeline.model import Classifier

OPSET, IR = 17, 8  # of ONNX, both of 2022: old enough for whatever reads it
ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
PRODUCER = "reproducible-mnist-pipeline"

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """What an export is made of."""

    onnx = "onnx"
    safetensors = "safetensors"
    npz = "npz"
    csv = "csv"


@app.command()
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
    `probabilities`; its metadata hold what the model file says of itself. safetensors: the arrays, with the same
    metadata. npz: the arrays alone. csv: a table for each array.
    onnx and safetensors need a package more: pip install "reproducible-mnist-pipeline\[export]".

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
    net = load_model(model)
    match Format(chosen):
        case Format.onnx:
            write_bytes(file, onnx_file(net))
        case Format.safetensors:
            write_bytes(file, safetensors_file(net))
        case Format.npz:
            write_npz(file, net.weights)
        case Format.csv:
            for name, array in net.weights.items():
                require_other(file / f"{name}.csv", model)
                rows = array.reshape(len(array), -1).tolist()
                write_bytes(file / f"{name}.csv", table([f"{i}" for i in range(len(rows[0]))], rows))
    typer.echo(printable(f"{net.about['net']['model']}: {file}"))


def about(net: "Classifier") -> str:
    """What the model file says of itself, as JSON."""
    return json.dumps(net.about, sort_keys=True, allow_nan=False)


def safetensors_file(net: "Classifier") -> bytes:
    """The arrays by name, in the dtype that the net computes with."""
    import numpy as np

    try:
        from safetensors.numpy import save  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise missing("safetensors") from None
    arrays = {name: np.ascontiguousarray(array) for name, array in net.weights.items()}
    return bytes(save(arrays, metadata={"about": about(net)}))


def onnx_file(net: "Classifier") -> bytes:
    """The net as an ONNX graph in float32; the same bytes for the same net."""
    import numpy as np

    try:
        import onnx  # type: ignore[import-not-found,unused-ignore]
        from onnx import helper, numpy_helper
    except ImportError:
        raise missing("onnx") from None
    described = net.about["net"]
    graph = helper.make_graph(
        [
            helper.make_node(operator, inputs, [output], name=output, **options)
            for operator, inputs, output, options in steps(described["model"], described["knobs"])
        ],
        described["model"],
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", *described["input_shape"]])],
        [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", described["classes"]])
            for name in ("logits", "probabilities")
        ],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in net.weights.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    exported = helper.make_model(graph, producer_name=PRODUCER, ir_version=IR, opset_imports=opset)
    helper.set_model_props(exported, {"about": about(net)})
    onnx.checker.check_model(exported, full_check=True)
    return bytes(exported.SerializeToString(deterministic=True))


Step = tuple[str, list[str], str, dict[str, Any]]


def steps(model: str, knobs: dict[str, Any]) -> list[Step]:
    """Operator, inputs, output and attributes of each node, as in nn/linear.py, two_layer.py and cnn.py."""
    flat: list[Step] = [("Flatten", ["images"], "pixels", {})]
    softmax: list[Step] = [("Softmax", ["logits"], "probabilities", {"axis": 1})]
    match model:
        case "linear":
            return [*flat, ("Gemm", ["pixels", "W1", "b1"], "logits", {}), *softmax]
        case "two_layer":
            return [
                *flat,
                ("Gemm", ["pixels", "W1", "b1"], "a1", {}),
                (ACTIVATIONS[knobs["activation"]], ["a1"], "z1", {}),
                ("Gemm", ["z1", "W2", "b2"], "logits", {}),
                *softmax,
            ]
        case "cnn":
            cell = [knobs["pool"]] * 2
            return [
                ("Conv", ["images", "W1", "b1"], "c1", {}),
                ("MaxPool", ["c1"], "p1", {"kernel_shape": cell, "strides": cell}),
                ("Relu", ["p1"], "r1", {}),
                ("Flatten", ["r1"], "f1", {}),
                ("Gemm", ["f1", "W2", "b2"], "a2", {}),
                ("Relu", ["a2"], "z2", {}),
                ("Gemm", ["z2", "W3", "b3"], "logits", {}),
                *softmax,
            ]
    raise PipelineError(f"there is no ONNX graph for the model {model}; choose --format safetensors, npz or csv.")


def missing(package: str) -> PipelineError:
    """A package that the pipeline itself can do without."""
    return PipelineError(f'{package} is not installed: pip install "{PRODUCER}[export]", or pip install {package}.')


if __name__ == "__main__":
    app()
