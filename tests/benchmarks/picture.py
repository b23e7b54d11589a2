"""The benchmark as a picture: times relative to ours, and cost as work grows."""

import itertools

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot


def draw(path, rows, grown):
    """One panel a work, and two of growth."""
    works = [(title, list(group)) for title, group in itertools.groupby(rows, key=lambda row: row[0])]
    figure, axes = pyplot.subplots(len(works) + 1, 1, figsize=(9, 2.1 * len(works) + 3.4), layout="constrained")
    for axis, (title, group) in zip(axes, works, strict=False):
        names, times = [row[1] for row in group], [row[4] for row in group]
        bars = axis.barh(names[::-1], times[::-1], color=["#b0b0b0"] * (len(names) - 1) + ["#1f6fb4"])
        axis.bar_label(bars, [f" {row[2]:,.0f} µs  ({row[4]:,.1f}×)" for row in group[::-1]], fontsize=8)
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_xscale("log" if max(times) > 50 else "linear")
        axis.margins(x=0.2)
        axis.spines[["top", "right"]].set_visible(False)
    axis, memory = axes[-1], axes[-1].twinx()
    hidden = [row for row in grown if row[0] == "hidden units"]
    axis.plot([row[1] for row in hidden], [row[2] for row in hidden], "o-", color="#1f6fb4")
    memory.plot([row[1] for row in hidden], [row[3] for row in hidden], "s--", color="#b05a1f")
    axis.set(xscale="log", yscale="log", xlabel="hidden units", ylabel="µs an image (dots)")
    memory.set(ylabel="MB beside the images (squares)", ylim=(0, None))
    axis.set_title("cost as the net grows", fontsize=10, loc="left")
    figure.savefig(path, dpi=110, metadata={"Software": None})
