"""A page that puts runs side by side: settings that differ, metrics, and their curves in one chart."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import dropwhile
from typing import Any, NamedTuple

from pipeline.report.chart import Chart, Points, svg

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #8885; }
th:first-child { text-align: left; font-weight: normal; }
.chart { font-size: 13px; }
.chart text { fill: currentColor; }
.chart .grid { stroke: #8885; }
.chart polyline { fill: none; stroke-width: 2; }
.keys { display: flex; flex-wrap: wrap; gap: 0 1.2rem; list-style: none; }
.keys li::before { content: "—— "; font-weight: bold; }
"""


class Run(NamedTuple):
    """What is compared: a name, parameters by section.key, metrics, and columns epoch and held_out."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]]


def comparison(runs: Sequence[Run]) -> bytes:
    """The page, whole, the best run first: it needs no other file and no network."""
    runs = ranked(runs)
    names = [run.name for run in runs]
    settings = [[key, *(setting(run.params.get(key, "")) for run in runs)] for key in keys(run.params for run in runs)]
    differing = [row for row in settings if len({*row[1:]}) > 1]
    metrics = [[key, *(number(run.metrics.get(key, "")) for run in runs)] for key in keys(run.metrics for run in runs)]
    chart = svg(Chart("Accuracy on held-out images", curves(runs), ("epoch", "runs"), lambda y: f"{y:g}%"))
    hues = [f"hsl({360 * i // len(runs)} 75% 45%)" for i in range(len(runs))]
    colours = "".join(
        f".line{i} {{ stroke: {hue} }} .key{i}::before {{ color: {hue} }}\n" for i, hue in enumerate(hues)
    )
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(", ".join(names))}</title>
<style>{STYLE}{colours}</style>
<h1>{len(runs)} runs compared</h1>
<p>{order(runs)}</p>
<table>{"".join(rows([["", *names], *metrics, *differing]))}</table>
<p>Parameters that are the same in all runs are left out.</p>
<h2>Accuracy on held-out images by epoch, after the first steep rise</h2>
{chart}
</html>
"""
    return page.encode(errors="replace")


def ranked(runs: Iterable[Run]) -> list[Run]:
    """The best first: those with a validation split by their accuracy on it, then the others by test accuracy."""
    return sorted(runs, key=worth, reverse=True)


def worth(run: Run) -> tuple[bool, float]:
    """What a run is ranked by: whether it has a validation split, and its accuracy there, or else on the test set."""
    validation = run.metrics.get("validation_accuracy")
    return (False, run.metrics["accuracy"]) if validation is None else (True, validation)


def order(runs: Sequence[Run]) -> str:
    """What the page says of the order of its runs."""
    validated = [worth(run)[0] for run in runs]
    if all(validated):
        return "The best run comes first, by accuracy on the validation split."
    if any(validated):
        return (
            "First the runs with a validation split, by accuracy on it; then the others, by accuracy on the test set."
        )
    return "The best run comes first, by accuracy on the test set: no run has a validation split."


def curves(runs: Sequence[Run]) -> dict[str, Points]:
    """Held-out accuracy in % by epoch, a line a run, without the steep rise at first, which would make all look alike.

    A line begins where it reaches the lowest accuracy in the second half of any run.
    """
    lines = {run.name: list(zip(run.curves["epoch"], run.curves["held_out"], strict=True)) for run in runs}
    low = min(accuracy for points in lines.values() for _, accuracy in points[len(points) // 2 :])
    return {
        name: [(epoch, 100 * accuracy) for epoch, accuracy in dropwhile(lambda point: point[1] < low, points)]
        for name, points in lines.items()
    }


def keys(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all tables, each once."""
    return sorted({key for table in tables for key in table})


def setting(value: Any) -> str:
    """A parameter as params.yaml writes lists: [affine 20, tanh, affine]."""
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def number(value: Any) -> str:
    """A metric, to four decimals if it is a fraction."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def rows(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first row and the first column of a table as headers, the rest as cells."""
    for i, (head, *cells) in enumerate(table):
        tag = "th" if i == 0 else "td"
        yield f"<tr><th>{escape(head)}</th>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>\n"
