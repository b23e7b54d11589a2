"""Anyone's picture of a digit or a number: its digits get the form of a data set, as MNIST's own digits did.

MNIST's digits were black and white scans. They were scaled to fit 20 x 20 pixels at unchanged proportions, which made
them grey, and put into 28 x 28 pixels with their centre of mass in the middle (LeCun, Cortes & Burges,
http://yann.lecun.com/exdb/mnist/). Size, place and pen of a data set's digits are measured on its images (framing.py).
The page of the report does the same in JavaScript (report/ink.js and report/pad.js): change both or neither.

Shapes: pictures (Y, X, 3) of colours 0-255; ink (Y, X), from 0 (bare paper) to 1.
"""

import math
import warnings
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.digit.framing import Framing, bounds, centre_of_mass, slant, stroke_width
from pipeline.digit.ink import find_ink
from pipeline.digit.numbers import Piece, pieces
from pipeline.digit.resize import resize

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # other formats of Pillow may run other programs
LARGEST_FILE = 1 << 26  # bytes
LARGEST_PICTURE = 1 << 26  # pixels: the largest photo of a phone; decoded, 256 MiB
LONGEST_SIDE = 1024  # pixels; a larger picture is averaged down
MOST_DIGITS = 100  # in a picture: a page of text has more marks
CELLS = 8  # per side of a final pixel: strokes are made upright and thicker on this finer grid, in black and white
INK = 0.5 - 1e-6  # a pixel with more ink is black, and one with a half is black however its sum was rounded
LUMINANCE = np.array([299, 587, 114])  # of red, green and blue, in thousandths, so that sums are exact (ITU-R BT.601)
THIN = 0.9  # share of the data set's stroke: a thinner pen is made so thick


class Digit(NamedTuple):
    """A digit as the data set would show it: uint8 (Y, X); its box (left, top, right, bottom) in the upright picture.

    line: the line on which the digit stands, from 0.
    """

    image: Array
    box: tuple[int, int, int, int]
    line: int


def digits(content: bytes, name: str, shape: tuple[int, int], like: Framing, apart: bool) -> list[Digit]:
    """The digits in an encoded picture as a data set with images of `shape` would show them, in the order of reading.

    Without `apart`, all ink is one digit. Raises PipelineError, beginning with `name`, where `content` is no picture,
    damaged, too large or blank, or holds more than MOST_DIGITS marks.
    """
    picture, factor = read_picture(content, name)
    ink = find_ink(picture, name)
    found = pieces(ink, name) if apart else [Piece(ink, bounds(ink > INK), 0)]
    if len(found) > MOST_DIGITS:
        raise PipelineError(f"{name} holds {len(found)} marks, more than {MOST_DIGITS}; cut out one number.")
    return [
        Digit(frame(piece.ink, shape, like), (left * factor, top * factor, right * factor, bottom * factor), piece.line)
        for piece in found
        for top, bottom, left, right in [piece.box]
    ]


def read_picture(content: bytes, name: str) -> tuple[Array, int]:
    """The colours (Y, X, 3) of an encoded picture, upright as a viewer shows it, and the factor that divided its sides.

    No side is longer than LONGEST_SIDE. Transparent parts become white, or black where the ink is light. Raises
    PipelineError, beginning with `name`, where `content` is no picture, damaged, or too large.
    """
    if len(content) > LARGEST_FILE:
        raise PipelineError(f"{name} has {len(content):,} bytes, more than {LARGEST_FILE:,}; make it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes, which are checked here
            with Image.open(BytesIO(content), formats=FORMATS) as picture:
                columns, rows = picture.size
                if columns * rows > LARGEST_PICTURE:
                    raise PipelineError(
                        f"{name} has {columns:,} x {rows:,} pixels, which is too large; make it smaller."
                    )
                return colours(ImageOps.exif_transpose(picture))
    except PipelineError:
        raise
    except UnidentifiedImageError:
        raise PipelineError(f"{name} is no picture; expected one of {', '.join(FORMATS)}.") from None
    except Image.DecompressionBombError:
        raise PipelineError(f"{name} has more pixels than any picture should; make it smaller.") from None
    except Exception as error:  # decoders raise a dozen kinds of errors
        raise PipelineError(f"{name} is damaged: {error or type(error).__name__}.") from None


def colours(picture: Image.Image) -> tuple[Array, int]:
    """Colours (Y, X, 3) from 0 to 255, whatever the mode, averaged down by a whole factor; and this factor."""
    if picture.mode[0] in "IF":  # 16 bits or more: the darkest becomes 0, the lightest 255
        grey = np.asarray(picture, np.float64)
        grey = (grey - grey.min()) * (255 / max(float(np.ptp(grey)), 1))
        picture = Image.fromarray(grey.astype(np.uint8))
    factor = -(-max(picture.size) // LONGEST_SIDE)
    rgba = np.asarray(picture.convert("RGBA").reduce(factor), np.float64)
    rgb, alpha = rgba[..., :3], rgba[..., 3:] / 255
    light_on_nothing = alpha.min() < 1 and (rgb * alpha).mean() > 127.5 * alpha.mean()
    return rgb * alpha + (0.0 if light_on_nothing else 255.0) * (1 - alpha), factor


def frame(ink: Array, shape: tuple[int, int], like: Framing) -> Array:
    """The digit that `ink` (Y, X) draws, as a data set with images of `shape` would show it: uint8 0-255 of `shape`."""
    drawn = as_drawn_with(stood_up(cut_out(ink, like), like), like)
    top, bottom, left, right = bounds(drawn)
    scale = max((bottom - top) / min(like.side, shape[0]), (right - left) / min(like.side, shape[1]))
    small = resize(drawn.astype(np.float64), (top, bottom), (left, right), scale)
    row, column = (  # moved by whole pixels, as in MNIST
        min(max(int(np.floor(wanted - found + 0.5)), 0), length - size)
        for wanted, found, length, size in zip(like[1:3], centre_of_mass(small), shape, small.shape, strict=True)
    )
    image = np.zeros(shape)
    image[row : row + small.shape[0], column : column + small.shape[1]] = small
    return np.floor(image * 255 + 0.5 + 1e-6).astype(np.uint8)


def cut_out(ink: Array, like: Framing) -> Array:
    """The digit in black and white, CELLS cells for a side of each final pixel, with room around."""
    top, bottom, left, right = bounds(ink > INK)
    step = max(bottom - top, right - left) / (like.side * CELLS)
    room = 3 * CELLS * step
    return resize(ink, (top - room, bottom + room), (left - room, right + room), step) > INK


def stood_up(drawn: Array, like: Framing) -> Array:
    """`drawn` (Y, X) with its rows moved sideways, so that it leans no further than most digits of the data set."""
    found = slant(drawn)
    push = min(max(min(max(found, like.least_slant), like.most_slant) - found, -1.0), 1.0)
    middle = len(drawn) / 2
    room = int(np.ceil(abs(push) * middle)) + 1
    padded = np.pad(drawn, [(0, 0), (room, room)])
    return np.stack([np.roll(row, -int(np.floor(push * (y - middle) + 0.5))) for y, row in enumerate(padded)])


def as_drawn_with(drawn: Array, like: Framing) -> Array:
    """`drawn` (Y, X) in black and white; if its pen was thinner than the data set's, the strokes grow.

    If they grow by the radius r, the stroke is w + 2 r wide and the digit l + 2 r long, before it is scaled to fit.
    """
    top, bottom, left, right = bounds(drawn)
    side, width = max(bottom - top, right - left), stroke_width(drawn)
    share = THIN * like.stroke / like.side
    return grown(drawn, (share * side - width) / (2 * (1 - share))) if width < share * side else drawn


def grown(mask: Array, radius: float) -> Array:
    """`mask` (Y, X) and all pixels within `radius` of it."""
    reach = int(radius)
    rows, columns = mask.shape
    before = np.pad(mask, [(reach, reach), (reach + 1, reach)]).cumsum(axis=1)  # how many up to each place of a row
    result = mask.copy()
    for dy in range(-reach, reach + 1):
        row, half = before[reach + dy : reach + dy + rows], math.isqrt(int(radius * radius) - dy * dy)
        result |= row[:, reach + 1 + half :][:, :columns] > row[:, reach - half :][:, :columns]
    return result


def as_it_is(content: bytes, name: str, shape: tuple[int, int]) -> Digit:
    """A whole encoded picture in grey, for a data set with images of `shape` whose pictures are not framed.

    Raises PipelineError, beginning with `name`, where `content` is no picture, damaged or too large.
    """
    picture = grey(content, name)
    return Digit(fitted(picture, shape), (0, 0, picture.shape[1], picture.shape[0]), 0)


def grey(content: bytes, name: str) -> Array:
    """The luminance (Y, X), 0-255, of an encoded picture. Raises what `read_picture` does."""
    luminance: Array = read_picture(content, name)[0] @ LUMINANCE / LUMINANCE.sum()
    return luminance


def fitted(picture: Array, shape: tuple[int, int]) -> Array:
    """`picture` (Y, X) scaled to fit `shape` at unchanged proportions and centred: uint8 0-255.

    The room beside the picture gets the median grey of its border.
    """
    border = float(np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])))
    step = max(length / cells for length, cells in zip(picture.shape, shape, strict=True))
    rows, columns = (
        ((length - cells * step) / 2, (length + cells * step) / 2)
        for length, cells in zip(picture.shape, shape, strict=True)
    )
    return np.floor(resize(picture - border, rows, columns, step) + border + 0.5 + 1e-6).astype(np.uint8)
