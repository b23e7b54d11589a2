"""Pictures as people take and save them, drawn by a program: digits in frames and on desks, and whole numbers.

`python tools/scenes.py --write FOLDER` keeps them; `python tools/scenes.py data/model/weights.npz` counts how many a
net reads, with `--mnist FOLDER` (of t10k-images-idx3-ubyte.gz) also numbers composed of MNIST's test digits.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
from drawings import SHAPES, STYLES, Style, coverage, lit, mix, photo, plain, smooth
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pipeline.commands.predict import classify, look
from pipeline.datasets.idx import read_idx
from pipeline.model import load_model

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Scene = Callable[[np.ndarray, np.random.Generator], Image.Image]


def on(paper: tuple[int, int, int], ink: tuple[int, int, int], covered: np.ndarray) -> Image.Image:
    """Two flat colours."""
    return mix(np.full((*covered.shape, 3), paper, float), ink, covered)


def framed(image: Image.Image, width: int, colour: tuple[int, int, int]) -> Image.Image:
    """`image` with a border painted over its outermost pixels."""
    ImageDraw.Draw(image).rectangle((0, 0, image.width - 1, image.height - 1), outline=colour, width=width)
    return image


def border(width: int) -> Scene:
    return lambda covered, rng: framed(on(WHITE, BLACK, covered), width, BLACK)


def bar(*sides: str) -> Scene:
    """Black bars beside the drawing, as on a screen with other proportions."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        image = on(WHITE, (20, 20, 120), covered)
        w, h = image.size
        room = {side: int(rng.integers(12, 60)) for side in sides}
        left, top = room.get("left", 0), room.get("top", 0)
        page = Image.new("RGB", (w + left + room.get("right", 0), h + top + room.get("bottom", 0)))
        page.paste(image, (left, top))
        return page

    return finish


def window(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A screenshot of a drawing program: title bar with text and buttons, a thin frame, the canvas."""
    image = on(WHITE, BLACK, covered)
    page = Image.new("RGB", (image.width + 2, image.height + 31), (110, 110, 110))
    pen = ImageDraw.Draw(page)
    pen.rectangle((1, 1, page.width - 2, 29), fill=(40, 90, 180))
    pen.text((8, 8), "Untitled - Draw", fill=WHITE)
    for k in range(3):
        pen.rectangle((page.width - 20 * (k + 1), 8, page.width - 20 * k - 8, 20), outline=WHITE)
    page.paste(image, (1, 30))
    return page


def card(shade: int, ink: int) -> Scene:
    """A card with round corners on nothing."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        image = on((shade,) * 3, (ink,) * 3, covered).convert("RGBA")
        page = Image.new("RGBA", (image.width + 60, image.height + 40), (0, 0, 0, 0))
        mask = Image.new("L", image.size)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, image.width - 1, image.height - 1), 25, fill=255)
        page.paste(image, (30, 20), mask)
        return page

    return finish


def cropped(covered: np.ndarray, room: int) -> np.ndarray:
    """Cut to what is covered, with `room` pixels around (less than none cuts into the strokes)."""
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    padded = np.pad(covered, max(room, 0))
    cut = max(-room, 0)
    return padded[
        rows[0] + cut : rows[-1] + 1 - cut + 2 * max(room, 0),
        columns[0] + cut : columns[-1] + 1 - cut + 2 * max(room, 0),
    ]


def tight(room: int, paper: tuple[int, int, int], ink: tuple[int, int, int], blur: float, noise: float) -> Scene:
    """Cut close to the ink, small, soft and noisy."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        small = np.asarray(Image.fromarray((cropped(covered, 4 * room) * 255).astype(np.uint8)).reduce(4), float) / 255
        image = on(paper, ink, small).filter(ImageFilter.GaussianBlur(blur))
        noisy = np.asarray(image, float) + rng.normal(0, noise, (*small.shape, 3))
        return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))

    return finish


def axes(paper: tuple[int, int, int], ink: tuple[int, int, int], box: bool = True) -> Scene:
    """A plot: an image of 28 x 28 between axes with ticks and numbers; without `box` only two axes."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        image = on(paper, ink, covered).resize((28, 28), Image.Resampling.BOX)
        side, x0, y0 = 370, 140, 50
        page = Image.new("RGB", (640, 480), "white")
        page.paste(image.resize((side, side), Image.Resampling.NEAREST), (x0, y0))
        pen = ImageDraw.Draw(page)
        if box:
            pen.rectangle((x0, y0, x0 + side, y0 + side), outline="black")
        pen.line((x0, y0, x0, y0 + side, x0 + side, y0 + side), fill="black")
        for tick in range(0, 28, 5):
            place = round((tick + 0.5) * side / 28)
            pen.line((x0 - 4, y0 + place, x0, y0 + place), fill="black")
            pen.line((x0 + place, y0 + side, x0 + place, y0 + side + 4), fill="black")
            pen.text((x0 - 22, y0 + place - 6), str(tick), fill="black")
            pen.text((x0 + place - 4, y0 + side + 8), str(tick), fill="black")
        return page

    return finish


def desk(texture: float, light: bool, turn: float) -> Scene:
    """A photo of a sheet on a dark or light desk, turned by some degrees."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        size = (800, 800)
        sheet = on((238, 238, 234), (25, 25, 35), covered).convert("RGBA").resize((420, 520))
        sheet = sheet.rotate(turn + rng.normal(0, 3), expand=True, resample=Image.Resampling.BICUBIC)
        tone = (150, 110, 75) if light else (52, 42, 36)
        wood = np.full((*size, 3), tone, float) + texture * smooth(size, 100, rng)[..., None]
        wood += texture / 2 * np.sin(np.arange(800) / 7)[:, None, None]
        page = Image.fromarray(np.clip(wood, 0, 255).astype(np.uint8))
        page.paste(sheet, (int(rng.integers(60, 200)), int(rng.integers(40, 120))), sheet)
        photo = np.asarray(page.filter(ImageFilter.GaussianBlur(1.2)), float) * lit(size, rng)[..., None] ** 0.5
        return Image.fromarray(np.clip(photo + rng.normal(0, 3, photo.shape), 0, 255).astype(np.uint8))

    return finish


def beside(*sides: str) -> Scene:
    """A photo of paper with the table beside it."""

    def finish(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
        covered = np.pad(covered, 60)
        page = np.full((*covered.shape, 3), (226, 223, 214), float)
        shares = {side: int(len(covered) * rng.uniform(0.04, 0.12)) for side in sides}
        for side, wide in shares.items():
            turned = np.rot90(page, ("left", "top", "right", "bottom").index(side))
            turned[:, :wide] = (95, 62, 40)
            turned[:, wide : wide + 6] = (140, 130, 120)
        image = np.asarray(mix(page, (40, 40, 80), covered), float) * lit(covered.shape, rng)[..., None]
        return Image.fromarray(np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8))

    return finish


def close_up(covered: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A photo of a turned sheet on a desk, whose corners are out of sight."""
    whole = desk(6, light=bool(rng.integers(2)), turn=12)(covered, rng)
    return whole.crop((150, 110, 640, 620))


SCENES: dict[str, Scene] = {
    "border_1": border(1),
    "border_6": border(6),
    "bar_left": bar("left"),
    "bar_top": bar("top"),
    "bars": bar("left", "right"),
    "letterbox": bar("top", "bottom"),
    "window": window,
    "card": card(250, 20),
    "dark_card": card(30, 240),
    "tight": tight(0, WHITE, BLACK, 0.3, 0),
    "tight_soft": tight(1, (150, 145, 140), (85, 95, 175), 1.3, 5),
    "tight_bright": tight(0, (60, 62, 52), (250, 250, 245), 0.5, 6),
    "plot": axes(BLACK, WHITE),
    "plot_light": axes(WHITE, BLACK),
    "plot_two_axes": axes(WHITE, BLACK, box=False),
    "dark_desk": desk(0, light=False, turn=7),
    "wooden_desk": desk(9, light=True, turn=-5),
    "table_beside": beside("left"),
    "table_at_two": beside("left", "top"),
    "table_at_three": beside("left", "bottom", "right"),
    "close_up": close_up,
}
PEN = Style((280, 280), 190, 16, 0.02, 0.1, plain(WHITE, BLACK))


def scenes(seed: int = 7) -> Iterator[tuple[str, str, Image.Image]]:
    """Every digit in every scene, the shapes taking turns: a name, what is written, and the picture."""
    rng = np.random.default_rng(seed)
    for s, (name, finish) in enumerate(SCENES.items()):
        for digit, shapes in SHAPES.items():
            covered = coverage(shapes[(s + digit) % len(shapes)], PEN, rng)
            yield f"{name}_{digit}", str(digit), finish(covered, rng)


# whole numbers

HANDS = {  # a style each, in which the page and the place do not count
    "mouse": STYLES["mouse"]._replace(height=120),
    "finger": STYLES["finger"]._replace(height=130, pen=14),
    "thin_pen": STYLES["thin_pen"]._replace(height=120),
    "marker": STYLES["marker"]._replace(height=130, pen=24),
    "slanted": STYLES["slanted"]._replace(height=120, pen=9, slant=0.35),
    "light_on_dark": STYLES["light_on_dark"]._replace(height=120, pen=9),
    "ballpoint_photo": STYLES["ballpoint_photo"]._replace(height=140, pen=6),
    "felt_tip_photo": STYLES["felt_tip_photo"]._replace(height=140, pen=12),
    "ruled_photo": STYLES["ruled_photo"]._replace(height=130, pen=7, finish=photo((228, 226, 220), (40, 45, 95), 5)),
    "chalk": STYLES["chalk"]._replace(height=150, pen=11),
}


def in_a_row(glyphs: list[np.ndarray], gap: float, rng: np.random.Generator) -> np.ndarray:
    """Coverages (Y, X) side by side on one line, about `gap` heights apart, each a little up or down."""
    height = max(len(glyph) for glyph in glyphs)
    page = np.zeros((2 * height, sum(glyph.shape[1] for glyph in glyphs) + 2 * height * (len(glyphs) + 1)))
    x = height
    for glyph in glyphs:
        y = height // 2 + (height - len(glyph)) // 2 + int(rng.normal(0, 0.03 * height))
        place = page[y : y + len(glyph), x : x + glyph.shape[1]]
        np.maximum(place, glyph, out=place)
        x += glyph.shape[1] + round(height * gap * rng.uniform(0.7, 1.6))
    return page[:, : x + height // 2]


def by_hand(text: str, style: Style, rng: np.random.Generator) -> list[np.ndarray]:
    """A coverage, cut out, for each digit of `text`."""
    wide = style._replace(page=(int(2 * style.height),) * 2)
    return [cropped(coverage(rng.choice(SHAPES[int(digit)]), wide, rng), 0) for digit in text]


def printed(text: str, rng: np.random.Generator) -> list[np.ndarray]:
    """A coverage for each digit of `text` in Pillow's own font."""
    font = ImageFont.load_default(150)
    found = []
    for digit in text:
        page = Image.new("L", (200, 220))
        ImageDraw.Draw(page).text((30, 20), digit, fill=255, font=font)
        found.append(cropped(np.asarray(page) / 255.0, 0))
    return found


def stacked(lines: list[np.ndarray]) -> np.ndarray:
    """Lines of a page, from the left."""
    wide = max(line.shape[1] for line in lines)
    return np.concatenate([np.pad(line, [(0, 0), (0, wide - line.shape[1])]) for line in lines])


def text(rng: np.random.Generator, lines: int = 1) -> str:
    """Numbers of 2 to 6 digits."""
    return "\n".join("".join(map(str, rng.integers(0, 10, rng.integers(2, 7)))) for _ in range(lines))


def numbers(seed: int = 8, each: int = 7, digits: dict[int, np.ndarray] | None = None) -> Iterator:
    """Numbers of 2 to 6 digits, one in six on two lines: a name, what is written, and the picture.

    In every hand, in print, and of the images (N, Y, X) of `digits` by class.
    """
    rng = np.random.default_rng(seed)
    for name in [*HANDS, "printed", *(["mnist"] if digits else [])]:
        for k in range(each):
            wanted = text(rng, 1 + (k % 6 == 5))
            gap = rng.uniform(0.15, 0.4)
            rows = []
            for line in wanted.split("\n"):
                if name == "printed":
                    glyphs = printed(line, rng)
                elif name == "mnist" and digits:
                    glyphs = [of_mnist(digits[int(digit)], rng) for digit in line]
                else:
                    glyphs = by_hand(line, HANDS[name], rng)
                rows.append(in_a_row(glyphs, gap, rng))
            finish = HANDS[name].finish if name in HANDS else plain(WHITE, BLACK)
            yield f"{name}_{k}_{wanted.replace(chr(10), '+')}", wanted, finish(stacked(rows), rng)


def of_mnist(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of `images` (N, Y, X) at five times its size, cut out."""
    image = Image.fromarray(images[rng.integers(len(images))])
    large = image.resize((140, 140), Image.Resampling.BICUBIC)
    return cropped(np.where(np.asarray(large) > 12, np.asarray(large) / 255.0, 0), 0)


def mnist(folder: Path) -> dict[int, np.ndarray]:
    """MNIST's test images (N, Y, X) by class, from its files in `folder`."""
    images, labels = (read_idx(folder / f"t10k-{name}-ubyte.gz") for name in ("images-idx3", "labels-idx1"))
    return {k: images[labels == k] for k in range(10)}


def main() -> None:
    """Write the pictures into the folder of `--write FOLDER`; score the nets in the named model files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="model files to score")
    parser.add_argument("--write", metavar="FOLDER", type=Path, help="keep the pictures there")
    parser.add_argument("--mnist", metavar="FOLDER", type=Path, help="compose numbers of its test images, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.write or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = {}
        for name, text, picture in [*scenes(), *numbers(digits=arguments.mnist and mnist(arguments.mnist))]:
            picture.save(folder / f"{name}.png")
            wanted[str(folder / f"{name}.png")] = text
        for model in arguments.models:
            net = load_model(model)
            answers = classify(net, list(look([Path(name) for name in wanted], net.about["data"])))
            report(model, wanted, {answer["picture"]: answer["text"] for answer in answers})


def report(model: Path, wanted: dict[str, str], said: dict[str, str]) -> None:
    """Print how many scenes, numbers and digits of numbers were read, and each mistake."""
    for kind, names in (
        ("scenes", [name for name in wanted if len(wanted[name]) == 1]),
        ("numbers", [name for name in wanted if len(wanted[name]) > 1]),
    ):
        right = sum(said.get(name) == wanted[name] for name in names)
        print(f"{model}: {right} of {len(names)} {kind} right, {right / len(names):.1%}")
    digits = sum(len(wanted[name].replace("\n", "")) for name in names)
    found = sum(
        block.size
        for name in names
        for block in SequenceMatcher(None, wanted[name], said.get(name, ""), autojunk=False).get_matching_blocks()
    ) - sum(wanted[name].count("\n") for name in names if "\n" in said.get(name, ""))
    print(f"{model}: {found} of {digits} digits of numbers right, {found / digits:.1%}")
    for name, text in wanted.items():
        if said.get(name) != text:
            print(f"  {Path(name).stem} read as {said.get(name)!r}")


if __name__ == "__main__":
    main()
