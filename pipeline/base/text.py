"""JSON and CSV as bytes: the same content gives the same bytes, and content that is read is checked."""

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened


def strict_json(content: Any) -> bytes:
    """Sorted keys, a newline at the end; ValueError for NaN and infinity, which JSON does not have."""
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"


def percent(share: float, digits: int = 1) -> str:
    """'98.2%'; a share that would round to 100% is '>99.9%', and one that would round to 0% is '<0.1%'."""
    text, least = f"{share:.{digits}%}", 10.0**-digits
    if text == f"{1:.{digits}%}":
        return f">{100 - least:.{digits}f}%"
    return f"<{least:.{digits}f}%" if share > 0 and text == f"{0:.{digits}%}" else text


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """CSV; floats appear as the shortest decimal that reads back to the same float."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows(rows)
    return text.getvalue().encode()


def read_columns(path: Path, names: Iterable[str], remake: str) -> dict[str, list[float]]:
    """The columns of a CSV file of numbers, by name. Raises PipelineError where there is no such table."""
    with opened(path, remake) as file:
        return columns(file.read(), path, names, remake)


def columns(content: bytes, where: Path, names: Iterable[str], remake: str) -> dict[str, list[float]]:
    """The columns, by name, of a CSV table of finite numbers in the file `where`; `names` must be among them."""
    try:
        header, *rows = csv.reader(io.StringIO(content.decode()))
        numbers = zip(*([float(cell) for cell in row] for row in rows), strict=True)
        table = dict(zip(header, map(list, numbers), strict=True))
        if missing := set(names) - set(table):
            raise ValueError(f"no column {min(missing)}")
        if not all(math.isfinite(number) for column in table.values() for number in column):
            raise ValueError("NaN or infinity")
    except (ValueError, csv.Error) as error:
        raise PipelineError(f"{where} is not a table of numbers ({error}); {remake}.") from None
    return table
