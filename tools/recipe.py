"""Run a recipe by DVC, as an experiment of its name, and compare its weights with those that docs/results.csv records.

python tools/recipe.py two-convolutions      is make recipe NAME=two-convolutions
python tools/recipe.py two-convolutions 2    with another seed
python tools/recipe.py five-different        every net of a committee, and all of them together
"""

import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.base.errors import PipelineError, reports_errors
from pipeline.base.files import write_bytes
from pipeline.params import is_unknown, read_yaml
from pipeline.report.made import flow

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.csv"
MODELS = ROOT / "data" / "recipes"  # of each recipe and seed: its model, and its page
HEADER = ("recipe", "arithmetic", "seed", "accuracy", "crops_accuracy", "cpu_seconds", "sha256", "settings")
RECIPES = {path.stem: path for path in sorted((ROOT / "recipes").glob("*.yaml"))}
COMMITTEES = {path.stem: path for path in sorted((ROOT / "recipes/committees").glob("*.yaml"))}
MADE = ("model/weights.npz", *(f"evaluation/{name}" for name in ("report.html", "metrics.json", "model.json")))


@reports_errors
def main(
    name: Annotated[str, typer.Argument(metavar="RECIPE")],
    seed: Annotated[str, typer.Argument(metavar="SEED")] = "",
) -> None:
    if name not in COMMITTEES:
        train(name, seed)
        return
    if seed:
        raise PipelineError(f"{name} is a committee, whose nets have the seeds that its file names; leave out {seed}.")
    nets = members(name)
    for net in nets:
        train(*net)
    module("dvc", "repro", "convert")  # experiments in a temporary folder leave no data here
    models = [str(model(*net)) for net in nets]
    for crops in ("1", "9"):
        module("pipeline", "committee", *models, "--crops", crops)


def members(committee: str) -> list[tuple[str, str]]:
    """The recipe and the seed of each of its nets."""
    return [(recipe, seed) for recipe, seed in map(str.split, read_yaml(COMMITTEES[committee])["members"])]


def model(name: str, seed: str) -> Path:
    """Where the net of a recipe and a seed is kept."""
    return MODELS / f"{name}-{seed}" / "weights.npz"


def train(name: str, seed: str) -> None:
    """Run a recipe, with the seed of params.yaml if none is given.

    Raises PipelineError where the weights are not the recorded ones.
    """
    sets, experiment = settings(name), f"{name}-{seed}" if seed else name
    sets += [f"train.seed={seed}"] if seed else []
    if experiment in module("dvc", "exp", "list", "--name-only", stdout=subprocess.PIPE).split():
        module("dvc", "exp", "remove", experiment)  # the run-cache keeps its outputs
    module("dvc", "exp", "run", "--temp", "--name", experiment, *(part for one in sets for part in ("-S", one)))
    folder = MODELS / experiment
    *_, metrics, made = (fetched(f"data/{part}", experiment, folder) for part in MADE)
    for key, value in json.loads(metrics).items():
        print(f"{key:<14} {value:.5g}")
    print(f"open in a browser, for all of it and a pad to draw on:  {folder}/report.html")
    print(verdict(name, seed or "1", json.loads(made)["sha256"]))


def settings(name: str, arithmetic: str = "") -> list[str]:
    """The parameters that a recipe changes, as -S takes them, or the members of a committee.

    Raises PipelineError where there is none of this name.
    """
    if name in COMMITTEES:
        return [f"members={flow([' '.join(net) for net in members(name)])}"]
    if name not in RECIPES:
        raise PipelineError(f"recipe {is_unknown(name, [*RECIPES, *COMMITTEES])}")
    sections = read_yaml(RECIPES[name])
    if arithmetic and arithmetic != sections["train"].get("arithmetic", "exact"):
        sections["train"]["arithmetic"] = arithmetic
    return [f"{section}.{key}={flow(value)}" for section, keys in sections.items() for key, value in keys.items()]


def module(*arguments: str, cwd: Path = ROOT, **how: Any) -> str:
    """What a Python module such as dvc prints to `stdout`. Raises PipelineError where it fails."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, text=True, **how)
    if done.returncode:
        raise PipelineError(f"{' '.join(arguments)} failed; what it said is above.")
    return done.stdout or ""


def fetched(file: str, experiment: str, folder: Path) -> bytes:
    """A file of an experiment; it is also written to `folder`."""
    from dvc.api import read

    content: bytes = read(file, str(ROOT), experiment, mode="rb")
    write_bytes(folder / Path(file).name, content)
    return content


def recorded() -> list[dict[str, str]]:
    """The rows of docs/results.csv."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_recorded(row: Mapping[str, str]) -> bool:
    """Whether a row of docs/results.csv is of a recipe or committee as it is now."""
    name = row["recipe"]
    known = [settings(name), settings(name, row["arithmetic"])] if name in RECIPES | COMMITTEES else []
    return row["settings"] in map(" ".join, known)


def verdict(name: str, seed: str, sha256: str) -> str:
    """Whether weights are the recorded ones. Raises PipelineError where they must be and are not."""
    made = (name, seed, " ".join(settings(name)))
    rows = [row for row in recorded() if (row["recipe"], row["seed"], row["settings"]) == made]
    if not rows:
        how = f"python tools/results.py {name} --seeds {seed}"
        return f"docs/results.csv has no row of this recipe and seed; {how} writes it."
    if not rows[0]["sha256"]:
        return "The arithmetic of this recipe has the bits of its machine, and none are recorded."
    if rows[0]["sha256"] != sha256:
        raise PipelineError(
            f"the weights have SHA-256 {sha256}, docs/results.csv says {rows[0]['sha256']}; git diff shows "
            "whether params.yaml or pipeline/ was edited. If new code must change numbers, delete that row and measure "
            f"again: python tools/results.py {name} --seeds {seed}."
        )
    return f"The weights are those of docs/results.csv, to the last bit: SHA-256 {sha256}."


if __name__ == "__main__":
    typer.run(main)
