"""Train the recipes on their data sets, one after another: docs/results.csv, and the table of the README.

$PIPELINE_MIRRORS may say where the data are. `python tools/results.py lenet-5 svm` measures those two alone.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from recipe import RECIPES, RESULTS, ROOT, recorded, settings

from pipeline.base.files import write_bytes
from pipeline.base.text import table

README = ROOT / "README.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEADER = ("recipe", "settings", "accuracy", "crops_accuracy", "seconds", "sha256")
Rows = Mapping[str, Mapping[str, str]]


def main(*names: str) -> None:
    for name in names or RECIPES:
        rows = recorded() | {name: measure(name)}
        write_bytes(RESULTS, table(HEADER, [[rows[one][key] for key in HEADER] for one in RECIPES if one in rows]))
        write_bytes(README, with_table(README.read_text("utf-8"), rows).encode())
        print(line(name, rows), flush=True)


def with_table(page: str, rows: Rows) -> str:
    """The README with the table of the recipes between its two marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    head = "| Recipe | Net | Published | Test accuracy | 9 crops | Training |\n|---|---|---|---|---|---|"
    return "\n".join([before + BEGIN, head, *(line(name, rows) for name in RECIPES), END]) + after


def line(name: str, rows: Rows) -> str:
    """A row of the README's table; a dash stands for what is not measured or published."""
    said = [part.removeprefix("# ") for part in RECIPES[name].read_text("utf-8").splitlines() if part[:1] == "#"]
    published = said[1].removeprefix("published: ") if said[1:] else "–"
    row = rows.get(name, dict.fromkeys(HEADER, ""))
    reached = [f"{float(row[key]):.2%}" if row[key] else "–" for key in ("accuracy", "crops_accuracy")]
    seconds = f"{row['seconds']} s" if row["seconds"] else "–"
    return f"| [{name}](recipes/{name}.yaml) | {said[0]} | {' | '.join([published, *reached, seconds])} |"


def measure(name: str) -> dict[str, str]:
    """A row of docs/results.csv; the seconds are those of the stage train, and exact arithmetic has a hash."""
    sets = settings(name)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
        for stage in ("download", "convert", "train", "evaluate"):
            overrides = [part for one in sets if one.startswith(f"{stage}.") for part in ("-S", one)]
            start = time.monotonic()
            command = [sys.executable, "-m", f"pipeline.{stage}", *overrides]
            subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            if stage == "train":
                seconds = round(time.monotonic() - start)
        metrics, model = (
            json.loads((folder / f"data/evaluation/{name}.json").read_text()) for name in ("metrics", "model")
        )
    hashed = model["sha256"] if model["net"]["arithmetic"] == "exact" else ""
    values = (name, " ".join(sets), metrics["accuracy"], metrics.get("crops_accuracy", ""), seconds, hashed)
    return dict(zip(HEADER, map(str, values), strict=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
