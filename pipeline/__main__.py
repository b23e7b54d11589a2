"""Every command behind one name, with completion for the shell: `pipeline train --help`, `python -m pipeline train`."""

from importlib import import_module, metadata
from typing import Annotated

import typer

from pipeline.base.errors import reports_errors

STAGES = ("download", "convert", "train", "evaluate")
COMMANDS = (
    *("predict", "committee", "weights", "export", "features", "compare"),
    *("import_folder", "gradcheck", "schema", "verify", "sweep"),
)


@reports_errors
def main() -> None:
    """Run the command that is named; each stage is also a module, which DVC runs."""
    app = typer.Typer(no_args_is_help=True, help="Handwritten digits with NumPy alone, to the same bits everywhere.")
    app.callback(invoke_without_command=True)(options)
    for name in (*STAGES, *(f"commands.{name}" for name in COMMANDS)):
        app.command(name.removeprefix("commands.").replace("_", "-"))(import_module(f"pipeline.{name}").main)
    app(prog_name="pipeline")


def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Handwritten digits with NumPy alone, to the same bits everywhere.

    `pipeline --install-completion` teaches your shell the commands and their options.
    """
    if version:
        typer.echo(f"pipeline {metadata.version('reproducible-mnist-pipeline')}")
        raise typer.Exit


if __name__ == "__main__":
    main()
