"""Not a stage: several runs side by side, from what git and DVC remember of them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, NamedTuple

import typer

from pipeline.base.errors import PipelineError, printable, reports_errors

app = typer.Typer(add_completion=False)

Settings = dict[str, Any]


class Run(NamedTuple):
    """One revision: its parameters by section.key, its metrics, and the columns of its curves."""

    name: str
    params: Settings
    metrics: Settings
    curves: dict[str, list[float]]


@app.command()
@reports_errors
def main(
    revisions: Annotated[list[str] | None, typer.Argument(help="Commits, branches or experiments.")] = None,
    out: Annotated[Path, typer.Option(metavar="HTML", help="Where the page goes.")] = Path("data/compare.html"),
) -> None:
    """Compare runs in one page: what was set differently, what came out, and the curves in one chart.

    Without revisions: the last commit and the experiments that started from it.

    Example: pipeline compare HEAD wide tanh
    """
    from pipeline.base.files import write_bytes
    from pipeline.base.paths import require_other
    from pipeline.report.comparison import comparison

    require_other(out, *map(Path, ("params.yaml", "data/evaluation/metrics.json", "data/model/accuracy.csv")))
    runs = [read_run(name) for name in revisions or ["HEAD", *experiments()]]
    write_bytes(out, comparison(runs))
    typer.echo(printable(f"{', '.join(run.name for run in runs)}: {out}"))


def experiments() -> Iterator[str]:
    """The names of the experiments that started from the last commit."""
    from dvc.api import exp_show

    git("rev-parse", "HEAD")  # where there is no repository, DVC says so in hundreds of lines
    yield from (row["Experiment"] for row in exp_show() if row["Experiment"])


def read_run(name: str) -> Run:
    """What is remembered of a revision. Raises PipelineError where it is unknown or its results are gone."""
    from dvc.api import read
    from dvc.exceptions import DvcException
    from scmrepo.exceptions import SCMError

    from pipeline.base.text import columns
    from pipeline.params import parse

    here = PurePosixPath(git("rev-parse", "--show-prefix"))
    try:
        texts = {file: read(str(here / file), rev=name) for file in ("params.yaml", "data/evaluation/metrics.json")}
        curves = read(str(here / "data/model/accuracy.csv"), rev=name)
    except (DvcException, SCMError, OSError) as error:
        reason = str(error).rstrip(".")
        raise PipelineError(f"nothing to compare at {name}: {reason}; run dvc repro there, or name another.") from None
    params, metrics = (parse(text) for text in texts.values())
    flat = {f"{section}.{key}": value for section, keys in params.items() for key, value in keys.items()}
    return Run(name, flat, metrics, columns(curves))


def git(*arguments: str) -> str:
    """What git answers. Raises PipelineError outside a repository."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)  # noqa: S603, S607  # git as it is found
    if done.returncode:
        raise PipelineError(f"git says: {done.stderr.strip()}; runs are compared inside the project's repository.")
    return done.stdout.strip()


if __name__ == "__main__":
    app()
