"""The benchmark as a picture: times relative to ours, and cost as work grows."""

import itertools

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

OURS, OTHERS, MEMORY = "#1f6fb4", "#b0b0b0", "#b05a1f"
GROWTH = {"hidden units": "cost as the net grows", "images": "cost as the data grows, 50 hidden units"}


def draw(path, about, rows, grown):
    """One panel per work, and one per kind of growth; `about` says what was measured, and on which machine."""
    works = [(title, list(group)) for title, group in itertools.groupby(rows, key=lambda row: row[0])]
    count = len(works) + len(GROWTH)
    figure, axes = pyplot.subplots(count, 1, figsize=(9, 2.2 * count + 1.6), layout="constrained")
    figure.suptitle("\n".join(about), fontsize=7)
    for axis, (title, group) in zip(axes, works, strict=False):
        times_beside_ours(axis, title, group)
    for axis, (what, title) in zip(axes[len(works) :], GROWTH.items(), strict=True):
        growth(axis, title, what, [row[1:] for row in grown if row[0] == what])
    figure.savefig(path, dpi=110, metadata={"Software": None})


def times_beside_ours(axis, title, group):
    """One bar per contender, and the spread of its shots."""
    group = group[::-1]
    spreads = [row[3] / row[2] * row[4] for row in group]
    colors = [OTHERS] * (len(group) - 1) + [OURS]
    bars = axis.barh([row[1] for row in group], [row[4] for row in group], xerr=spreads, color=colors)
    axis.bar_label(bars, [f" {row[2]:,.0f} µs  ({row[4]:,.1f}×)" for row in group], fontsize=8)
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_xscale("log" if max(row[4] for row in group) > 50 else "linear")
    axis.margins(x=0.2)
    axis.spines[["top", "right"]].set_visible(False)


def growth(axis, title, what, rows):
    """Time per image, and memory besides the images, for more and more of `what`."""
    counts, times, megabytes = zip(*rows, strict=True)
    memory = axis.twinx()
    axis.plot(counts, times, "o-", color=OURS)
    memory.plot(counts, megabytes, "s--", color=MEMORY)
    axis.set(xscale="log", xlabel=what, ylabel="µs an image (dots)")
    axis.set(yscale="log") if max(times) > 10 * min(times) else axis.set(ylim=(0, 2 * max(times)))
    memory.set(ylabel="MB beside the images (squares)", ylim=(0, None))
    axis.set_xticks(counts, [f"{count:,}" for count in counts])
    axis.minorticks_off()
    axis.set_title(title, fontsize=10, loc="left")
