"""A page that puts runs side by side: settings that differ, metrics, and their curves in one chart."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import dropwhile
from typing import Any, NamedTuple

from pipeline.report.chart import Chart, Points, svg
from pipeline.report.made import flow
from pipeline.report.page import filled, heads, rows, template

FIRST = ("validation_accuracy", "accuracy")  # the metrics that rank runs
LEAST = 1e-7  # share of mistakes: a smaller share is drawn as this one
DASHES = {"solid": "none", "dashed": "7 4", "dotted": "2 3"}  # names of CSS: patterns of SVG
CHOSEN_BY = ("accuracy", "loss", "crops_accuracy")  # metrics of the validation split, if there is one


class Run(NamedTuple):
    """A run to compare: its name, parameters by section.key, metrics, and columns epoch and held_out."""

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    curves: Mapping[str, Sequence[float]]


def comparison(runs: Sequence[Run], skipped: str = "") -> bytes:
    """The whole page, the best run first; it needs no other file. skipped: the runs that it leaves out, and why."""
    runs = ranked(runs)
    settings = [[key, *(setting(run.params.get(key, "")) for run in runs)] for key in keys(run.params for run in runs)]
    differing = [row for row in settings if len({*row[1:]}) > 1]
    metrics = sorted(
        keys(run.metrics for run in runs), key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST)
    )
    measured = [[key, *(number(key, run.metrics.get(key, "")) for run in runs)] for key in metrics]
    parts = {
        "title": escape(", ".join(run.name for run in runs)),
        "count": f"{len(runs)} run{'s' * (len(runs) > 1)}",
        "order": order(runs),
        "skipped": f"<p>Not compared: {escape(skipped)}.</p>" if skipped else "",
        "table": f"<tr><td></td>{heads(run.name for run in runs)}</tr>{rows([*measured, *differing])}",
        "chart": f'<div class="lines">{svg(chart(runs))}</div>',
        "style": template("page.css") + "".join(looks(len(runs))),
    }
    return filled("comparison.html", parts).encode(errors="replace")


def looks(count: int) -> Iterator[str]:
    """The colour and the dashes of each line and of its key, as CSS."""
    for i in range(count):
        style, dashes = list(DASHES.items())[i % len(DASHES)]
        yield f".line{i}, .key{i} {{ --hue: {360 * i // count}; --dashes: {dashes}; --style: {style} }}\n"


def ranked(runs: Iterable[Run], objective: str = "accuracy") -> list[Run]:
    """The best first: runs with a validation split by their metric on it, then the others by that on the test set."""
    return sorted(runs, key=lambda run: worth(run, objective), reverse=True)


def worth(run: Run, objective: str = "accuracy") -> tuple[bool, float]:
    """The rank of a run: whether it has a validation split, and its metric there, or else on the test set.

    More is better, so a loss becomes negative.
    """
    validation = run.metrics.get(f"validation_{objective}")
    value = run.metrics[objective] if validation is None else validation
    return validation is not None, -value if objective == "loss" else value


def order(runs: Sequence[Run], objective: str = "accuracy") -> str:
    """The sentence about the order of the runs."""
    validated = [worth(run, objective)[0] for run in runs]
    if all(validated):
        return f"The best run comes first, by {objective} on the validation split."
    if any(validated):
        return (
            f"First the runs with a validation split, by {objective} on it; "
            f"then the others, by {objective} on the test set."
        )
    return f"The best run comes first, by {objective} on the test set: no run has a validation split."


def chart(runs: Sequence[Run]) -> Chart:
    """Accuracy by epoch, one line per run, by the logarithm of the mistakes: 90 to 95% is as far as 99 to 99.5%."""
    lines = curves(runs)
    mistakes = [1 - accuracy for points in lines.values() for _, accuracy in points]
    least = max(min((share for share in mistakes if share > 0), default=0.1) / 2, LEAST)  # stands for no mistakes
    return Chart(
        "Accuracy on held-out images",
        {name: [(epoch, height(accuracy, least)) for epoch, accuracy in points] for name, points in lines.items()},
        ("epoch", "runs"),
        lambda y: f"{100 - 100 * 10**-y:.6g}%",
        marks=marks(max([*mistakes, least]), max(min(mistakes), least)),
    )


def height(accuracy: float, least: float) -> float:
    """The height of an accuracy in the chart: the logarithm of its mistakes, which count as at least `least`."""
    return -math.log10(max(1 - accuracy, least))


def marks(most: float, least: float) -> list[float]:
    """Heights in the chart for round shares of mistakes (such as 5%, 2%, 1%), around `most` to `least`."""
    for factors in ((5, 2, 1), range(9, 0, -1)):
        shares = [1.0, *(factor / 10**power for power in range(1, 9) for factor in factors)]
        above = [share for share in shares if share >= most]
        found = [share for share in shares if least < share < above[-1]]
        below = next(share for share in shares if share <= least and share < above[-1])
        if len(found) > 2:
            break
    return [-math.log10(share) for share in (above[-1], *found, below)]


def curves(runs: Sequence[Run]) -> dict[str, Points]:
    """Epochs and accuracies of each run without the steep rise at first, because it would make all lines look alike.

    A line begins where it reaches the lowest accuracy in the second half of any run.
    """
    lines = {run.name: list(zip(run.curves["epoch"], run.curves["held_out"], strict=True)) for run in runs}
    low = min(accuracy for points in lines.values() for _, accuracy in points[len(points) // 2 :])
    return {name: [*dropwhile(lambda point: point[1] < low, points)] for name, points in lines.items()}


def keys(tables: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all tables, without repetition."""
    return sorted({key for table in tables for key in table})


def setting(value: Any) -> str:
    """A parameter as params.yaml has it, whatever the schema was at that time; a date, for example, is not JSON."""
    try:
        return flow(value)
    except TypeError:
        return str(value)


def number(key: str, value: Any) -> str:
    """A metric: a share of images in percent, any other fraction to four decimals."""
    if isinstance(value, float):
        return f"{value:.2%}" if key.endswith(("accuracy", "rate")) else f"{value:.4f}"
    return str(value)
