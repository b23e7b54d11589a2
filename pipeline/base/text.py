"""JSON and CSV as bytes: the same content gives the same bytes, and what is read is what was asked for."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError


def strict_json(content: Any) -> bytes:
    """Sorted keys, a newline at the end; ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"


def read_json(content: str | bytes, where: Path, form: Any, remake: str) -> dict[str, Any]:
    """The JSON object in `content`, which `where` holds. Raises PipelineError where it is none, or not of that form.

    A form is a type, a set of texts to choose from, the pattern of a text, [the form of all elements], or {key: form}
    for keys that must be there; others may. A text must be printable, because it may reach a terminal.
    """
    try:
        tree = json.loads(content)
        problem = misfit(tree, form)
    except (ValueError, RecursionError) as error:
        problem = f"is no JSON: {error}"
    if problem:
        raise PipelineError(f"{where}: what it says of itself {problem}; {remake}.")
    return dict(tree)


def misfit(value: Any, form: Any, place: str = "all") -> str:
    """What is wrong with `value`, or nothing."""
    match form:
        case dict() if type(value) is dict:
            problems = [misfit(value.get(key), part, key) for key, part in form.items()]
        case list() if type(value) is list:
            problems = [misfit(each, form[0], place) for each in value]
        case _:
            problems = [] if fits(value, form) else [f"has {value!r:.60} for {place}"]
    return next(filter(None, problems), "")


def fits(value: Any, form: Any) -> bool:
    """Whether a value without parts is of that form."""
    match form:
        case type():
            return type(value) is form and (not isinstance(value, str) or value.isprintable())
        case set():
            return type(value) is str and value in form
        case re.Pattern():
            return type(value) is str and form.fullmatch(value) is not None
        case _:
            return False


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV; floats appear as the shortest decimal that reads back to the same float."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows(rows)
    return text.getvalue().encode()


def read_columns(path: Path, remake: str) -> dict[str, list[float]]:
    """The columns of a CSV file of numbers, by name. Raises PipelineError where it is missing or holds else."""
    try:
        return columns(path.read_text("utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path} does not exist; {remake}.") from None
    except ValueError as error:
        raise PipelineError(f"{path} is not a table of numbers ({error}); {remake}.") from None


def columns(text: str) -> dict[str, list[float]]:
    """The columns of CSV text, by name. Raises ValueError where it is no table of numbers."""
    header, *rows = csv.reader(io.StringIO(text))
    numbers = zip(*([float(cell) for cell in row] for row in rows), strict=True)
    return dict(zip(header, map(list, numbers), strict=True))
