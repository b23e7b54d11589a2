"""Every command behind one name, with completion for the shell: `pipeline train --help`, `python -m pipeline train`."""

from importlib import import_module, metadata
from typing import Annotated

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.usage import Command, Group, Stage

STAGES = ("download", "convert", "train", "evaluate")
GROUPS = {
    "Ask a trained net": ("predict", "committee", "weights", "export"),
    "Data and parameters": ("import_folder", "features", "params", "schema"),
    "Compare and prove": ("compare", "sweep", "gradcheck", "verify"),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)


@reports_errors
def main() -> None:
    """Run the command that is named; each stage is also a module, which DVC runs."""
    app = typer.Typer(cls=Group, no_args_is_help=True)
    app.callback(invoke_without_command=True)(options)
    for name in STAGES:
        panel = "Stages, in this order; dvc repro runs those that are not up to date"
        app.command(name, cls=Stage, rich_help_panel=panel)(import_module(f"pipeline.{name}").main)
    for panel, names in GROUPS.items():
        for name in names:
            command = import_module(f"pipeline.commands.{name}").main
            app.command(name.replace("_", "-"), cls=Command, rich_help_panel=panel)(command)
    app(prog_name="pipeline")


def options(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Handwritten digits with NumPy alone, with the same bits everywhere.

    `pipeline --install-completion` teaches your shell the commands and their options.

    Example: pipeline train --help
    """
    if version:
        typer.echo(f"pipeline {metadata.version('reproducible-mnist-pipeline')}")
        raise typer.Exit


if __name__ == "__main__":
    main()
