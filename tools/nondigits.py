"""A set of drawn pictures that show no digit: `pipeline predict` has to refuse them. Nothing in it is from MNIST.

Faces, things, letters without a digit's shape, symbols and scribbles are strokes of the same hand, in the same styles,
as the digits of tools/drawings.py; words, pages and textures are drawn as they are. To look at them, and to see how
many of them, and of the drawn digits, a model refuses:
`python tools/nondigits.py --write FOLDER`, `python tools/nondigits.py data/model/weights.npz`.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from drawings import STYLES, coverage
from drawings import write as write_digits
from PIL import Image, ImageDraw, ImageFont

from pipeline.commands.predict import classify, look
from pipeline.model import load_model

# A name and points, as POINTS of drawings.py: "x y" of a pen in a box of height 1, smooth but at "/", lifted at "|".
SHAPES = [line.split(maxsplit=1) for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines()]
HANDS = [
    "mouse",
    "finger",
    "thin_pen",
    "light_on_dark",
    "red_on_green",
    "low_quality",
    "ballpoint_photo",
    "felt_tip_photo",
]
WORDS = "hello milk Wednesday thanks remember Mum yes? water blanket friend"
LETTER = "Dear friend, thank you for the parcel and for all the kind words that came with it. "


def scribble(rng: np.random.Generator) -> str:
    """A pen that wanders over the whole box, as `coverage` takes it."""
    return " ".join(f"{x:.2f} {y:.2f}" for x, y in rng.uniform((-0.1, 0), (0.9, 1), (rng.integers(14, 26), 2)))


def stroked(shape: str, rng: np.random.Generator) -> Image.Image:
    """A shape by one of the HANDS."""
    style = STYLES[HANDS[rng.integers(len(HANDS))]]
    style = style._replace(height=0.75 * style.height)  # most are wider than a digit
    return style.finish(coverage(shape, style, rng), rng)


def written(text: str, size: int, width: int, rng: np.random.Generator) -> Image.Image:
    """Printed text, dark on light, on one or several lines."""
    font = ImageFont.load_default(size)
    lines = text.split("\n")
    page = Image.new("L", (width, int(1.4 * size * len(lines)) + 2 * size), int(rng.integers(225, 256)))
    for i, line in enumerate(lines):
        ImageDraw.Draw(page).text((size, size + 1.4 * size * i), line, fill=int(rng.integers(0, 60)), font=font)
    return page


def paragraph(rng: np.random.Generator) -> Image.Image:
    """A page of words."""
    start, count = int(rng.integers(len(LETTER))), int(rng.integers(8, 20))
    text = (LETTER * 20)[start:]
    return written("\n".join(text[60 * i : 60 * i + 60] for i in range(count)), int(rng.integers(11, 16)), 520, rng)


def texture(number: int, rng: np.random.Generator) -> Image.Image:
    """Noise, stripes, a chessboard or dots, all over the picture."""
    y, x = np.mgrid[:200, :200]
    period, angle = rng.uniform(14, 40), rng.uniform(0.2, 1.3)
    ways: list[Callable[[], np.ndarray]] = [
        lambda: rng.uniform(0, 1, (200, 200)),
        lambda: np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period) > 0.3,
        lambda: (x // int(period) + y // int(period)) % 2,
        lambda: (x % period - period / 2) ** 2 + (y % period - period / 2) ** 2 < (period / 4) ** 2,
    ]
    page = np.full((260, 260), 255, np.uint8)
    page[30:230, 30:230] = 255 - 255 * ways[number % len(ways)]()
    return Image.fromarray(page)


def pictures(seed: int = 14) -> Iterator[tuple[str, Image.Image]]:
    """A hundred pictures: every shape twice, and scribbles, words, pages and textures."""
    rng = np.random.default_rng(seed)
    for i, (name, shape) in enumerate(2 * SHAPES):
        yield f"{name}_{i}", stroked(shape, rng)
    for i in range(12):
        yield f"scribble_{i}", stroked(scribble(rng), rng)
    for i, word in enumerate(WORDS.split()):
        yield f"word_{i}", written(word, int(rng.integers(24, 60)), 400, rng)
    for i in range(4):
        yield f"page_{i}", paragraph(rng)
    for i in range(4):
        yield f"texture_{i}", texture(i, rng)


def write(folder: Path, seed: int = 14) -> list[Path]:
    """Write the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, picture in pictures(seed):
        files.append(folder / f"{name}.png")
        picture.save(files[-1])
    return files


def refused(model: Path, files: list[Path]) -> list[str]:
    """The names of the pictures that the model refuses, or in which it cannot even find ink."""
    net = load_model(model)
    answers = classify(net, list(look(files, net.about["data"])))
    read = {answer["picture"] for answer in answers if not answer["refused"]}
    return [file.stem for file in files if str(file) not in read]


def main() -> None:
    """Write the pictures into the folder of `--write FOLDER`; count the pictures that each named model file refuses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL")
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=14)
    arguments = parser.parse_args()
    if arguments.write:
        print(f"{len(write(arguments.write, arguments.seed))} pictures in {arguments.write}")
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder) / "others", arguments.seed) if arguments.models else []
        digits = list(write_digits(Path(folder) / "digits")) if arguments.models else []
        for model in arguments.models:
            found, wrong = refused(model, files), refused(model, digits)
            print(f"{model} refuses {len(found)} of {len(files)} others and {len(wrong)} of {len(digits)} drawn digits")
            print("  taken for digits:", " ".join(file.stem for file in files if file.stem not in found))


if __name__ == "__main__":
    main()
