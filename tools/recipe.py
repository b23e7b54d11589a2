"""Run a recipe by DVC, as an experiment of its name, and compare its weights with those that docs/results.csv records.

python tools/recipe.py two-convolutions      is make recipe NAME=two-convolutions
python tools/recipe.py two-convolutions 2    with another seed: for a committee, see pipeline committee --help
"""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.base.errors import PipelineError, reports_errors
from pipeline.base.files import write_bytes
from pipeline.params import is_unknown, read_yaml
from pipeline.report.page import yaml

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results.csv"
RECIPES = {path.stem: path for path in sorted((ROOT / "recipes").glob("*.yaml"))}
QUOTE = '"'  # which no word of a recipe needs, and a person does not type
MADE = ("model/weights.npz", *(f"evaluation/{name}" for name in ("report.html", "metrics.json", "model.json")))


@reports_errors
def main(name: str = "", seed: str = "") -> None:
    sets, experiment = settings(name), f"{name}-{seed}" if seed else name
    sets += [f"train.seed={seed}"] if seed else []
    if experiment in dvc("exp", "list", "--name-only", stdout=subprocess.PIPE).split():
        dvc("exp", "remove", experiment)  # the run-cache keeps what it made
    dvc("exp", "run", "--temp", "--name", experiment, *(part for one in sets for part in ("-S", one)))
    folder = ROOT / "data" / "recipes" / experiment
    *_, metrics, model = (fetched(f"data/{name}", experiment, folder) for name in MADE)
    for key, value in json.loads(metrics).items():
        print(f"{key:<14} {value:.5g}")
    print(f"open in a browser, for all of it and a pad to draw on:  {folder}/report.html")
    if not seed:
        print(verdict(name, json.loads(model)["sha256"]))


def settings(name: str) -> list[str]:
    """What a recipe changes in params.yaml, each as -S takes it. Raises PipelineError where there is none."""
    if name not in RECIPES:
        raise PipelineError(f"recipe {is_unknown(name, RECIPES)}")
    sections = read_yaml(RECIPES[name])
    return [
        f"{section}.{key}={yaml(value).replace(QUOTE, '')}"
        for section, keys in sections.items()
        for key, value in keys.items()
    ]


def dvc(*arguments: str, **how: Any) -> str:
    """What DVC prints to `stdout`. Raises PipelineError where it fails."""
    done = subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=ROOT, text=True, **how)
    if done.returncode:
        raise PipelineError(f"dvc {' '.join(arguments)} failed; what it said is above.")
    return done.stdout or ""


def fetched(file: str, experiment: str, folder: Path) -> bytes:
    """A file of an experiment, which `folder` gets, too."""
    from dvc.api import read

    content: bytes = read(file, str(ROOT), experiment, mode="rb")
    write_bytes(folder / Path(file).name, content)
    return content


def recorded() -> dict[str, dict[str, str]]:
    """The rows of docs/results.csv by recipe."""
    with RESULTS.open(encoding="utf-8", newline="") as file:
        return {row["recipe"]: row for row in csv.DictReader(file)}


def verdict(name: str, sha256: str) -> str:
    """Whether weights are those that are recorded. Raises PipelineError where they have to be, and are not."""
    row = recorded().get(name)
    if row is None or row["settings"] != " ".join(settings(name)):
        return f"docs/results.csv has no row of this recipe as it is now; python tools/results.py {name} writes it."
    if not row["sha256"]:
        return "The arithmetic of this recipe has the bits of its machine, and none are recorded."
    if row["sha256"] != sha256:
        raise PipelineError(
            f"the weights have SHA-256 {sha256}, docs/results.csv says {row['sha256']}; if the code was to change "
            f"numbers, measure again: python tools/results.py {name}."
        )
    return f"The weights are those of docs/results.csv, to the last bit: SHA-256 {sha256}."


if __name__ == "__main__":
    main(*sys.argv[1:])
