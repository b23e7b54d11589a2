"""Train the recipes on their data sets, seed by seed: docs/results.csv, and the table of the README.

What docs/results.csv has already is not measured again: delete its row first. $PIPELINE_MIRRORS may say where the data
are.

python tools/results.py                                      every recipe as it is, with seed 1, and every committee
python tools/results.py lenet-5 --seeds 5                    with seeds 1 to 5
python tools/results.py lenet-5 --arithmetic float32         and what it is in another arithmetic
python tools/results.py five-different                       a committee; nets that are not on this machine are trained
"""

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated

import typer
from recipe import COMMITTEES, HEADER, RECIPES, RESULTS, ROOT, is_recorded, members, model, module, recorded, settings

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
Row = Mapping[str, str]


@reports_errors
def main(
    names: Annotated[list[str] | None, typer.Argument(metavar="RECIPE", help="All, if none is named.")] = None,
    seeds: Annotated[int, typer.Option(help="Measure seeds 1 to so many.")] = 1,
    arithmetic: Annotated[str, typer.Option(help="exact, float32 or float64; if not given, the recipe's own.")] = "",
) -> None:
    if (arithmetic or seeds > 1) and (committees := COMMITTEES.keys() & {*(names or [])}):
        raise PipelineError(f"{min(committees)} is a committee: its file names recipes and seeds; leave options out.")
    require_committed()
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copy(ROOT / "params.yaml", scratch)
        for name in names or [*RECIPES, *COMMITTEES]:
            for row in lacking(name, settings(name, arithmetic), seeds, Path(scratch)):
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
    """Whether it is of a committee, and not of the nets that have a row each."""
    return row["recipe"] in COMMITTEES and row["sha256"] != of_all(row["recipe"], rows)


def of_all(committee: str, rows: Iterable[Row]) -> str:
    """One hash for the weights of all its nets."""
    return digest(" ".join(row["sha256"] for row in nets(committee, rows)).encode())


def nets(committee: str, rows: Iterable[Row]) -> list[Row]:
    """The rows of its nets, as far as they are measured."""
    known = {(row["recipe"], row["seed"], row["settings"]): row for row in rows}
    keys = [(recipe, seed, " ".join(settings(recipe))) for recipe, seed in members(committee)]
    return [known[key] for key in keys if key in known]


def lacking(name: str, sets: list[str], seeds: int, folder: Path) -> Iterator[Row]:
    """The rows that docs/results.csv lacks: of a recipe, or of a committee and its nets."""
    known = {row["seed"] for row in recorded() if row["settings"] == " ".join(sets) and not is_stale(row, recorded())}
    if name in RECIPES:
        for seed in map(str, range(1, seeds + 1)):
            if seed not in known:
                yield measure(name, sets, seed, folder)
    elif not known:
        for recipe, seed in members(name):
            if not is_kept(recipe, seed):
                yield measure(recipe, settings(recipe), seed, folder)
        yield together(name, sets, folder)


def run(stage: str, sets: list[str], folder: Path) -> float:
    """Run a stage in `folder` with its own part of `sets`; return its CPU seconds."""
    overrides = [part for one in sets if one.startswith(f"{stage}.") for part in ("-S", one)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    module(f"pipeline.{stage}", *overrides, cwd=folder, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(name: str, sets: list[str], seed: str, folder: Path) -> Row:
    """One seed; the CPU seconds are those of the stage train, and only exact arithmetic has a hash."""
    for stage in ("download", "convert"):
        run(stage, sets, folder)
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


def is_kept(name: str, seed: str) -> bool:
    """Whether the net that was measured is still on this machine."""
    made = (name, seed, " ".join(settings(name)))
    hashes = [row["sha256"] for row in recorded() if (row["recipe"], row["seed"], row["settings"]) == made]
    return model(name, seed).exists() and load_model(model(name, seed)).about["sha256"] in hashes


def together(name: str, sets: list[str], folder: Path) -> Row:
    """The answer of pipeline committee; the CPU seconds are those of all its nets."""
    (first, _), *_ = members(name)
    for stage in ("download", "convert"):
        run(stage, settings(first), folder)
    models = [str(model(*net)) for net in members(name)]
    reached = []
    for crops in ("1", "9"):
        ask = ("pipeline", "committee", *models, "--crops", crops, "--json")
        answers = module(*ask, cwd=folder, stdout=subprocess.PIPE)
        reached.append(str(json.loads(answers)[-1]["accuracy"]))
    rows = recorded()
    seconds = sum(int(row["cpu_seconds"]) for row in nets(name, rows))
    values = (name, "exact", "", *reached, f"{seconds}", of_all(name, rows), " ".join(sets))
    return dict(zip(HEADER, values, strict=True))


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The README with the table of the recipes between its two marks, the most accurate first."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    files = RECIPES | COMMITTEES
    own = {name: [row for row in rows if row["recipe"] == name and not is_stale(row, rows)] for name in files}
    as_it_is = {name: [row for row in own[name] if row["settings"] == " ".join(settings(name))] for name in files}
    best = {name: mean([float(row["accuracy"]) for row in found] or [0]) for name, found in as_it_is.items()}
    lines = [line_of(files[name], as_it_is[name], own[name]) for name in sorted(files, key=lambda one: -best[one])]
    return "\n".join([before + BEGIN, HEAD, *lines, END]) + after


def line_of(file: Path, rows: Sequence[Row], in_any_arithmetic: Sequence[Row]) -> str:
    """The row of a recipe in the README's table; a dash stands for what is not measured or published."""
    said = [part.removeprefix("# ") for part in file.read_text("utf-8").splitlines() if part[:1] == "#"]
    published = said[1].removeprefix("published: ") if said[1:] else "–"
    seconds = [spent([row for row in in_any_arithmetic if row["arithmetic"] == one]) for one in ("exact", "float32")]
    cells = [said[0], published, of_seeds(rows, "accuracy"), of_seeds(rows, "crops_accuracy"), *seconds]
    return f"| [{file.stem}]({file.relative_to(ROOT).as_posix()}) | {' | '.join(cells)} |"


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
