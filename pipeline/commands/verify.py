"""Not a stage: make everything again in a scratch clone, and compare it with the committed dvc.lock, hash by hash."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import PipelineError, reports_errors

DIGITS = "examples/digits/dvc.yaml"


@reports_errors
def main(
    pipelines: Annotated[list[str] | None, typer.Argument(help="Which dvc.yaml; without any, both.")] = None,
) -> None:
    """Prove that the committed results are what this code makes of the published data, on this machine too.

    Example: pipeline verify examples/digits/dvc.yaml
    """
    from pipeline.base.provenance import machine
    from pipeline.base.text import strict_json

    typer.echo(strict_json(machine()).decode())
    here = Path.cwd()
    repository = next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        call(here, "git", "clone", "--quiet", str(repository), str(clone))
        project = clone / here.relative_to(repository)
        differing = [out for name in pipelines or ["dvc.yaml", DIGITS] for out in compare(project, name)]
    if differing:
        raise PipelineError(
            f"{differing[0]} is the first of {len(differing)} artefacts that differ; see the list above."
        )
    typer.echo("Every artefact has the committed hash: these results are reproduced.")


def compare(clone: Path, pipeline: str) -> list[str]:
    """Run one pipeline in the clone, tell each artefact's hash, and return those that differ, in order of making.

    Raw files that are here already are fetched from here, where their SHA-256 is right.
    """
    lock, folder = clone / pipeline.replace(".yaml", ".lock"), Path(pipeline).parent
    committed = artefacts(lock)
    call(clone, "dvc", "repro", "--force", pipeline, mirror=(folder / "data/raw").absolute().as_uri())
    made = artefacts(lock)
    for path, md5 in committed.items():
        same = made.get(path) == md5
        typer.echo(
            f"{'same   ' if same else 'DIFFERS'} {md5} {'' if same else made.get(path, 'missing')} {folder / path}"
        )
    return [str(folder / path) for path in committed | made if made.get(path) != committed.get(path)]


def artefacts(lock: Path) -> dict[str, str]:
    """The MD5 of each output in a lock file, in the order of the stages."""
    from pipeline.params import parse

    stages = parse(lock.read_text("utf-8"))["stages"]
    return {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}


def call(folder: Path, *command: str, mirror: str = "") -> None:
    """Run `command` in `folder` on this Python, with one more mirror. Raises PipelineError where it fails."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    mirrors = f"{mirror} {os.environ.get('PIPELINE_MIRRORS', '')}"
    environment = os.environ | {"PATH": path, "PIPELINE_MIRRORS": mirrors}
    for place in ("GLOBAL_CONFIG", "SYSTEM_CONFIG", "SITE_CACHE"):  # no cache from elsewhere, which would prove nothing
        environment[f"DVC_{place}_DIR"] = str(folder.parent)
    if subprocess.run(command, cwd=folder, env=environment).returncode:  # noqa: S603  # our own commands only
        raise PipelineError(f"'{' '.join(command)}' failed in {folder}; what it said is above.")
