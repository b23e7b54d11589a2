"""A set of drawn digits without anything from MNIST: strokes like those of a hand, as drawings, photos and scans.

They were drawn before any net was tried on them. To look at them, and to see how many of them nets read:
`python tools/drawings.py --write FOLDER`, `python tools/drawings.py data/model/weights.npz`.
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pipeline.commands.predict import classify, look
from pipeline.model import load_model

# Each digit in the shapes that people were taught: points "x y" of a pen in a box of height 1, smooth but at "/",
# where it turns a corner, and lifted at "|".
POINTS = """
0 .42 .02 .2 .14 .06 .5 .2 .86 .45 .98 .7 .86 .82 .5 .7 .15 .42 .02
0 .52 .05 .25 .1 .1 .45 .18 .85 .45 .97 .64 .75 .66 .35 .52 .08 .36 .09
0 .45 .05 .18 .2 .1 .6 .3 .95 .62 .88 .74 .5 .66 .15
1 .3 0 .3 1
1 .45 0 .28 1
1 .05 .32 / .42 .02 / .42 1
1 .1 .28 / .4 .02 / .4 .98 | .15 .98 / .66 .98
2 .06 .27 .22 .05 .5 .02 .68 .22 .55 .52 .08 .97 / .74 .97
2 .08 .24 .3 .02 .6 .12 .6 .42 .35 .75 .14 .93 .06 .84 .2 .78 .45 .94 .76 .9
2 .1 .18 .4 .02 .68 .2 .5 .55 .06 .97 / .72 .93
3 .08 .14 .34 .01 .62 .14 .56 .38 .3 .48 / .3 .48 .64 .57 .7 .82 .42 .99 .06 .87
3 .1 .03 / .68 .03 / .36 .4 .66 .53 .7 .82 .4 .99 .06 .88
3 .1 .1 .4 .02 .6 .2 .42 .45 .26 .47 .5 .5 .66 .74 .5 .95 .22 .99 .04 .9
4 .2 .02 / .06 .58 / .78 .58 | .56 .2 / .54 1
4 .54 .02 / .04 .66 / .8 .66 | .55 .02 / .54 1
4 .14 .04 .1 .4 .2 .52 .6 .5 | .64 .04 .6 .5 .58 1
5 .68 .03 / .2 .03 / .15 .45 .42 .38 .7 .56 .66 .86 .36 .99 .06 .88
5 .16 .06 / .14 .46 .42 .4 .68 .58 .64 .86 .34 .99 .05 .9 | .16 .06 / .7 .03
5 .7 .05 .36 .05 .18 .24 .34 .42 .62 .56 .66 .82 .38 .98 .08 .9
6 .6 .03 .3 .25 .12 .6 .2 .9 .44 .98 .68 .8 .6 .57 .36 .53 .15 .7
6 .46 0 .2 .4 .1 .75 .3 .98 .58 .92 .64 .68 .44 .58 .16 .72
6 .66 .1 .42 .04 .18 .3 .1 .65 .25 .95 .55 .96 .68 .75 .5 .58 .24 .6 .13 .74
7 .06 .05 / .74 .05 / .32 1
7 .06 .06 / .74 .04 / .34 1 | .22 .5 / .68 .5
7 .06 .2 / .09 .05 / .76 .06 .5 .48 .36 1
8 .62 .14 .38 .01 .16 .16 .26 .38 .54 .55 .7 .78 .42 .99 .12 .8 .28 .56 .58 .37 .62 .14
8 .4 .48 .16 .26 .4 .02 .62 .24 .4 .48 .1 .74 .4 .99 .7 .74 .4 .48
8 .64 .06 .3 .05 .16 .24 .5 .5 .68 .78 .42 .99 .14 .82 .3 .58 .56 .38 .68 .1
9 .66 .24 .4 .02 .12 .2 .2 .46 .46 .5 .66 .26 / .66 .3 .62 1
9 .68 .28 .42 .02 .14 .22 .26 .5 .52 .48 .68 .22 .7 .62 .56 .94 .2 .96
9 .6 .1 .28 .06 .14 .32 .36 .5 .62 .34 .64 .12 .6 .55 .46 1
"""
SHAPES = {digit: [line[2:] for line in POINTS.splitlines() if line[:1] == str(digit)] for digit in range(10)}

Stroke = list[tuple[float, float]]


class Style(NamedTuple):
    """How a digit is put down: page (columns, rows), height of the digit and width of the pen in pixels.

    wobble: of the hand, in heights; slant: columns per row; `finish` makes a picture of coverage (Y, X), 0 to 1.
    """

    page: tuple[int, int]
    height: float
    pen: float
    wobble: float
    slant: float
    finish: Callable[[np.ndarray, np.random.Generator], Image.Image]
    points: int = 12  # between two points of a shape; 1 leaves the corners that a mouse makes


def spline(points: Stroke, between: int) -> Stroke:
    """A Catmull-Rom curve through the points."""
    p = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, between, endpoint=False)[:, None]
    curve = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False):
        curve.append(b + t * (c - a) / 2 + t**2 * (a - 2.5 * b + 2 * c - d / 2) + t**3 * (1.5 * (b - c) + (d - a) / 2))
    return [*map(tuple, np.concatenate([*curve, p[-1:]]).tolist())]


def strokes(shape: str, style: Style, rng: np.random.Generator) -> list[Stroke]:
    """The way of the pen in heights, for one digit: wobbling, slanted, wider or narrower, a little turned."""
    turn, wide = rng.normal(0, 0.06), rng.uniform(0.8, 1.25)
    written = []
    for line in shape.split("|"):
        way: Stroke = []
        for piece in line.split("/"):
            numbers = np.array(piece.split(), float).reshape(-1, 2)
            points = [*way[-1:], *map(tuple, (numbers + rng.normal(0, style.wobble, numbers.shape)).tolist())]
            way = way[:-1] + (spline(points, style.points) if len(points) > 1 else points)
        x, y = np.array(way).T
        x = (x - 0.4) * wide + style.slant * (0.5 - y)
        y = y - 0.5
        written.append(np.stack([x - turn * y, y + turn * x], 1).tolist())
    return written


def coverage(shape: str, style: Style, rng: np.random.Generator) -> np.ndarray:
    """How much of each pixel the pen covers (Y, X), drawn at four times the size."""
    columns, rows = style.page
    ways = [np.array(way) * style.height for way in strokes(shape, style, rng)]
    every = np.concatenate(ways)
    margin = style.pen / 2 + 1
    low, high = every.min(0) - margin, every.max(0) + margin
    place = -low + rng.uniform(0.15, 0.85, 2) * np.maximum(np.array(style.page) - (high - low), 0)
    large = Image.new("L", (4 * columns, 4 * rows))
    pen, radius = ImageDraw.Draw(large), 2 * style.pen
    for way in ways:
        dots = [tuple(dot) for dot in (4 * (way + place)).tolist()]
        pen.line(dots, fill=255, width=round(2 * radius))
        for x, y in dots:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(large.reduce(4)) / 255.0


def mix(paper: np.ndarray, ink: object, covered: np.ndarray) -> Image.Image:
    """Ink of one colour on paper (Y, X, 3) of colours 0 to 255."""
    alpha = covered[..., None]
    return Image.fromarray(np.clip(paper * (1 - alpha) + np.asarray(ink) * alpha, 0, 255).astype(np.uint8))


def plain(paper: tuple[int, int, int], ink: tuple[int, int, int]) -> Callable[..., Image.Image]:
    """A drawing program: two flat colours."""
    return lambda covered, rng: mix(np.full((*covered.shape, 3), paper, float), ink, covered)


def aliased(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """An old drawing program: black and white only."""
    return Image.fromarray(np.where(covered > 0.5, 0, 255).astype(np.uint8)).convert("1")


def transparent(shade: int) -> Callable[..., Image.Image]:
    """Ink of one grey on nothing at all."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        return Image.fromarray(np.stack([np.full(covered.shape, shade), (covered * 255)], -1).astype(np.uint8), "LA")

    return finish


def smooth(shape: tuple[int, int], cells: int, rng: np.random.Generator) -> np.ndarray:
    """Random cloud (Y, X) of about unit variance with features of about 1 / cells of the picture."""
    small = Image.fromarray(rng.normal(0, 1, (cells + 1, cells + 1)).astype(np.float32))
    return np.asarray(small.resize(shape[::-1], Image.Resampling.BICUBIC), float)


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after it was saved as JPEG."""
    file = io.BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=quality)
    return Image.open(file)


def low_quality(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A drawing sent through a messenger that saves space."""
    return jpeg(plain((255, 255, 255), (20, 20, 20))(covered, rng), 12)


def lit(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Light on a page (Y, X): falling off to one side, dark in the corners, with a soft shadow across."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    angle = rng.uniform(0, 2 * np.pi)
    along = np.cos(angle) * (x - x.mean()) + np.sin(angle) * (y - y.mean())
    vignette = 1 - 0.5 * ((x - x.mean()) ** 2 + (y - y.mean()) ** 2)
    shadow = 1 - 0.25 / (1 + np.exp(-(along - rng.uniform(-0.2, 0.2)) * 15))
    return vignette * shadow * (1 - rng.uniform(0.3, 0.6) * along)


def photo(paper: tuple[int, int, int], ink: tuple[int, int, int], grain: float, ruled: int = 0):
    """A phone's photo of handwriting: paper texture, uneven light, blur, noise and JPEG; perhaps with ruled lines."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        page = np.full((*covered.shape, 3), paper, float) + 3 * smooth(covered.shape, 60, rng)[..., None]
        if ruled:
            page[rng.integers(ruled) :: ruled] *= (0.8, 0.88, 0.95)
        written = np.clip(covered * (1 + 0.15 * smooth(covered.shape, 40, rng)), 0, 1)
        picture = np.asarray(mix(page, ink, written), float) * lit(covered.shape, rng)[..., None]
        blurred = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.2))
        noisy = np.asarray(blurred, float) + rng.normal(0, grain, picture.shape)
        return jpeg(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), 70)

    return finish


def chalk(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """White chalk on a wiped blackboard: full of holes, with dust around."""
    board = np.array([45, 60, 52]) + 6 * smooth(covered.shape, 8, rng)[..., None] + np.zeros((*covered.shape, 3))
    holes = rng.uniform(0, 1, covered.shape) < 0.75
    dust = np.clip(0.04 * smooth(covered.shape, 12, rng), 0, 1)
    return mix(board + rng.normal(0, 4, board.shape), (230, 230, 220), np.clip(covered * holes + dust, 0, 1))


STYLES = {
    "mouse": Style((280, 280), 170, 5, 0.03, 0.0, aliased, points=2),
    "finger": Style((280, 280), 200, 22, 0.02, 0.05, plain((255, 255, 255), (0, 0, 0))),
    "thin_pen": Style((400, 300), 190, 2, 0.015, 0.15, plain((255, 255, 255), (10, 20, 110))),
    "marker": Style((300, 300), 210, 42, 0.02, 0.0, plain((255, 255, 255), (30, 30, 30))),
    "small_in_a_corner": Style((640, 480), 48, 4, 0.015, 0.1, plain((255, 255, 255), (0, 0, 0))),
    "tiny": Style((32, 32), 20, 2.2, 0.015, 0.05, plain((250, 250, 245), (40, 40, 40))),
    "fills_the_page": Style((200, 280), 264, 14, 0.02, 0.0, plain((255, 255, 255), (0, 0, 0))),
    "slanted": Style((320, 320), 200, 12, 0.02, 0.5, plain((255, 255, 255), (0, 0, 0))),
    "leaning_back": Style((320, 320), 200, 12, 0.02, -0.25, plain((255, 255, 255), (0, 0, 0))),
    "light_on_dark": Style((300, 300), 190, 14, 0.02, 0.1, plain((25, 25, 40), (240, 240, 240))),
    "yellow_on_blue": Style((300, 300), 190, 10, 0.02, 0.1, plain((30, 60, 160), (250, 220, 60))),
    "red_on_green": Style((300, 300), 190, 14, 0.02, 0.1, plain((60, 150, 60), (210, 70, 60))),
    "black_on_nothing": Style((256, 256), 170, 12, 0.02, 0.1, transparent(0)),
    "white_on_nothing": Style((256, 256), 170, 12, 0.02, 0.1, transparent(255)),
    "low_quality": Style((160, 160), 100, 7, 0.02, 0.1, low_quality),
    "ballpoint_photo": Style((600, 800), 330, 9, 0.015, 0.15, photo((225, 222, 212), (45, 55, 120), 5)),
    "felt_tip_photo": Style((800, 600), 380, 26, 0.015, 0.1, photo((235, 235, 232), (35, 30, 35), 6)),
    "pencil_photo": Style((600, 600), 300, 8, 0.015, 0.1, photo((230, 228, 222), (130, 128, 128), 4)),
    "ruled_photo": Style((700, 500), 280, 11, 0.015, 0.15, photo((228, 226, 220), (40, 45, 95), 5, ruled=62)),
    "dim_photo": Style((480, 640), 260, 12, 0.015, 0.1, photo((110, 100, 85), (30, 26, 24), 7)),
    "chalk": Style((500, 400), 260, 16, 0.02, 0.1, chalk),
}


def drawings(seed: int = 6) -> Iterator[tuple[str, int, Image.Image]]:
    """Every digit in every style, the shapes taking turns."""
    rng = np.random.default_rng(seed)
    for s, (name, style) in enumerate(STYLES.items()):
        for digit, shapes in SHAPES.items():
            yield f"{name}_{digit}", digit, style.finish(coverage(shapes[(s + digit) % len(shapes)], style, rng), rng)


def write(folder: Path, seed: int = 6) -> dict[Path, int]:
    """Write the drawings into a folder; the digit of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = {}
    for name, digit, picture in drawings(seed):
        picture.save(folder / f"{name}.png")
        digits[folder / f"{name}.png"] = digit
    return digits


def wrong(model: Path, digits: dict[Path, int]) -> list[str]:
    """The pictures that the net in a model file reads wrongly, and how."""
    net = load_model(model)
    answers = classify(net, list(look(list(digits), net.about["data"])))
    said = {answer["picture"]: answer["text"] for answer in answers}
    return [f"{file.stem} read as {said.get(str(file))}" for file, k in digits.items() if said.get(str(file)) != str(k)]


def main() -> None:
    """Write the drawings into the folder of `--write FOLDER`; score the nets in the named model files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="model files to score")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="keep the pictures there")
    parser.add_argument("--seed", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        digits = write(arguments.write or Path(scratch), arguments.seed)
        for model in arguments.models:
            mistakes = wrong(model, digits)
            right = len(digits) - len(mistakes)
            print(f"{model}: {right} of {len(digits)} drawings right, {right / len(digits):.1%}")
            print("".join(f"  {mistake}\n" for mistake in mistakes), end="")


if __name__ == "__main__":
    main()
