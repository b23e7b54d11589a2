"""What `--help` shows: no types of options, and for a stage every parameter with its values."""

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """A command beside the stages."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, without the names of their types, such as <bool> and <list[Path]>."""
        return untyped(super().get_params(ctx))


class Group(TyperGroup):
    """All commands behind one name."""

    def get_params(self, ctx: Any) -> list[Any]:
        """The same as for a command."""
        return untyped(super().get_params(ctx))


class Stage(Command):
    """A stage: its help ends with its section of params.yaml."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help; the schema of all sections takes a while to import, so it waits for this call."""
        schema = import_module("pipeline.commands.schema").json_schema()["properties"][self.name]
        heading = f"Parameters, in section {self.name} of params.yaml:"
        self.epilog = "\n\n".join([heading, *described(self.name, schema)])
        super().format_help(ctx, formatter)


def untyped(params: list[Any]) -> list[Any]:
    """The same parameters, without the Python types that Typer would show."""
    for param in params:
        if not isinstance(param, TyperOption) or param.is_flag:
            param.display_type_rich = lambda ctx: None
    return params


def described(section: str | None, schema: Mapping[str, Any]) -> Iterator[str]:
    """A line for each parameter in the JSON schema of a section: its key, its values, what it is."""
    for key, rule in schema["properties"].items():
        about = f"{rule['description']}; {rule['items']['description']}" if "items" in rule else rule["description"]
        values = f" ({found})" if (found := choices(rule)) else ""
        yield f"[cyan]{section}.{key}[/cyan]{values}: {about.replace('[', chr(92) + '[')}"


def choices(rule: Mapping[str, Any]) -> str:
    """'from 0', 'above 0, up to 1000', 'exact, float32, float64'; empty where the description has the values."""
    if options := [option for one in rule.get("anyOf", [rule]) for option in one.get("enum", ())]:
        return ", ".join(map(str, options))
    if rule["type"] not in ("integer", "number"):
        return "true, false" if rule["type"] == "boolean" else ""
    strict, most = "exclusiveMinimum" in rule, rule.get("maximum")
    low = f"above {rule['exclusiveMinimum']}," if strict else f"from {rule['minimum']}"
    high = f"to below {rule['exclusiveMaximum']}" if "exclusiveMaximum" in rule else f"{'up ' * strict}to {most}"
    return f"{low} {high}".removesuffix(" to None")


def run(main: Callable[..., None], name: str) -> None:
    """Run a stage as the program that was started."""
    app = typer.Typer(add_completion=False)
    app.command(name, cls=Stage)(main)
    app()
