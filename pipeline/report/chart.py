"""Line charts as SVG within a page: they follow its colours, by day, by night and on paper."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 26, 12, 40
TICKS = 5  # about
LEAST = 1e-6  # of the values: what differs less is drawn as the same


def line_chart(
    title: str, lines: Mapping[str, Points], labels: tuple[str, str], write: Callable[[float], str], zero: bool = False
) -> str:
    """An SVG of lines by name through points (x, y); labels of the axes; how to write y; whether y begins at 0."""
    every = [point for points in lines.values() for point in points]
    xs = ticks(min(x for x, _ in every), max(x for x, _ in every))
    ys = ticks(0.0 if zero else min(y for _, y in every), max(y for _, y in every))
    across, down = scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT), scale(ys[0], ys[-1], HEIGHT - BOTTOM, TOP)
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for y in ys:
        at = f"{down(y):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at}" dy="0.32em" text-anchor="end">{escape(write(y))}</text>')
    below = HEIGHT - BOTTOM + 16
    parts += [f'<text x="{across(x):.1f}" y="{below}" text-anchor="middle">{x:,g}</text>' for x in xs]
    parts.append(f'<text x="{(LEFT + WIDTH) // 2}" y="{HEIGHT - 4}" text-anchor="middle">{escape(labels[0])}</text>')
    for i, points in enumerate(lines.values()):
        path = " ".join(f"{across(x):.1f},{down(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="line{i}" points="{path}"/>')
    keys = "".join(f'<li class="key{i}">{escape(name)}</li>' for i, name in enumerate(lines))
    return f'{"".join(parts)}</svg><ul class="keys" aria-label="{escape(labels[1])}">{keys}</ul>'


def scale(low: float, high: float, start: float, stop: float) -> Callable[[float], float]:
    """From values between low and high to places between start and stop."""
    return lambda value: start + (value - low) / (high - low) * (stop - start)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from below `low` to above `high`, at least two."""
    reach = high - low
    if reach < LEAST * max(abs(low), abs(high), 1.0):  # a flat line
        reach = max(abs(high), 1.0)
    power = float(f"1e{math.floor(math.log10(reach / TICKS))}")  # no pow, whose last bit is anybody's
    step = next(power * factor for factor in (1, 2, 5, 10) if reach / (power * factor) <= TICKS)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def thinned(values: Sequence[float], most: int) -> list[tuple[float, float]]:
    """At most `most` points: means of as many runs of `values`, over the last one's number, from 1."""
    if not values:
        return []
    count = min(most, len(values))
    ends = [len(values) * i // count for i in range(count + 1)]
    return [(float(b), math.fsum(values[a:b]) / (b - a)) for a, b in pairwise(ends)]
