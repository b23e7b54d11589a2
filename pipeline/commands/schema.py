"""Not a stage: the rules of params.yaml as JSON Schema, so that editors can check and complete it."""

import json
from typing import Any

import typer

from pipeline.base.errors import reports_errors


@reports_errors
def main() -> None:
    """Print the JSON Schema of params.yaml; the first line of params.yaml names it for editors.

    Example: pipeline schema > params.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2))


def json_schema() -> dict[str, Any]:
    """One section per stage; the stages themselves check the ranges of the numbers after a word."""
    from pipeline.params import Convert, Download, Evaluate
    from pipeline.training.settings import Train

    sections = {one.__name__.lower(): one.model_json_schema() for one in (Download, Convert, Train, Evaluate)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml",
        "description": "Every parameter of the pipeline, one section per stage.",
        "type": "object",
        "properties": sections,
        "required": list(sections),
        "additionalProperties": False,
    }
