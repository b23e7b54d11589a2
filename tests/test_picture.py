"""Anyone's picture becomes an image as in the data set, however it was drawn; a file that is no picture is refused."""

import contextlib
import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from drawings import SHAPES, STYLES, coverage, lit, mix, smooth
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scenes import PEN, SCENES, numbers

from pipeline.base.errors import PipelineError
from pipeline.digit.blots import blots
from pipeline.digit.framing import Framing, bounds, centre_of_mass, framing, slant, stroke_width
from pipeline.digit.ink import find_ink
from pipeline.digit.paper import lit_paper
from pipeline.digit.picture import LARGEST_FILE, LONGEST_SIDE, digits, frame, grown, read_picture

MNIST = Framing(20.0, 14.5, 14.5, 2.5, 0.0, 0.4)
TWO = ".06 .27 .22 .05 .5 .02 .68 .22 .55 .52 .08 .97 / .74 .97"
STYLE = STYLES["slanted"]._replace(slant=0.1)


def drawn(style=STYLE, shape: str = TWO, seed: int = 1) -> np.ndarray:
    """A two (Y, X), the same hand each time."""
    return coverage(shape, style, np.random.default_rng(seed))


def picture(covered: np.ndarray, paper=(255, 255, 255), ink=(0, 0, 0)) -> Image.Image:
    return mix(np.full((*covered.shape, 3), paper, float), ink, covered)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def seen(image: Image.Image, form: str = "PNG", **options: object) -> np.ndarray:
    return alone(encoded(image, form, **options))


def alone(content: bytes) -> np.ndarray:
    """The one digit of a picture."""
    ((image, _, _),) = digits(content, "x", (28, 28), MNIST, apart=True)
    return image


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two images."""
    return float(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1])


EXPECTED = seen(picture(drawn()))


def test_a_digit_fills_the_box_and_its_mass_is_in_the_middle():
    top, bottom, left, right = bounds(EXPECTED > 0)
    assert (EXPECTED.shape, EXPECTED.dtype, EXPECTED.max()) == ((28, 28), np.uint8, 255)
    assert max(bottom - top, right - left) == 20
    assert np.abs(np.array(centre_of_mass(EXPECTED)) - 14.5).max() <= 0.5


@pytest.mark.parametrize(("box", "longest"), [((60, 20), 0), ((20, 60), 1), ((40, 40), 0)])
def test_proportions_are_kept(box, longest):
    ink = np.zeros((100, 100))
    ink[5 : 5 + box[0], 30 : 30 + box[1]] = 1
    top, bottom, left, right = bounds(frame(ink, (28, 28), MNIST) > 127)
    sides = (bottom - top, right - left)
    assert sides[longest] == 20
    assert sides[1 - longest] == pytest.approx(20 * box[1 - longest] / box[longest], abs=1)


@pytest.mark.parametrize("radius", [0.3, 1.0, 1.5, 2.0, 4.2, 7.9])
def test_a_pen_of_some_radius_inks_all_within_it(radius):
    mask = np.random.default_rng(3).random((23, 17)) < 0.03
    y, x = np.mgrid[:23, :17]
    near = [(y - v) ** 2 + (x - u) ** 2 <= radius**2 for v, u in np.argwhere(mask)]
    np.testing.assert_array_equal(grown(mask, radius), np.any(near, axis=0))


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (32, 16), (16, 40), (7, 5)])
@pytest.mark.parametrize("ink", ["two", "line across", "line down", "dot"])
def test_any_digit_fits_into_any_shape(shape, ink):
    across = np.zeros((90, 300))
    across[40:45, 10:290] = 1
    dot = np.zeros((50, 60))
    dot[10, 7] = 1
    found = frame(
        {"two": drawn(), "line across": across, "line down": across.T, "dot": dot}[ink],
        shape,
        Framing(0.7 * max(shape), shape[0] / 2, shape[1] / 2, 0.1 * max(shape), 0.0, 0.4),
    )
    assert found.shape == shape
    assert found.max() > 60


@pytest.mark.parametrize(
    ("paper", "ink"),
    [
        ((0, 0, 0), (255, 255, 255)),
        ((30, 30, 30), (200, 200, 200)),
        ((200, 200, 200), (150, 150, 150)),
        ((40, 60, 200), (250, 230, 60)),
        ((60, 150, 60), (210, 82, 60)),  # of about the same lightness
        ((255, 255, 255), (255, 250, 120)),
    ],
)
def test_any_ink_on_any_paper_is_the_same_digit(paper, ink):
    assert alike(seen(picture(drawn(), paper, ink)), EXPECTED) > 0.99


@pytest.mark.parametrize("place", [(0, 0), (0, 380), (300, 40), (150, 250)])
@pytest.mark.parametrize("size", [40, 120, 320])
def test_where_and_how_large_it_is_does_not_matter(place, size):
    page = Image.new("RGB", (900, 700), "white")
    page.paste(picture(drawn()).resize((size, size), Image.Resampling.BOX), place)
    assert alike(seen(page), EXPECTED) > (0.97 if size > 50 else 0.9)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "I", "F"])
def test_any_mode(mode):
    grey = picture(drawn()).convert("L")
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((np.asarray(grey, np.float64) * (1 if mode == "F" else 200)).astype(dtype))
        assert image.mode == mode
    else:
        image = grey.convert("RGB").convert(mode)
    form = "TIFF" if mode in ("CMYK", "I", "F") else "PNG"
    assert alike(seen(image, form), EXPECTED) > 0.98


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_any_format(form):
    assert alike(seen(picture(drawn()), form), EXPECTED) > 0.98


@pytest.mark.parametrize("shade", [0, 90, 160, 255])
def test_what_is_transparent_is_paper_whatever_colour_hides_there(shade):
    covered = drawn()
    hidden = np.random.default_rng(0).integers(0, 256, covered.shape)
    grey = np.where(covered > 0, shade, hidden)
    image = Image.fromarray(np.stack([grey, covered * 255], -1).astype(np.uint8), "LA")
    assert alike(seen(image), EXPECTED) > 0.99


def test_a_picture_is_turned_upright_as_viewers_do():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn right by 90 degrees to look at it
    turned = picture(drawn()).transpose(Image.Transpose.ROTATE_90)
    assert alike(seen(turned, "JPEG", exif=exif), EXPECTED) > 0.98


@pytest.mark.parametrize("lean", [-0.5, 0.6])
def test_what_leans_further_than_the_data_set_is_stood_up(lean):
    found = seen(picture(drawn(STYLE._replace(slant=lean))))
    nearest = seen(picture(drawn(STYLE._replace(slant=0.0 if lean < 0 else 0.35))))
    assert alike(found, nearest) > max(0.85, alike(found, EXPECTED) - 0.05)
    assert -0.1 < slant(found > 127) < 0.5


@given(st.floats(-0.8, 0.8))
def test_slant_is_columns_a_row_to_the_right(lean):
    rows, columns = np.mgrid[:80, :200]
    assert slant(np.abs(columns - 100 + lean * (rows - 40)) < 4) == pytest.approx(lean, abs=0.02)


@pytest.mark.parametrize("pen", [1.5, 3, 8])
def test_a_thin_pen_is_made_as_thick_as_the_data_sets(pen):
    found = seen(picture(drawn(STYLE._replace(pen=pen))))
    assert 1.8 < stroke_width(found > 127) < 3.2
    assert alike(found, EXPECTED) > 0.8


@pytest.mark.parametrize("seed", range(8))
def test_uneven_light_noise_and_grain_change_little(seed):
    covered, rng = drawn(), np.random.default_rng(seed)
    page = np.full((*covered.shape, 3), (225, 220, 205), float) + 3 * smooth(covered.shape, 40, rng)[..., None]
    lit_page = np.asarray(mix(page, (50, 50, 90), covered), float) * lit(covered.shape, rng)[..., None]
    noisy = np.clip(lit_page + rng.normal(0, 6, lit_page.shape), 0, 255).astype(np.uint8)
    assert alike(seen(Image.fromarray(noisy), "JPEG", quality=75), EXPECTED) > 0.95


def test_in_a_photo_the_table_beside_the_paper_is_not_the_digit():
    covered, rng = np.pad(drawn(), 40), np.random.default_rng(3)
    page = np.full((*covered.shape, 3), (225, 222, 215), float)
    page[:, :25] = (90, 60, 40)
    photo = np.asarray(mix(page, (40, 40, 80), covered), float) + rng.normal(0, 4, page.shape)
    assert alike(seen(Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8))), EXPECTED) > 0.95


def test_specks_are_not_part_of_the_digit():
    covered = np.pad(drawn(), 60)
    covered[3:8, 4:9] = 1
    covered[-9:-4, -20:-16] = 1
    assert alike(seen(picture(covered)), EXPECTED) > 0.99


def test_a_large_picture_is_worked_on_small():
    page = Image.new("RGB", (4000, 3000), "white")
    page.paste(picture(drawn()).resize((2000, 2000)), (900, 800))
    content = encoded(page)
    assert max(read_picture(content, "x")[0].shape) <= LONGEST_SIDE
    assert alike(alone(content), EXPECTED) > 0.98


def test_a_digit_of_the_data_set_comes_out_as_it_went_in():
    """Framing is idempotent, except for the resampling: enlarged eight times, EXPECTED becomes itself again."""
    enlarged = Image.fromarray(255 - EXPECTED).resize((224, 224), Image.Resampling.BICUBIC)
    assert alike(seen(enlarged), EXPECTED) > 0.98


# what is no digit


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).normal(128, 12, (200, 200, 3)).clip(0, 255).astype(np.uint8))


def gradient() -> Image.Image:
    return Image.fromarray(np.tile(np.linspace(90, 230, 300), (200, 1)).astype(np.uint8))


BLANK = {
    "white": Image.new("RGB", (50, 40), "white"),
    "black": Image.new("1", (50, 40)),
    "one pixel": Image.new("L", (1, 1), 77),
    "all transparent": Image.new("RGBA", (30, 30), (1, 2, 3, 0)),
    "nothing but noise": noise(),
    "nothing but light": gradient(),
}


@pytest.mark.parametrize("image", BLANK.values(), ids=BLANK)
def test_a_blank_picture_is_refused(image):
    with pytest.raises(PipelineError, match=r"^x is blank: nothing stands out .* draw a digit on it"):
        seen(image)


@pytest.mark.parametrize("content", [b"", b"P", b"digit", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture_is_refused_and_postscript_is_none(content):
    with pytest.raises(PipelineError, match=r"^x is no picture; expected one of PNG, JPEG, BMP"):
        alone(content)


@given(st.data())
def test_damage_is_refused_in_one_line_or_survived(data):
    content = bytearray(encoded(picture(drawn()).resize((40, 40)), data.draw(st.sampled_from(["PNG", "JPEG", "GIF"]))))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(PipelineError):
        digits(bytes(content[:kept]), "x", (28, 28), MNIST, apart=True)


def claiming(columns: int, rows: int) -> bytes:
    """A PNG that claims `columns` x `rows` pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_unfolds(size):
    with pytest.raises(PipelineError, match=r"^x (has .* pixels|is no picture)"):
        alone(claiming(*size))


def test_too_many_bytes_are_refused():
    with pytest.raises(PipelineError, match=r"^x has 67,108,865 bytes, more than 67,108,864"):
        alone(bytes(LARGEST_FILE + 1))


# the parts


def test_the_framing_of_a_data_set_is_the_median_of_its_digits():
    images = np.zeros((3, 12, 12), np.uint8)
    for image, height in zip(images, (4, 6, 10), strict=True):
        image[1 : 1 + height, 5:7] = 255
    found = framing(images)
    assert found[:3] == (6, 4, 6)
    assert 0.9 < found.stroke / 2 < 1.3


def test_no_measured_image_counts_that_holds_no_ink():
    images = np.zeros((5, 8, 8), np.uint8)
    images[2, 2:6, 3] = 255
    assert framing(images) == framing(images[2:3])


def test_images_without_any_ink_have_no_framing():
    with pytest.raises(PipelineError, match="no pixel of the first 1000 images is above 127 of 255"):
        framing(np.full((3, 8, 8), 100, np.uint8))


@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.7))
def test_blots_are_the_connected_parts(seed, share):
    mask = np.random.default_rng(seed).random((9, 11)) < share
    number = blots(mask)
    assert ((number > 0) == mask).all()
    apart, waiting = 0, set(zip(*np.nonzero(mask), strict=True))
    while waiting:
        apart += 1
        part = [waiting.pop()]
        for y, x in part:
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & waiting
            waiting -= near
            part += near
        assert len({int(number[place]) for place in part}) == 1
    assert len(np.unique(number[mask])) == apart


def test_ink_of_a_clean_drawing_is_its_coverage_to_the_last_bit():
    """The pad in the report knows its own ink; so it and this module work on the same numbers."""
    levels = np.round(drawn() * 255) / 255
    levels[levels < 0] = 0
    page = Image.fromarray((255 - levels * 255).astype(np.uint8))
    np.testing.assert_allclose(find_ink(read_picture(encoded(page), "x")[0], "x"), levels, atol=1e-12)


# surroundings and numbers


@pytest.mark.parametrize(("scene", "covered"), [(name, digit) for name in SCENES for digit in (0, 2)])
def test_what_a_digit_lies_on_is_no_ink(scene, covered):
    """In a frame, beside a bar, on a card, a desk or a plot: the net sees only the digit."""
    page = np.pad(coverage(SHAPES[covered][0], PEN, np.random.default_rng(4)), 12)
    found = seen(SCENES[scene](page, np.random.default_rng(5)))
    assert alike(found, seen(picture(page))) > 0.65


@pytest.mark.parametrize(("name", "text", "image"), [*numbers(each=1)], ids=lambda value: str(value)[:20])
def test_a_number_falls_into_its_digits_line_by_line_from_the_left(name, text, image):
    found = digits(encoded(image), "x", (28, 28), MNIST, apart=True)
    assert [digit.line for digit in found] == [k for k, line in enumerate(text.split("\n")) for _ in line]
    for one, other in pairwise(found):
        assert one.line < other.line or one.box[0] + one.box[2] < other.box[0] + other.box[2]


def test_two_lines_are_read_from_above():
    covered = drawn(STYLE._replace(height=80))
    page = np.concatenate(
        [np.concatenate([covered, covered], axis=1), np.pad(covered, [(0, 0), (0, covered.shape[1])])]
    )
    found = digits(encoded(picture(page)), "x", (28, 28), MNIST, apart=True)
    assert [digit.line for digit in found] == [0, 0, 1]
    (whole,) = digits(encoded(picture(page)), "x", (28, 28), MNIST, apart=False)
    assert whole.box[3] >= found[2].box[3]


def test_broken_strokes_are_one_digit():
    covered = drawn()
    rows = np.flatnonzero(covered.any(axis=1))
    covered[(rows[0] + rows[-1]) // 2 :][:8] = 0
    assert alike(seen(picture(covered)), EXPECTED) > 0.9


@pytest.mark.parametrize("scale", [1, 4])
def test_a_bar_or_a_bay_of_a_digit_is_no_sheet(scale):
    three = coverage(SHAPES[3][0], STYLE._replace(pen=34), np.random.default_rng(1))
    size = (28 * scale, 28 * scale)
    seen(picture(three).resize(size, Image.Resampling.BOX))
    bar = Image.new("L", size, 255)
    bar.paste(0, (10 * scale, 5 * scale, 14 * scale, 24 * scale))
    assert bounds(seen(bar) > 0)[1] - bounds(seen(bar) > 0)[0] == 20


@pytest.mark.parametrize(("side", "told"), [(24, "288 marks, more than 100"), (60, "1800 marks, more than 500")])
def test_a_page_of_marks_is_refused(side, told):
    """The number of marks is known before every two of them are compared."""
    marks = np.kron(np.indices((side, side)).sum(0) % 2 == 0, np.pad(np.ones((4, 2)), 3))
    with pytest.raises(PipelineError, match=rf"^x holds {told}; cut out one number"):
        alone(encoded(picture(marks)))


@pytest.mark.parametrize("from_rim", [False, True])
def test_a_strip_of_paper_thinner_than_half_a_cell_has_a_colour(from_rim):
    picture, mask = np.full((96, 96, 3), 200.0), np.zeros((96, 96), bool)
    mask[48, 10:80] = True
    np.testing.assert_allclose(lit_paper(picture, mask, from_rim)[mask], 200, atol=1)
