"""The pictures of the README: docs/flow.svg from `dvc dag`, docs/reading.png from a digit that tools/drawings.py draws.

python tools/figures.py [MODEL]     MODEL is the model file of the net, by default data/model/weights.npz
"""

import re
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from drawings import SHAPES, STYLES, coverage
from matplotlib import pyplot
from ruamel.yaml import YAML

from pipeline.base.text import percent
from pipeline.commands.predict import classify, look
from pipeline.model import load_model

ROOT = Path(__file__).parents[1]
STYLE, DIGIT, SHAPE, SEED = "ballpoint_photo", 5, 1, 3
WIDTH, HEIGHT, GAP = 190, 92, 50  # size of a stage's box and the gap after it, in pixels
INK, PAPER, LINE = "#1f2933", "#ffffff", "#1f6fb4"


def graph() -> list[tuple[str, str]]:
    """The arrows between stages that DVC finds in dvc.yaml."""
    command = [sys.executable, "-m", "dvc", "dag", "--dot", "dvc.yaml"]
    dot = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return re.findall(r'"(\w+)" -> "(\w+)"', dot)


def flow(arrows: list[tuple[str, str]]) -> str:
    """The stages of dvc.yaml in their order as SVG: the section of params.yaml and the folder of each."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    left = {name: 10 + i * (WIDTH + GAP) for i, name in enumerate(stages)}
    parts = [box(left[name], name, stage) for name, stage in stages.items()]
    parts += [arrow(left[start], left[end]) for start, end in sorted(arrows)]
    width, height = 20 + len(stages) * (WIDTH + GAP) - GAP, HEIGHT + 60
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            'font-family="sans-serif" font-size="12" text-anchor="middle" role="img">',
            f"<title>{escape(', '.join(f'{start} to {end}' for start, end in sorted(arrows)))}</title>",
            f'<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
            *parts,
            "</svg>\n",
        ]
    )


def box(x: int, name: str, stage: dict) -> str:
    """A stage: its name, its section of params.yaml, the folder that it writes to."""
    (folder,) = {str(Path(next(iter(out)) if isinstance(out, dict) else out).parent) for out in stage["outs"]}
    lines = [(26, "bold 15px", name), (52, "12px", f"params: {stage['params'][0]}"), (74, "12px", f"{folder}/")]
    texts = [
        f'<text x="{x + WIDTH // 2}" y="{10 + y}" fill="{INK}" style="font:{font} sans-serif">{escape(text)}</text>'
        for y, font, text in lines
    ]
    frame = f'<rect x="{x}" y="10" width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#eef4fa" stroke="{LINE}"/>'
    return "\n".join([frame, *texts])


def arrow(start: int, end: int) -> str:
    """A straight arrow to the next box; an arrow to a later box goes below the boxes between."""
    middle = 10 + HEIGHT // 2
    if end - start == WIDTH + GAP:
        path = f"M{start + WIDTH} {middle}H{end}"
    else:
        path = f"M{start + WIDTH // 2} {10 + HEIGHT}v34H{end + WIDTH // 2}v-34"
    return f'<path d="{path}" fill="none" stroke="{LINE}" stroke-width="2" marker-end="url(#tip)"/>'


def reading(model: Path, out: Path) -> None:
    """A drawn digit, the image that the net is given, and the probabilities that the net answers."""
    rng = np.random.default_rng(SEED)
    picture = STYLES[STYLE].finish(coverage(SHAPES[DIGIT][SHAPE], STYLES[STYLE], rng), rng)
    net = load_model(model)
    with tempfile.TemporaryDirectory() as folder:
        picture.save(file := Path(folder, "digit.png"))
        seen = list(look([file], net.about["data"]))
    (answer,) = classify(net, seen)
    figure, (photo, given, bars) = pyplot.subplots(1, 3, figsize=(8, 2.6), layout="constrained")
    photo.imshow(picture)
    photo.set_title("a picture", fontsize=10)
    given.imshow(seen[0][1][0].image, cmap="gray_r")
    given.set_title("what the net is given", fontsize=10)
    classes = answer["digits"][0]["classes"][::-1]
    drawn = bars.barh([one["class"] for one in classes], [one["probability"] for one in classes], color=LINE)
    bars.bar_label(drawn, [f" {percent(one['probability'])}" for one in classes])
    bars.set(xlim=(0, 1.25), xticks=[])
    bars.set_title("its answer", fontsize=10)
    bars.spines[["top", "right", "bottom"]].set_visible(False)
    for axes in photo, given:
        axes.set(xticks=[], yticks=[])
    figure.savefig(out, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    (ROOT / "docs/flow.svg").write_text(flow(graph()), "utf-8")
    reading(Path(*sys.argv[1:]) if sys.argv[1:] else ROOT / "data/model/weights.npz", ROOT / "docs/reading.png")
