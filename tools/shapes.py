"""Pictures to try `pipeline import-folder` with: coloured circles, squares and triangles, in one folder per class."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIDE = 32  # pixels
COUNT = 200  # pictures of each class


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("circle", "square", "triangle"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(COUNT):
            draw(name, rng).save(folder / name / f"{i:03}.png")


def draw(name: str, rng: np.random.Generator) -> Image.Image:
    """A dark shape of any size at any place on a light ground."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(160, 256, 3).tolist()))
    pen, ink = ImageDraw.Draw(picture), tuple(rng.integers(0, 100, 3).tolist())
    r = int(rng.integers(5, 11))
    x, y = rng.integers(r, SIDE - r, 2).tolist()
    if name == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)
    elif name == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=ink)
    else:
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=ink)
    return picture


if __name__ == "__main__":
    main(Path(sys.argv[1]))
