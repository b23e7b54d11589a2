"""Line charts: what they show, in the page and in the PNG files, and how they look in the page.

In the page they are SVG, with the colours of the page: light, dark, or printed.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 40, 14, 56
TICKS = 5  # about so many on an axis
LEAST = 1e-6  # of the values: smaller differences are drawn as a flat line
MOST_POINTS = 400  # points of the curve of the loss


class Chart(NamedTuple):
    """Lines by name through points (x, y); labels of the axes; how to write y; whether y begins at 0.

    marks: the numbers along y, where round numbers do not fit.
    """

    title: str
    lines: Mapping[str, Points]
    labels: tuple[str, str]
    write: Callable[[float], str]
    zero: bool = False
    marks: Sequence[float] = ()

    def ticks(self) -> tuple[list[float], list[float]]:
        """The numbers along x and along y; each axis reaches from its first to its last tick."""
        x, y = zip(*(point for points in self.lines.values() for point in points), strict=True)
        return ticks(min(x), max(x)), list(self.marks) or ticks(0.0 if self.zero else min(y), max(y))


def accuracies(curves: Mapping[str, Sequence[float]], held_out: str) -> Chart:
    """Accuracy by epoch, in columns epoch, train and held_out, without the untrained net: it would flatten the rest."""
    first = 1 if len(curves["epoch"]) > 2 else 0
    lines = {
        f"{name} {curve[-1]:.2%}": [(e, 100 * a) for e, a in list(zip(curves["epoch"], curve, strict=True))[first:]]
        for name, curve in (("train", curves["train"]), (held_out, curves["held_out"]))
    }
    return Chart("Accuracy after each epoch", lines, ("epoch", "accuracy"), lambda y: f"{y:g}%")


def mean_losses(losses: Sequence[float]) -> Chart:
    """The loss of the batches, averaged over runs of iterations."""
    points = thinned(losses, MOST_POINTS)
    title = f"Loss over {len(losses):,} iterations, from {points[0][1]:.3f} to {points[-1][1]:.3f}"
    return Chart(title, {"loss": points}, ("iteration", "loss"), lambda y: f"{y:g}", zero=True)


def svg(chart: Chart) -> str:
    """The chart within a page."""
    (xs, ys), (below, beside) = chart.ticks(), map(escape, chart.labels)
    across, down = scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT), scale(ys[0], ys[-1], HEIGHT - BOTTOM, TOP)
    said = escape(f"{chart.title}: {', '.join(chart.lines)}")
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}">']
    for y in ys:
        at = f"{down(y):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="0.32em" text-anchor="end">{escape(chart.write(y))}</text>')
    parts += [f'<text x="{across(x):.1f}" y="{HEIGHT - BOTTOM + 22}" text-anchor="middle">{x:,g}</text>' for x in xs]
    parts.append(f'<text x="{(LEFT + WIDTH) // 2}" y="{HEIGHT - 8}" text-anchor="middle">{below}</text>')
    for i, points in enumerate(chart.lines.values()):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="line{i}" points="{path}"/>')
    keys = "".join(f'<li class="key{i}">{escape(name)}</li>' for i, name in enumerate(chart.lines))
    return f'{"".join(parts)}</svg><ul class="keys" aria-label="{beside}">{keys}</ul>'


def scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """A function from values between low and high to places between start and stop."""
    return lambda value: start + (value - low) / (high - low) * (stop - start)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below `low` to above `high`, at least two."""
    reach = high - low
    if reach < LEAST * max(abs(low), abs(high), 1.0):  # a flat line
        reach = max(abs(high), 1.0)
    power = float(f"1e{math.floor(math.log10(reach / TICKS))}")  # no pow: its last bit differs between machines
    step = next(power * factor for factor in (1, 2, 5, 10) if reach / (power * factor) <= TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def thinned(values: Sequence[float], most: int) -> list[tuple[float, float]]:
    """At most `most` points: x counts values from 1 to the end of a run of them, y is the mean of the run."""
    if not values:
        return []
    count = min(most, len(values))
    ends = [len(values) * i // count for i in range(count + 1)]
    return [(float(b), math.fsum(values[a:b]) / (b - a)) for a, b in pairwise(ends)]
