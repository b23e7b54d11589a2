"""JSON and CSV as bytes: the same content gives the same bytes, and what is read is what was asked for."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened


def strict_json(content: Any) -> bytes:
    """Sorted keys, a newline at the end; ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"


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
        with opened(path, remake) as file:
            return columns(file.read().decode())
    except ValueError as error:
        raise PipelineError(f"{path} is not a table of numbers ({error}); {remake}.") from None


def columns(text: str) -> dict[str, list[float]]:
    """The columns of CSV text, by name. Raises ValueError where it is no table of numbers."""
    header, *rows = csv.reader(io.StringIO(text))
    numbers = zip(*([float(cell) for cell in row] for row in rows), strict=True)
    return dict(zip(header, map(list, numbers), strict=True))
