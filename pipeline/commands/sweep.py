"""Not a stage: many trainings at a time, on this machine or on a cluster, each of them a DVC experiment."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import PipelineError, printable, reports_errors, tell
from pipeline.base.programs import git

if TYPE_CHECKING:
    from pipeline.cluster.project import Project
    from pipeline.cluster.trials import Trial
    from pipeline.report.comparison import Run

SHOWN = 10  # trials in the table


@reports_errors
def main(
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", "-S", metavar="KEY=CHOICES", help="What varies, as DVC spells it; repeatable."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="What the names of the trials begin with.")] = "sweep",
    workers: Annotated[int, typer.Option(metavar="N", help="Trials at a time; 0: one per core.")] = 0,
    cluster: Annotated[str, typer.Option(metavar="ADDRESS", help="A Dask scheduler; without it, this machine.")] = "",
    objective: Annotated[
        str, typer.Option(metavar="METRIC", help="accuracy, loss or crops_accuracy; of the validation split if any.")
    ] = "accuracy",
) -> None:
    """Train every combination of choices, each as a DVC experiment, several at a time; then show the best.

    The same command continues a sweep that was stopped. A trial that fails prints one line; the exit code is then 1.
    Trials run the last commit. The converted data are made once.

    Example: pipeline sweep --name seeds -S 'train.seed=range(1,7)' -S train.learning_rate=0.05,0.1
    """
    from pipeline.base.files import sole_writer
    from pipeline.cluster import project as projects
    from pipeline.cluster.trials import expand

    require(workers, cluster, objective)
    trials = expand(name, sets or (), git("rev-parse", "--show-prefix"))
    project = projects.find_project(name)
    if objective == "crops_accuracy" and any(one.params["evaluate"]["crops"] == 1 for one in trials):
        raise PipelineError("--objective crops_accuracy is not measured by all trials; add -S evaluate.crops=9.")
    with sole_writer(project.scratch):
        failed = run(project, trials, workers or cores(), cluster)
    show(ranking(project, trials, objective), objective)
    if failed:
        raise typer.Exit(1)


def require(workers: int, cluster: str, objective: str) -> None:
    """Raise PipelineError where an option is not valid."""
    from pipeline.base.words import listed
    from pipeline.report.comparison import CHOSEN_BY

    if os.name != "posix":
        raise PipelineError("a sweep needs process groups, which this system lacks; run it on Linux or macOS.")
    if objective not in CHOSEN_BY:
        raise PipelineError(f"--objective is {objective!r}; choose {listed('or', CHOSEN_BY)}.")
    if workers < 0 or (workers and cluster):
        raise PipelineError(f"--workers is {workers}; give 1 or more; with --cluster, leave it out.")
    if cluster and "://" not in cluster:
        raise PipelineError(f"--cluster is {cluster!r}; expected an address such as tls://head:8786.")
    if cluster and not cluster.startswith("tls://"):
        tell(f"warning: {cluster} is not protected by TLS: whoever reaches it can run any code as its user.")


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(project: "Project", trials: Sequence["Trial"], workers: int, cluster: str) -> int:
    """Run the trials that are not recorded yet, record each as it ends, and return how many failed."""
    from pipeline.cluster import project as projects
    from pipeline.cluster.engine import connected, outcomes
    from pipeline.cluster.worker import clear, warm

    before = projects.recorded(project, trials)
    todo = {one.name: one for one in trials if one.name not in before}
    typer.echo(f"trials: {len(trials)}, recorded before: {len(before)}")
    if not todo:
        return 0
    folders: Any = {"place": "", "cache": ""} if cluster else {}  # the machines of a cluster have their own
    projects.cleaned(project)
    with ThreadPoolExecutor(2) as threads, ExitStack() as stack:
        bundling = threads.submit(projects.bundled, project)  # while the workers start
        preparing = threads.submit(projects.ordered, project, todo.values())
        client = stack.enter_context(connected(cluster, min(workers, len(todo)), project.order["place"]))
        code: Any = {"code": bundling.result()}
        client.run(warm, project.order | folders | code, on_error="ignore")  # the trials report a bad machine
        orders = {name: order | folders | code for name, order in preparing.result().items()}
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        typer.echo(f"workers: {count} {f'at {cluster}' if cluster else 'on this machine'}")
        failed, began = 0, time.monotonic()
        for count, (name, result) in enumerate(outcomes(client, orders, project.order | code), 1):
            error = result.get("error")
            if error is None:
                projects.record(project, name, result)
            failed += error is not None
            spent = time.monotonic() - began
            left = f"{spent:.0f} s, {spent / count * (len(todo) - count):.0f} s left"
            line = f"{count:{len(str(len(todo)))}} of {len(todo)}  {name}  {words(todo[name].settings)}"
            typer.echo(printable(f"{line}  {'recorded' if error is None else f'FAILED: {error}'}  {left}"))
        client.run(clear, project.order | folders, on_error="ignore")
    shutil.rmtree(project.order["place"], ignore_errors=True)
    return failed


def words(settings: Mapping[str, Any]) -> str:
    """Settings in one line, as -S takes them."""
    return "  ".join(f"{key}={value}" for key, value in settings.items())


def ranking(project: "Project", trials: Sequence["Trial"], objective: str) -> list["Run"]:
    """The recorded trials, the best first."""
    from pipeline.cluster import project as projects
    from pipeline.report.comparison import Run, ranked

    names = projects.recorded(project, trials)
    runs = [Run(one.name, one.settings, projects.metrics(project, one.name), {}) for one in trials if one.name in names]
    return ranked(runs, objective)


def show(runs: Sequence["Run"], objective: str) -> None:
    """Print the best trials as a table, and the commands for the best one.

    If there is a validation split, only its metric is shown: look at the test images only for the chosen trial.
    """
    from pipeline.report.comparison import number, order, worth

    if not runs:
        return
    varied = [key for key in runs[0].params if len({run.params[key] for run in runs}) > 1]
    typer.echo(order(runs, objective))
    for run in runs[:SHOWN]:
        differing = words({key: run.params[key] for key in varied})
        typer.echo(f"{number(objective, abs(worth(run, objective)[1]))}  {run.name}  {differing}")
    typer.echo(
        f"dvc exp apply {runs[0].name} brings the best here; if it misses outputs of another pipeline, ignore that. "
        f"pipeline verify --revision {runs[0].name} proves it."
    )
