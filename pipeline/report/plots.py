"""Pictures of training and of its result, as PNG files. The only module that imports matplotlib.

Figures are drawn straight to the Agg canvas in matplotlib's default style, whatever the user's settings say, and
saved without the software's version, so that the same numbers give the same bytes.
"""

import functools
import io
import math
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import numpy as np

from pipeline.base.arrays import Array
from pipeline.report.chart import Chart

if TYPE_CHECKING:  # matplotlib itself is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS, STYLES = ("#1f77b4", "#d95f02"), ("-", "--")  # colours and styles of the lines of a chart

P = ParamSpec("P")


def picture(draw: Callable[Concatenate["Figure", P], None]) -> Callable[P, bytes]:
    """Turn a function that draws on a figure into one that returns the PNG file."""

    @functools.wraps(draw)
    def png(*args: P.args, **kwargs: P.kwargs) -> bytes:
        import_matplotlib()
        from matplotlib import rc_context, rcParamsDefault
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        style: dict[Any, Any] = {key: value for key, value in rcParamsDefault.items() if key != "backend"}
        style["text.parse_math"] = False  # a "$" in the name of a class or a file is only a letter
        buffer = io.BytesIO()
        with rc_context(style), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # such a letter is drawn as a box
            figure = Figure(layout="constrained")
            FigureCanvasAgg(figure)
            draw(figure, *args, **kwargs)
            figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        return buffer.getvalue()

    return png


def import_matplotlib() -> None:
    """Import matplotlib, which refuses to be imported while MPLBACKEND names a backend that it does not know."""
    if "matplotlib" in sys.modules or "MPLBACKEND" not in os.environ:
        return
    backend = os.environ.pop("MPLBACKEND")
    try:
        import matplotlib
    finally:
        os.environ["MPLBACKEND"] = backend
    with suppress(ValueError):
        matplotlib.rcParams["backend"] = backend


def plain(figure: "Figure", width: float, height: float, title: str) -> "Axes":
    """The only chart of a figure, without frame at the top and the right."""
    figure.set_size_inches(width, height)
    axes = figure.add_subplot(title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    return axes


@picture
def line_chart(figure: "Figure", chart: Chart) -> None:
    """The same chart as in the page."""
    axes = plain(figure, 7, 4.5, chart.title)
    for (name, points), colour, style in zip(chart.lines.items(), COLOURS, STYLES, strict=False):
        axes.plot(*zip(*points, strict=True), color=colour, linestyle=style, label=name)
    xs, ys = chart.ticks()
    axes.set_xticks(xs, [f"{x:,g}" for x in xs])
    axes.set_yticks(ys, [chart.write(y) for y in ys])
    axes.set(xlabel=chart.labels[0], ylabel=chart.labels[1])
    axes.legend(frameon=False)


@picture
def confusion_chart(figure: "Figure", confusion: Array, names: Sequence[str]) -> None:
    """The confusion matrix; colour shows only mistakes, because the diagonal would hide them."""
    size = 2.5 + 0.55 * len(names)
    axes = plain(figure, size, size, "Confusion: what was shown, what was said")
    mistakes = confusion - np.diag(confusion.diagonal())
    most = 1.6 * max(int(mistakes.max()), 1)  # so that black text stays legible
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=most)
    for (row, column), count in np.ndenumerate(confusion):
        weight, colour = "bold" if row == column else "normal", "black" if count else "0.75"
        axes.text(column, row, str(count), ha="center", va="center", fontsize=9, weight=weight, color=colour)
    axes.grid(visible=False)
    tilt = 45 if max(map(len, names)) > 2 else 0
    axes.set_xticks(range(len(names)), names, rotation=tilt, ha="right" if tilt else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")


@picture
def tiles(
    figure: "Figure", pictures: Array, titles: Sequence[str], title: str, columns: int, signed: bool = False
) -> None:
    """Pictures (M, Y, X) side by side; signed ones red below zero and blue above, each on its own scale."""
    rows, (high, wide) = max(math.ceil(len(pictures) / columns), 1), pictures.shape[1:]
    apart = 1.35 if any(titles) else 1.12  # from the top of a picture to the next, in its heights
    figure.set_size_inches(1.25 * columns, 1.1 * apart * rows * high / wide + 0.5)
    axes = figure.add_subplot(title=title)  # one for all: as many axes as pictures take ten times longer
    for place, (image, text) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(place, columns)
        left, top = 1.12 * wide * column, apart * high * row
        reach = float(np.abs(image).max()) or 1.0
        low, colours = (-reach, "RdBu") if signed else (0.0, "gray_r")
        axes.imshow(image, cmap=colours, vmin=low, vmax=reach, extent=(left, left + wide, top + high, top))
        axes.text(left + wide / 2, top - 0.04 * high, text, fontsize=8, ha="center", va="bottom")
    axes.set(xlim=(0, 1.12 * wide * columns), ylim=(apart * high * rows, -(apart - 1.12) * high))
    axes.axis("off")


@picture
def rows(figure: "Figure", pictures: Mapping[str, Array], titles: Sequence[str]) -> None:
    """Named rows of pictures (M, Y, X), one below the other, with one title per column."""
    figure.set_size_inches(1.1 * len(titles) + 1, 1.25 * len(pictures) + 0.3)
    grid = figure.subplots(len(pictures), len(titles), squeeze=False)
    for line, (name, images) in zip(grid, pictures.items(), strict=True):
        line[0].set_ylabel(name)
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)


def mistakes_chart(images: Array, titles: Sequence[str]) -> bytes:
    """The worst mistakes: images (M, Y, X), each with the right class and the answer."""
    none = "" if len(images) else ": none"
    return tiles(images, titles, f"Worst mistakes{none}", columns=min(6, max(len(images), 4)))


def weights_chart(pictures: Array) -> bytes:
    """First-layer weights as images (M, Y, X), blue where ink speaks for a unit and red where against."""
    return tiles(
        pictures, [""] * len(pictures), "First-layer weights", columns=10 if len(pictures) > 10 else 5, signed=True
    )
