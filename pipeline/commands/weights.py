"""Not a stage: show the weights of the trained net."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import reports_errors


@reports_errors
def main(
    model: Annotated[Path, typer.Option(metavar="PATH", help="The model file.")] = Path("data/model/weights.npz"),
) -> None:
    """Print name, shape, type, range and norm of each array of the trained net; `pipeline export` writes them.

    Example: pipeline weights --model data/model/weights.npz
    """
    import numpy as np

    from pipeline.model import load_model

    classifier = load_model(model)
    count = sum(array.size for array in classifier.weights.values())
    typer.echo(f"{', '.join(classifier.about['net']['layers'])}: {count:,} weights")
    typer.echo(f"{'name':8}{'shape':>16}{'type':>10}{'least':>12}{'greatest':>12}{'norm':>12}")
    for name, a in classifier.weights.items():
        shape = " x ".join(map(str, a.shape))
        typer.echo(f"{name:8}{shape:>16}{a.dtype!s:>10}{a.min():12.4g}{a.max():12.4g}{np.linalg.norm(a):12.4g}")
