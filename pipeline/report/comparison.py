"""A page that puts runs side by side: settings that differ, metrics, and their curves in one chart."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Protocol

from pipeline.report.plots import compared_curves, png

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #8885; }
th:first-child { text-align: left; font-weight: normal; }
img { max-width: 100%; background: white; }
"""


class Run(Protocol):
    """What is compared: a name, parameters by section.key, metrics, and columns epoch, train and held_out."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def params(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def curves(self) -> Mapping[str, Sequence[float]]: ...  # noqa: D102


def comparison(runs: Sequence[Run]) -> bytes:
    """The page, whole: it needs no other file and no network."""
    names = [run.name for run in runs]
    differing = [key for key in sorted({key for run in runs for key in run.params}) if varies(runs, key)]
    settings = [[key, *(str(run.params.get(key, "")) for run in runs)] for key in differing]
    metrics = [[key, *(number(run.metrics.get(key)) for run in runs)] for key in sorted(runs[0].metrics)]
    picture = png(compared_curves({run.name: (run.curves["epoch"], run.curves["held_out"]) for run in runs}))
    image = base64.b64encode(picture).decode()
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(", ".join(names))}</title>
<style>{STYLE}</style>
<h1>{len(runs)} runs compared</h1>
<table>{"".join(rows([["", *names], *metrics, *settings]))}</table>
<p>Parameters that are the same in all runs are left out.</p>
<img alt="accuracy on held-out images by epoch, a line a run" src="data:image/png;base64,{image}">
</html>
"""
    return page.encode()


def varies(runs: Sequence[Run], key: str) -> bool:
    """Whether a parameter is not the same in all runs."""
    return len({str(run.params.get(key)) for run in runs}) > 1


def number(value: Any) -> str:
    """A metric, to four decimals if it is a fraction."""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def rows(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """The first row and the first column of a table as headers, the rest as cells."""
    for i, (head, *cells) in enumerate(table):
        tag = "th" if i == 0 else "td"
        yield f"<tr><th>{escape(head)}</th>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>\n"
