"""Pictures of training and of its result. The only module that imports matplotlib.

Figures are drawn straight to the Agg canvas, whatever backend the user has set, and saved without the
software's version, so that the same numbers give the same bytes.
"""

import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.base.arrays import Array

TRAIN, HELD_OUT, FAINT = "#1f77b4", "#d95f02", "#b8c4d0"
WINDOW = 100  # iterations in the moving mean of the loss

# as a decorator: what it draws looks the same whatever the user's matplotlibrc says
plain_style = rc_context({key: value for key, value in rcParamsDefault.items() if key != "backend"})


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()


def plain(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure of one chart, without the lines that say nothing."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot(title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    return figure, axes


def accuracy_curve(epochs: Sequence[float], train: Sequence[float], held_out: Sequence[float], name: str) -> Figure:
    """Accuracy by epoch on the training images and on the held-out ones, which `name` names."""
    figure, axes = plain(7, 4.5, "Accuracy")
    for values, label, colour, mark in ((train, "train", TRAIN, "o"), (held_out, name, HELD_OUT, "s")):
        axes.plot(
            epochs, 100 * np.array(values), color=colour, marker=mark, markersize=4, label=f"{label} {values[-1]:.2%}"
        )
    axes.set(xlabel="epoch", ylabel="accuracy in %", ylim=(lowest([train, held_out]), None))
    axes.legend(frameon=False, loc="lower right")
    return figure


def lowest(curves: Iterable[Sequence[float]]) -> float:
    """Where the axis of some accuracies begins, in %: below all that was learnt, not below the untrained nets."""
    learnt = min(min(curve[1:] or curve) for curve in curves)
    return math.floor(20 * learnt) * 5.0


def compared_curves(runs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Held-out accuracy by epoch, a line a run."""
    figure, axes = plain(9, 5, "Accuracy on held-out images")
    for name, (epochs, accuracies) in runs.items():
        axes.plot(epochs, 100 * np.array(accuracies), marker="o", markersize=3, label=f"{name} {accuracies[-1]:.2%}")
    axes.set(xlabel="epoch", ylabel="accuracy in %", ylim=(lowest(curve for _, curve in runs.values()), None))
    axes.legend(frameon=False, loc="lower right")
    return figure


def loss_curve(losses: Sequence[float]) -> Figure:
    """Loss of each iteration's batch, and its moving mean."""
    figure, axes = plain(7, 4.5, "Loss")
    iterations = np.arange(1, len(losses) + 1)
    axes.plot(iterations, losses, color=FAINT, linewidth=0.6, label="each batch")
    if len(losses) >= WINDOW:
        sums = np.cumsum(np.concatenate([[0.0], losses]))
        means = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
        axes.plot(iterations[WINDOW - 1 :], means, color=TRAIN, label=f"mean of {WINDOW}")
    axes.set(xlabel="iteration", ylabel="loss", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def confusion_chart(confusion: Array, names: Sequence[str]) -> Figure:
    """The confusion matrix; colour shows mistakes alone, or the diagonal would drown them."""
    size = 2.5 + 0.55 * len(names)
    figure, axes = plain(size, size, "Confusion: what was shown, what was said")
    mistakes = confusion - np.diag(confusion.diagonal())
    axes.imshow(
        mistakes, cmap="Oranges", vmin=0, vmax=1.6 * max(int(mistakes.max()), 1)
    )  # so that black text stays legible
    for row, column in np.ndindex(*confusion.shape):
        right = row == column
        axes.text(
            column,
            row,
            str(confusion[row, column]),
            ha="center",
            va="center",
            fontsize=9,
            weight="bold" if right else "normal",
            color="black" if confusion[row, column] else "0.75",
        )
    axes.grid(visible=False)
    tilt = 45 if max(map(len, names)) > 2 else 0
    axes.set_xticks(range(len(names)), names, rotation=tilt, ha="right" if tilt else "center")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def tiles(pictures: Array, titles: Sequence[str], title: str, columns: int, signed: bool = False) -> Figure:
    """Pictures (M, Y, X) side by side; signed ones red below zero and blue above, each on its own scale."""
    rows = max(math.ceil(len(pictures) / columns), 1)
    figure = Figure(figsize=(1.25 * columns, (1.55 if any(titles) else 1.2) * rows + 0.5), layout="constrained")
    figure.suptitle(title)
    for place in range(rows * columns):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.axis("off")
        if place < len(pictures):
            picture = pictures[place]
            reach = float(np.abs(picture).max()) or 1.0
            low, colours = (-reach, "RdBu") if signed else (0.0, "gray_r")
            axes.imshow(picture, cmap=colours, vmin=low, vmax=reach)
            axes.set_title(titles[place], fontsize=8)
    return figure


def rows(pictures: Mapping[str, Array], titles: Sequence[str]) -> Figure:
    """A named row of pictures (M, Y, X) below another, a column a title."""
    figure = Figure(figsize=(1.1 * len(titles) + 1, 1.25 * len(pictures) + 0.3), layout="constrained")
    grid = figure.subplots(len(pictures), len(titles), squeeze=False)
    for line, (name, row) in zip(grid, pictures.items(), strict=True):
        line[0].set_ylabel(name)
        for axes, picture in zip(line, row, strict=True):
            axes.imshow(picture, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    return figure


def mistakes_chart(images: Array, titles: Sequence[str]) -> Figure:
    """The worst mistakes: images (M, Y, X), each with what it is and what the net said."""
    none = "" if len(images) else ": none"
    return tiles(images, titles, f"Worst mistakes{none}", columns=min(5, max(len(images), 4)))


def weights_chart(pictures: Array) -> Figure:
    """First-layer weights as images (M, Y, X), blue where ink speaks for a unit and red where against."""
    return tiles(
        pictures, [""] * len(pictures), "First-layer weights", columns=10 if len(pictures) > 10 else 5, signed=True
    )
