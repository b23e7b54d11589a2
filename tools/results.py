"""Train the recipes on their data sets, seed by seed: docs/results.csv, and the table of the README.

What docs/results.csv has already is not measured again: delete its row first. $PIPELINE_MIRRORS may say where the data
are.

python tools/results.py                                      every recipe as it is, with seed 1
python tools/results.py lenet-5 --seeds 5                    with seeds 1 to 5, and all five nets together, for which
                                                             nets that were measured elsewhere are trained again
python tools/results.py lenet-5 --arithmetic float32         and what it is in another arithmetic
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

import typer
from recipe import HEADER, MODELS, RECIPES, RESULTS, ROOT, is_recorded, recorded, settings

from pipeline.base.errors import PipelineError, reports_errors
from pipeline.base.files import write_bytes
from pipeline.base.provenance import digest
from pipeline.base.text import table
from pipeline.model import load_model

README = ROOT / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEAD = (
    "| Recipe | Net | Published | Test accuracy | 9 crops | CPU, exact | CPU, float32 |\n|---|---|---|---|---|---|---|"
)
TOGETHER = "together"  # in place of a seed: the nets of all seeds, their probabilities averaged
Row = Mapping[str, str]


@reports_errors
def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="RECIPE", help="All, if none is named.")] = None,
    seeds: Annotated[int, typer.Option(help="Measure seeds 1 to so many.")] = 1,
    arithmetic: Annotated[str, typer.Option(help="exact, float32 or float64; if not given, the recipe's own.")] = "",
) -> None:
    require_committed()
    for name in names or RECIPES:
        sets = settings(name, arithmetic)
        for row in measured(name, sets, seeds):
            rows = [one for one in recorded() if one["settings"] != row["settings"] or one["seed"] != row["seed"]]
            write_rows([*rows, row])
            typer.echo(" ".join(row[key] for key in HEADER if key != "settings"))
    write_bytes(README, with_table(README.read_text("utf-8"), recorded()).encode())


def require_committed() -> None:
    """A row is of the parameters and the code of a commit. Raises PipelineError where one of them was edited."""
    edited = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "params.yaml", "pipeline", "recipes"], cwd=ROOT)
    if edited.returncode:
        raise PipelineError("params.yaml, pipeline/ or recipes/ is not as in HEAD; commit it, or restore it.")


def write_rows(rows: Collection[Row]) -> None:
    """docs/results.csv, sorted; a recipe that was removed or changed loses its rows."""
    kept = sorted([row[key] for key in HEADER] for row in rows if is_recorded(row) and not is_stale(row, rows))
    write_bytes(RESULTS, table(HEADER, kept))


def is_stale(row: Row, rows: Iterable[Row]) -> bool:
    """Whether it is of several nets together, and not of those that have a row each."""
    return row["seed"] == TOGETHER and row["sha256"] != of_all(single_rows(row["settings"], rows))


def single_rows(made_with: str, rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["settings"] == made_with and row["seed"] != TOGETHER]


def of_all(rows: Iterable[Row]) -> str:
    """One hash for the weights of several nets."""
    return digest(" ".join(sorted(row["sha256"] for row in rows)).encode())


def measured(name: str, sets: list[str], seeds: int) -> Iterator[Row]:
    """The rows that docs/results.csv lacks: of each seed, and of all nets together if their arithmetic is exact."""
    made_with = " ".join(sets)
    known = {row["seed"]: row["sha256"] for row in recorded() if row["settings"] == made_with}
    wanted = sorted({*map(str, range(1, seeds + 1)), *known} - {TOGETHER}, key=int)
    ask_all = seeds > 1 and "train.arithmetic=" not in made_with
    if known.keys() >= {*wanted, *([TOGETHER] if ask_all else [])}:
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        shutil.copy(ROOT / "params.yaml", folder)
        for stage in ("download", "convert"):
            run(stage, sets, folder)
        for seed in wanted:
            if seed not in known or (ask_all and not is_kept(name, seed, known[seed])):
                yield measure(name, sets, seed, folder)
        if ask_all:
            yield together(name, sets, wanted, folder)


def run(stage: str, sets: list[str], folder: Path) -> float:
    """Run a stage in `folder` with its own part of `sets`; return its CPU seconds."""
    overrides = [part for one in sets if one.startswith(f"{stage}.") for part in ("-S", one)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output("-m", f"pipeline.{stage}", *overrides, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def output(*arguments: str, cwd: Path) -> str:
    """What Python prints to stdout. Raises PipelineError where it fails."""
    done = subprocess.run([sys.executable, *arguments], cwd=cwd, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise PipelineError(f"python {' '.join(arguments)} failed; what it said is above.")
    return done.stdout


def measure(name: str, sets: list[str], seed: str, folder: Path) -> Row:
    """One seed; the CPU seconds are those of the stage train, and only exact arithmetic has a hash."""
    seconds = run("train", [*sets, f"train.seed={seed}"], folder)
    run("evaluate", sets, folder)
    metrics, made = (json.loads((folder / f"data/evaluation/{part}.json").read_text()) for part in ("metrics", "model"))
    kept = model(name, seed)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(folder / "data/model/weights.npz", kept)
    arithmetic = made["net"]["arithmetic"]
    hashed = made["sha256"] if arithmetic == "exact" else ""
    crops = metrics.get("crops_accuracy", "")
    values = (name, arithmetic, seed, metrics["accuracy"], crops, round(seconds), hashed, " ".join(sets))
    return dict(zip(HEADER, map(str, values), strict=True))


def model(name: str, seed: str) -> Path:
    return MODELS / f"{name}-{seed}" / "weights.npz"


def is_kept(name: str, seed: str, sha256: str) -> bool:
    """Whether the model that was measured is still here: a committee needs it."""
    return model(name, seed).exists() and load_model(model(name, seed)).about["sha256"] == sha256


def together(name: str, sets: list[str], seeds: list[str], folder: Path) -> Row:
    """The answer of pipeline committee for the nets of these seeds."""
    models = [str(model(name, seed)) for seed in seeds]
    reached = []
    for crops in ("1", "9") if "evaluate.crops=9" in sets else ("1",):
        answers = output("-m", "pipeline", "committee", *models, "--crops", crops, "--json", cwd=folder)
        reached.append(str(json.loads(answers)[-1]["accuracy"]))
    made_with = " ".join(sets)
    members = of_all(single_rows(made_with, recorded()))
    values = (name, "exact", TOGETHER, reached[0], "".join(reached[1:]), "", members, made_with)
    return dict(zip(HEADER, values, strict=True))


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The README with the table of the recipes between its two marks, the most accurate first."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    by_name = {name: [row for row in rows if row["recipe"] == name] for name in RECIPES}
    found = {name: single_rows(" ".join(settings(name)), own) for name, own in by_name.items()}
    best = {name: mean([float(row["accuracy"]) for row in own] or [0]) for name, own in found.items()}
    lines = [line for name in sorted(RECIPES, key=lambda one: -best[one]) for line in lines_of(name, by_name[name])]
    return "\n".join([before + BEGIN, HEAD, *lines, END]) + after


def lines_of(name: str, rows: Sequence[Row]) -> Iterator[str]:
    """The rows of a recipe in the README's table; a dash stands for what is not measured or published."""
    said = [part.removeprefix("# ") for part in RECIPES[name].read_text("utf-8").splitlines() if part[:1] == "#"]
    published = said[1].removeprefix("published: ") if said[1:] else "–"
    single = single_rows(" ".join(settings(name)), rows)
    seconds = [spent([row for row in rows if row["arithmetic"] == one]) for one in ("exact", "float32")]
    reached = [of_seeds(single, "accuracy"), of_seeds(single, "crops_accuracy")]
    yield f"| [{name}](recipes/{name}.yaml) | {said[0]} | {' | '.join([published, *reached, *seconds])} |"
    for row in rows:
        if row["seed"] == TOGETHER and row["crops_accuracy"] and not is_stale(row, rows):
            reached = [of_seeds([row], key) for key in ("accuracy", "crops_accuracy")]
            yield f"| | {len(single)} of them together | – | {' | '.join(reached)} | – | – |"


def of_seeds(rows: Sequence[Row], key: str) -> str:
    """Mean and standard deviation in percent, and of how many seeds."""
    values = [100 * float(row[key]) for row in rows if row[key]]
    if len(values) < 2:
        return "".join(f"{value:.2f} %" for value in values) or "–"
    return f"{mean(values):.2f} ± {stdev(values):.2f} % ({len(values)} seeds)"


def spent(rows: Sequence[Row]) -> str:
    """The CPU time of one training: the mean."""
    seconds = [float(row["cpu_seconds"]) for row in rows if row["cpu_seconds"]]
    return f"{mean(seconds):.0f} s" if seconds else "–"


if __name__ == "__main__":
    typer.run(main)
