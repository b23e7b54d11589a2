"""Not a stage: make everything again in a scratch clone, and compare it with the committed dvc.lock, hash by hash."""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import PipelineError, library, reports_errors
from pipeline.base.programs import environment, git

DIGITS = "examples/digits/dvc.yaml"


@reports_errors
def main(
    pipelines: Annotated[list[str] | None, typer.Argument(help="Which dvc.yaml; without any, both.")] = None,
    revision: Annotated[
        str, typer.Option(metavar="REV", help="A commit or an experiment, and the dvc.yaml that it ran.")
    ] = "",
) -> None:
    """Prove that the committed results are what this code makes of the published data, on this machine too.

    Example: pipeline verify examples/digits/dvc.yaml
    """
    from pipeline.base.provenance import machine
    from pipeline.base.text import strict_json

    library("dvc", "dvc")
    typer.echo(strict_json(machine()).decode())
    here = Path.cwd()
    repository = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        call(here, "git", "clone", "--quiet", str(repository), str(clone))
        if revision:
            call(clone, "git", "fetch", "--quiet", str(repository), reference(revision))
            call(clone, "git", "checkout", "--quiet", "--detach", "FETCH_HEAD")
        project = clone / here.relative_to(repository)
        differing = [out for name in pipelines or run_by(revision) for out in compare(project, name)]
    if differing:
        raise PipelineError(
            f"{differing[0]} is the first of {len(differing)} artefacts that differ; see the list above."
        )
    typer.echo("Every artefact has the committed hash: these results are reproduced.")


def compare(clone: Path, pipeline: str) -> list[str]:
    """Run one pipeline in the clone, print each artefact's hash, and return those that differ, in order of making.

    If this folder has raw files with the right SHA-256, they are taken from here.
    """
    from pipeline.cluster.project import outputs

    lock, folder = clone / pipeline.replace(".yaml", ".lock"), Path(pipeline).parent
    committed = outputs(lock)
    call(clone, "dvc", "repro", "--force", pipeline, mirror=(folder / "data/raw").absolute().as_uri())
    made = outputs(lock)
    for path, md5 in committed.items():
        same = made.get(path) == md5
        typer.echo(
            f"{'same   ' if same else 'DIFFERS'} {md5} {'' if same else made.get(path, 'missing')} {folder / path}"
        )
    return [str(folder / path) for path in committed | made if made.get(path) != committed.get(path)]


def reference(revision: str) -> str:
    """A name that git can fetch: an experiment's full name, or a commit. Raises PipelineError unless exactly one fits.

    Experiments of one name may have started from several commits.
    """
    found = git("for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{revision}").splitlines()
    if len(found) > 1:
        raise PipelineError(f"{revision} names {len(found)} experiments; name one by its commit: dvc exp show.")
    advice = "see dvc exp list --all"
    return found[0] if found else git("rev-parse", "--verify", f"{revision}^{{commit}}", advice=advice)


def run_by(revision: str) -> list[str]:
    """The pipelines whose dvc.lock a revision changed; both if there is no revision, or it changed neither."""
    both = ["dvc.yaml", DIGITS]
    if not revision:
        return both
    show = ("show", "--format=", "--name-only", reference(revision), "--")
    return [name for name in both if git(*show, name.replace(".yaml", ".lock"))] or both


def call(folder: Path, *command: str, mirror: str = "") -> None:
    """Run `command` in `folder` on this Python, with one more mirror. Raises PipelineError where it fails."""
    places = ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE")  # no cache from elsewhere, which would prove nothing
    alone = {f"DVC_{place}_DIR": str(folder.parent) for place in places}
    surroundings = environment(PIPELINE_MIRRORS=f"{mirror} {os.environ.get('PIPELINE_MIRRORS', '')}", **alone)
    if subprocess.run(command, cwd=folder, env=surroundings).returncode:  # noqa: S603  # our own commands only
        raise PipelineError(f"'{' '.join(command)}' failed in {folder}; what it said is above.")
