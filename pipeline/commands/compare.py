"""Not a stage: several runs side by side, as git and DVC remember them."""

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import PipelineError, library, one_line, printable, reports_errors
from pipeline.base.programs import git

if TYPE_CHECKING:  # the rest is imported where it is used, so that --help does not wait for it
    from pipeline.report.comparison import Run

FILES = [Path(file) for file in ("params.yaml", "data/evaluation/metrics.json", "data/model/accuracy.csv")]
REMAKE = "run dvc repro there"
DONE = (None, "Success")  # states of experiments that can be compared
TRIES, PAUSE = 20, 0.5  # seconds between two questions to DVC
WHERE = "runs are compared inside the project's repository"


@reports_errors
def main(
    revisions: Annotated[
        list[str] | None, typer.Argument(metavar="REVISION", help="Commits, branches or experiments.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="HTML", help="Where the page goes.")] = Path("data/compare.html"),
) -> None:
    """Compare runs in one page: the parameters that differ, the metrics, and the curves in one chart.

    Without revisions: the last commit and the experiments that started from it and ran the pipeline of this folder.
    Runs that cannot be compared are named on stderr; if you asked for one of them by name, the exit code is 1.

    Example: pipeline compare HEAD wide tanh
    """
    from pipeline.base.files import write_bytes
    from pipeline.base.paths import require_other
    from pipeline.report.comparison import comparison, ranked

    library("dvc", "dvc")
    require_other(out, *FILES)
    runs: list[Run] = []
    skipped: dict[str, list[str]] = defaultdict(list)  # names by reason
    chosen = {name: name for name in revisions} if revisions else experiments(skipped)
    for name, revision in chosen.items():
        try:
            runs.append(read_run(name, revision))
        except PipelineError as error:
            skipped[str(error).rstrip(".")].append(name)
    told = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in skipped.items())
    if not runs:
        raise PipelineError(f"nothing to compare: {told}; name other revisions.")
    write_bytes(out, comparison(runs, told))
    typer.echo(printable(f"{', '.join(run.name for run in ranked(runs))}: {out}"))
    if skipped:
        typer.echo(f"skipped: {one_line(told)}", err=True)
    if revisions and skipped:
        raise typer.Exit(1)


def experiments(skipped: dict[str, list[str]]) -> dict[str, str]:
    """The revisions of the last commit and of its experiments that ran this folder's pipeline, by name."""
    git("rev-parse", "HEAD", advice=WHERE)  # where there is no repository, DVC says so in hundreds of lines
    chosen = {"HEAD": "HEAD"}
    rows = [row for row in ask(shown) if row["typ"] != "baseline"]
    done = {row["Experiment"] for row in rows if row["State"] in DONE}
    for row in rows:
        name, revision = row["Experiment"] or row["rev"], row["rev"]
        if row["State"] not in DONE:
            if name not in done:  # for a moment after its end, DVC lists an experiment as running, too
                skipped[row["State"].lower()].append(name)
        elif git("diff", "--name-only", "HEAD", revision, "--", "dvc.lock"):
            chosen[name] = revision
        else:
            skipped["its dvc.lock in this folder is the same as in HEAD"].append(name)
    return chosen


def shown() -> list[dict[str, Any]]:
    """DVC's table of experiments. Raises PipelineError where the folder of a running experiment stays missing.

    While an experiment begins or ends, DVC fails for some seconds, because its folder is not there.
    """
    from dvc.api import exp_show
    from dvc.exceptions import NotDvcRepoError

    for _ in range(TRIES):
        try:
            return list(exp_show())
        except NotDvcRepoError as error:
            if "does not exist" not in str(error):
                raise
            missing = error
            time.sleep(PAUSE)
    raise PipelineError(f"DVC lists an experiment as running, but {missing}; see dvc queue status, or name revisions.")


def read_run(name: str, revision: str) -> "Run":
    """The run of a revision. Raises PipelineError where the revision is unknown or its files are missing or damaged."""
    from dvc.api import read

    from pipeline.base.schema import Metrics, read_json
    from pipeline.base.text import columns
    from pipeline.params import sections
    from pipeline.report.comparison import Run

    here = PurePosixPath(git("rev-parse", "--show-prefix", advice=WHERE))
    params, metrics, curves = (ask(read, str(here / file), rev=revision, mode="rb") for file in FILES)
    table = columns(curves, FILES[2], ["epoch", "held_out"], REMAKE)
    if not all(0 <= accuracy <= 1 for accuracy in table["held_out"]):
        raise PipelineError(f"{FILES[2]} has an accuracy that is not from 0 to 1; {REMAKE}.")
    return Run(name, flat(sections(params, FILES[0])), read_json(metrics, FILES[1], Metrics, REMAKE), table)


def flat(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters by section.key, whatever the schema was at that time."""
    pairs = {section: keys if isinstance(keys, dict) else {"": keys} for section, keys in params.items()}
    return {f"{section}.{key}".rstrip("."): value for section, keys in pairs.items() for key, value in keys.items()}


def ask(question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What DVC answers. Raises PipelineError with DVC's reason where there is no answer."""
    from dvc.exceptions import DvcException, PathMissingError
    from scmrepo.exceptions import SCMError

    try:
        return question(*args, **kwargs)
    except PathMissingError:
        raise PipelineError("not run here: dvc repro") from None
    except (DvcException, SCMError, OSError) as error:
        raise PipelineError(str(error)) from None
    except AttributeError as error:
        if "_pygit2" not in str(error):
            raise
        raise PipelineError("a file or a folder, no commit") from None
