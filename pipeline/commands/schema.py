"""Not a stage: params.yaml's rules as JSON Schema, with which editors check and complete it."""

import json
from typing import Any

import typer

from pipeline.base.errors import reports_errors


@reports_errors
def main() -> None:
    """Print the JSON Schema of params.yaml, which its first line names to editors.

    Example: pipeline schema > params.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2))


def json_schema() -> dict[str, Any]:
    """One section a stage; ranges of the numbers after a word are left to the stages."""
    from pipeline.params import Convert, Download, Evaluate
    from pipeline.training.settings import Train

    sections = {one.__name__.lower(): one.model_json_schema() for one in (Download, Convert, Train, Evaluate)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "params.yaml",
        "description": "Every parameter of the pipeline, one section a stage.",
        "type": "object",
        "properties": sections,
        "required": list(sections),
        "additionalProperties": False,
    }
