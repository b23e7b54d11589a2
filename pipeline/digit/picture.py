"""Anyone's picture of a digit, brought to the shape of a data set as MNIST's own digits were.

MNIST's digits were black and white scans, scaled to fit 20 x 20 pixels at unchanged proportions, which made them grey,
and laid into 28 x 28 with their centre of mass in the middle (LeCun, Cortes & Burges,
http://yann.lecun.com/exdb/mnist/). How large, where and with what pen a data set writes is measured on its images
(framing.py). The pad in the report's page does the same to a clean drawing (report/pad.js): change both or
neither.

Shapes: pictures (Y, X, 3) of colours 0-255; ink (Y, X), from 0, bare paper, to 1.
"""

import math
import warnings
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.digit.framing import Framing, bounds, centre_of_mass, slant, stroke_width

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # the others of Pillow's may run other programs
LARGEST_FILE = 1 << 26  # bytes
LARGEST_PICTURE = 1 << 26  # pixels: a phone's largest photo; decoded, 256 MiB
LONGEST_SIDE = 1024  # pixels that are worked with; a larger picture is averaged down
FAINTEST = 8.0  # of 255: ink that stands out less from its paper is none
NOISE = 4.0  # standard deviations of the paper: what stands out less may be chance
RULED = 0.3  # of the ink's strength: ruled lines, dust and what shines through from the other side are below
INNER = 0.1  # of the largest blot: one at least that large within a photo is the digit, and none at its border
SPECK = 0.05  # of the digit's largest blot: what is smaller was not written
BLOT_CELLS = 400  # at most, a side, in which blots are told apart
EXPONENTS = np.arange(5)
DEGREE = 4  # of the surface that light makes of paper
CELLS = 8  # a side of a final pixel, in which shapes are worked on in black and white
INK = 0.5 - 1e-6  # more covers a pixel; a half does, whichever way the sums of its shares were rounded
LUMINANCE = np.array([299, 587, 114])  # of red, green and blue, in thousandths, so that sums are exact (ITU-R BT.601)
THIN = 0.9  # times the data set's stroke: a thinner pen is made that thick


def digit(content: bytes, name: str, shape: tuple[int, int], like: Framing) -> Array:
    """The digit in an encoded picture as a data set with images of `shape` would show it: uint8 0-255 of `shape`.

    Raises PipelineError, beginning with `name`, where it is no picture, damaged, too large or blank.
    """
    return frame(find_ink(read_picture(content, name), name), shape, like)


def read_picture(content: bytes, name: str) -> Array:
    """The colours (Y, X, 3) of an encoded picture, upright, as a viewer shows it, at most LONGEST_SIDE a side.

    What is transparent lies on white, or on black where the ink is light. Raises PipelineError, beginning with `name`,
    where it is no picture, damaged, or too large.
    """
    if len(content) > LARGEST_FILE:
        raise PipelineError(f"{name} has {len(content):,} bytes, more than {LARGEST_FILE:,}; make it smaller.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd metadata, and on sizes, which are checked here
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
    except Exception as error:  # decoders raise a dozen kinds
        raise PipelineError(f"{name} is damaged: {error or type(error).__name__}.") from None


def colours(picture: Image.Image) -> Array:
    """(Y, X, 3) from 0 to 255, whatever the mode; averaged down by a whole factor where it is large."""
    if picture.mode[0] in "IF":  # 16 bits and more: from the darkest to the lightest
        grey = np.asarray(picture, np.float64)
        grey = (grey - grey.min()) * (255 / max(float(np.ptp(grey)), 1))
        picture = Image.fromarray(grey.astype(np.uint8))
    factor = -(-max(picture.size) // LONGEST_SIDE)
    rgba = np.asarray(picture.convert("RGBA").reduce(factor), np.float64)
    rgb, alpha = rgba[..., :3], rgba[..., 3:] / 255
    light_on_nothing = alpha.min() < 1 and (rgb * alpha).mean() > 127.5 * alpha.mean()
    return rgb * alpha + (0.0 if light_on_nothing else 255.0) * (1 - alpha)


def find_ink(picture: Array, name: str) -> Array:
    """How much ink is where (Y, X): what differs from its paper in the direction of colour that most of it does.

    Raises PipelineError, beginning with `name`, where there is none.
    """
    flat = flat_paper(picture)
    contrast = picture - (lit_paper(picture) if flat is None else flat)
    strength = np.sqrt((contrast**2).sum(axis=2))
    colour = contrast[strength >= strength.max() / 2].mean(axis=0)
    ink = contrast @ (colour / max(float(np.sqrt(colour @ colour)), 1e-9))
    full = float(np.median(ink[ink >= ink.max() / 2]))
    noise = 0.0 if flat is not None else NOISE * 1.4826 * float(np.median(np.abs(ink)))
    if full < max(FAINTEST, noise):
        raise PipelineError(f"{name} is blank: nothing stands out from its background; draw a digit on it.")
    ink = np.clip(ink / full, 0, 1)
    if flat is not None:
        return written(ink, photo=False)
    return written(np.where(ink > max(RULED, noise / full), ink, 0), photo=True)


def flat_paper(picture: Array) -> Array | None:
    """The one colour of most of the border, as drawing programs leave it; None in a photo."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    colours, counts = np.unique(border, axis=0, return_counts=True)
    most = int(counts.argmax())
    return colours[most] if 2 * counts[most] > len(border) else None


def lit_paper(picture: Array) -> Array:
    """The colours (Y, X, 3) of unevenly lit paper: a smooth surface, fitted robustly, to which ink is an outlier.

    Least squares again and again, a residual r weighing 1 / (1 + (r / s)^2)^2, s the median (Geman & McClure 1985).
    """
    cells = shrunk(picture, 64)
    down, across = (powers(length) for length in cells.shape[:2])
    basis = np.einsum("yi,xj->yxij", down, across)[..., np.add.outer(EXPONENTS, EXPONENTS) <= DEGREE]
    basis, colours = basis.reshape(-1, basis.shape[-1]), cells.reshape(-1, 3)
    weights = np.ones((len(basis), 1))
    for _ in range(20):
        equations = basis.T @ (weights * basis) + 1e-6 * np.eye(basis.shape[1])  # solvable for a few pixels, too
        fitted = np.linalg.solve(equations, basis.T @ (weights * colours))
        residual = np.sqrt(((colours - basis @ fitted) ** 2).sum(axis=1, keepdims=True))
        weights = 1 / (1 + (residual / max(float(np.median(residual)), 1.0)) ** 2) ** 2
    surface = np.zeros((DEGREE + 1, DEGREE + 1, 3))
    surface[np.add.outer(EXPONENTS, EXPONENTS) <= DEGREE] = fitted
    down, across = (powers(length) for length in picture.shape[:2])
    return np.moveaxis(down @ np.moveaxis(surface, 2, 0) @ across.T, 0, 2)


def powers(length: int) -> Array:
    """Places along a picture's side, from -1 to 1, to the powers of EXPONENTS: (length, DEGREE + 1)."""
    return ((2 * np.arange(length)[:, None] + 1) / length - 1) ** EXPONENTS


def written(ink: Array, photo: bool) -> Array:
    """`ink` (Y, X) without specks; in a photo without what comes in from the border, unless nothing else is there.

    What touches the border of a photo is the table, a shadow, or another line of writing.
    """
    cells = shrunk(ink[..., None], BLOT_CELLS)[..., 0]
    blot = blots(cells > 0)
    amounts = np.bincount(blot.reshape(-1), cells.reshape(-1))
    if photo:
        within = amounts.copy()
        within[np.concatenate([blot[0], blot[-1], blot[:, 0], blot[:, -1]])] = 0
        amounts = within if within.max() >= INNER * amounts.max() else amounts
    kept = (amounts >= SPECK * amounts.max())[blot]
    factor = -(-max(ink.shape) // BLOT_CELLS)
    kept = kept.repeat(factor, axis=0).repeat(factor, axis=1)[: ink.shape[0], : ink.shape[1]]
    return np.where(kept, ink, 0)


def shrunk(picture: Array, most: int) -> Array:
    """(Y, X, C) averaged over squares, as few a side as it takes to be at most `most`; the last may hang over."""
    factor = -(-max(picture.shape[:2]) // most)
    sides = [area(length, 0, -(-length // factor) * factor, -(-length // factor)) for length in picture.shape[:2]]
    return np.moveaxis(sides[0] @ np.moveaxis(picture, 2, 0) @ sides[1].T, 0, 2)


def blots(mask: Array) -> Array:
    """A number for each connected part of `mask` (Y, X), corners connect; 0 outside it.

    Every pixel takes the largest number around it, then the number that the pixel of that number has by now.
    """
    first = np.arange(1, mask.size + 1).reshape(mask.shape)
    before, number = first, np.where(mask, first, 0)
    while not np.array_equal(before, number):
        before = number
        p = np.pad(number, 1)
        p = np.maximum(np.maximum(p[:-2], p[1:-1]), p[2:])
        most = np.maximum(np.maximum(p[:, :-2], p[:, 1:-1]), p[:, 2:])
        number = np.where(mask, number.reshape(-1)[most - 1], 0)
    return number


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
    """The digit in black and white, its longest side CELLS cells a final pixel, with room around."""
    top, bottom, left, right = bounds(ink > INK)
    step = max(bottom - top, right - left) / (like.side * CELLS)
    room = 3 * CELLS * step
    return resize(ink, (top - room, bottom + room), (left - room, right + room), step) > INK


def stood_up(drawn: Array, like: Framing) -> Array:
    """`drawn` (Y, X) leaning no further to either side than most of the data set's digits: its rows pushed aside."""
    found = slant(drawn)
    push = min(max(min(max(found, like.least_slant), like.most_slant) - found, -1.0), 1.0)
    middle = len(drawn) / 2
    room = int(np.ceil(abs(push) * middle)) + 1
    padded = np.pad(drawn, [(0, 0), (room, room)])
    return np.stack([np.roll(row, -int(np.floor(push * (y - middle) + 0.5))) for y, row in enumerate(padded)])


def as_drawn_with(drawn: Array, like: Framing) -> Array:
    """`drawn` (Y, X) in black and white, in a pen as thick as the data set's if it was in a thinner one.

    A radius r more makes the stroke w + 2 r wide and the digit l + 2 r long, before it is scaled to fit.
    """
    top, bottom, left, right = bounds(drawn)
    side, width = max(bottom - top, right - left), stroke_width(drawn)
    share = THIN * like.stroke / like.side
    return grown(drawn, (share * side - width) / (2 * (1 - share))) if width < share * side else drawn


def grown(mask: Array, radius: float) -> Array:
    """`mask` (Y, X) and all within `radius` pixels of it."""
    reach = int(radius)
    rows, columns = mask.shape
    before = np.pad(mask, [(reach, reach), (reach + 1, reach)]).cumsum(axis=1)  # how many up to each place of a row
    result = mask.copy()
    for dy in range(-reach, reach + 1):
        row, half = before[reach + dy : reach + dy + rows], math.isqrt(int(radius * radius) - dy * dy)
        result |= row[:, reach + 1 + half :][:, :columns] > row[:, reach - half :][:, :columns]
    return result


def resize(ink: Array, rows: tuple[float, float], columns: tuple[float, float], step: float) -> Array:
    """The window of `ink` (Y, X) between these rows and columns, averaged to cells of `step` pixels a side.

    Where the window is no whole number of cells, it grows evenly at both ends; beyond the picture is bare paper.
    """
    matrices = []
    for length, (start, stop) in zip(ink.shape, (rows, columns), strict=True):
        cells = int(np.ceil((stop - start) / step - 1e-9))
        grow = (cells * step - (stop - start)) / 2
        matrices.append(area(length, start - grow, stop + grow, cells))
    return matrices[0] @ ink @ matrices[1].T


def area(length: int, start: float, stop: float, cells: int) -> Array:
    """(cells, length): the share of each of `length` pixels in the mean of each cell between `start` and `stop`."""
    edges = start + (stop - start) / cells * np.arange(cells + 1)
    pixels = np.arange(length)
    overlap: Array = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(0) * (cells / (stop - start))


def as_it_is(content: bytes, name: str, shape: tuple[int, int]) -> Array:
    """An encoded picture in grey, uint8 0-255 of `shape`, for a data set whose pictures are not framed.

    Raises PipelineError, beginning with `name`, where it is no picture, damaged or too large.
    """
    return fitted(grey(content, name), shape)


def grey(content: bytes, name: str) -> Array:
    """The luminance (Y, X), 0-255, of an encoded picture. Raises what `read_picture` does."""
    luminance: Array = read_picture(content, name) @ LUMINANCE / LUMINANCE.sum()
    return luminance


def fitted(picture: Array, shape: tuple[int, int]) -> Array:
    """`picture` (Y, X) scaled to fit `shape` at unchanged proportions and centred: uint8 0-255.

    What is beyond the picture has the median grey of its border.
    """
    border = float(np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])))
    step = max(length / cells for length, cells in zip(picture.shape, shape, strict=True))
    rows, columns = (
        ((length - cells * step) / 2, (length + cells * step) / 2)
        for length, cells in zip(picture.shape, shape, strict=True)
    )
    return np.floor(resize(picture - border, rows, columns, step) + border + 0.5 + 1e-6).astype(np.uint8)
