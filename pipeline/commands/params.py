"""Not a stage: a parameter file to begin with."""

from typing import Annotated

import typer

from pipeline.base.errors import reports_errors


@reports_errors
def main(
    digits: Annotated[bool, typer.Option("--digits", help="For the bundled digits, not for MNIST.")] = False,
) -> None:
    """Print a params.yaml with every parameter; the stages read it in the folder where they run.

    Example: pipeline params --digits > params.yaml
    """
    from pipeline.base.paths import bundled

    name = "examples/digits/params.yaml" if digits else "params.yaml"
    typer.echo(bundled(name).read_text("utf-8"), nl=False)
