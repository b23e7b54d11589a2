"""Not a stage: show the weights of the trained net, and export them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import PipelineError, reports_errors

app = typer.Typer(add_completion=False)


class Format(StrEnum):
    """What an export is made of."""

    csv = "csv"
    npz = "npz"
    safetensors = "safetensors"


@app.command()
@reports_errors
def main(
    model: Annotated[Path, typer.Option(help="The model file.")] = Path("data/model/weights.npz"),
    export: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Write the arrays there, too.")] = None,
    form: Annotated[Format, typer.Option("--format", help="csv: one file an array; else one in all.")] = Format.csv,
) -> None:
    """Print name, shape, type, range and norm of each array of the trained net.

    Example: python -m pipeline.weights --export /tmp/weights --format csv
    """
    import numpy as np

    from pipeline.files import write_bytes
    from pipeline.nn.weights import load_weights
    from pipeline.npz import write_npz
    from pipeline.text import table

    arrays, about = load_weights(model)
    typer.echo(f"{about['net']['model']}: {sum(array.size for array in arrays.values()):,} weights")
    typer.echo(f"{'name':8}{'shape':>16}{'type':>10}{'least':>12}{'greatest':>12}{'norm':>12}")
    for name, a in arrays.items():
        shape = " x ".join(map(str, a.shape))
        typer.echo(f"{name:8}{shape:>16}{a.dtype!s:>10}{a.min():12.4g}{a.max():12.4g}{np.linalg.norm(a):12.4g}")
    if export and form is Format.csv:
        for name, a in arrays.items():
            rows = a.reshape(len(a), -1).tolist()
            write_bytes(export / f"{name}.csv", table([f"{i}" for i in range(len(rows[0]))], rows))
    elif export and form is Format.npz:
        write_npz(export / "weights.npz", arrays)
    elif export:
        try:
            from safetensors.numpy import save  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            raise PipelineError("safetensors is not installed; install it: pip install safetensors.") from None
        write_bytes(export / "weights.safetensors", save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))


if __name__ == "__main__":
    app()
