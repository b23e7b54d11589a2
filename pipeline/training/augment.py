"""Random distortions of training images: the same bytes on every machine.

Each pixel of the new image reads a position in the old one, and each word of train.augment displaces that position.
Positions are whole numbers, UNIT per pixel. The four nearest pixels are mixed by their distance, in integers, with
black around the image. The random numbers of an image depend on the seed and on its number alone (see Plan.numbers), so
that the cut of a batch and a resumed training change nothing. Shapes: n images of Y rows and X columns; a position
is (down, across).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.elementary import exp, polynomial
from pipeline.base.errors import PipelineError
from pipeline.base.words import Choice, Number, made
from pipeline.nn.random import Stream
from pipeline.training.loop import AUGMENT_STREAM

Displace = Callable[[Array, Array], None]  # random numbers (n, 8) from -1 to 1, positions (2, n, Y, X) to add to

BITS = 4  # bits of a position between two pixels, when four pixels are mixed
UNIT = 1 << 2 * BITS
SIDE = 256  # pixels after which a field of noise repeats
PIXELS = 1 << 16  # pixels at a time: all arrays between old and new image stay in the cache
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(11, -1, -1))  # of the square, highest power first
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(11, -1, -1))


def shift(shape: Sequence[int], stream: Stream, pixels: float) -> Displace:
    """A shift by up to `pixels` along each axis."""

    def displace(random: Array, positions: Array) -> None:
        positions += whole(random[:, 0:2].T * (pixels * UNIT))[:, :, None, None]

    return displace


def affine(shape: Sequence[int], stream: Stream, degrees: float, scale: float, shear: float) -> Displace:
    """A rotation, then a shear, then sizes from 1 - scale to 1 + scale along each axis, all about the centre."""
    down, across = ((np.arange(size) - (size - 1) / 2) * UNIT for size in shape)

    def displace(random: Array, positions: Array) -> None:
        high, wide = 1 / (1 + random[:, 2:4].T * scale)
        slant, angle = random[:, 4] * shear, random[:, 5] * (degrees * math.pi / 180)
        cosine, sine = polynomial(angle * angle, COSINE), angle * polynomial(angle * angle, SINE)
        by_row = np.stack([sine * slant + cosine * high - 1, cosine * slant - sine * high])
        by_column = np.stack([sine * wide, cosine * wide - 1])
        positions += whole(by_row[:, :, None] * down)[:, :, :, None]
        positions += whole(by_column[:, :, None] * across)[:, :, None]

    return displace


def elastic(shape: Sequence[int], stream: Stream, pixels: float, sigma: float) -> Displace:
    """A random field: standard deviation `pixels`, smoothed over `sigma` pixels: Simard, Steinkraus & Platt 2003.

    Each image gets a window, at random, of one field that repeats after SIDE pixels.
    """
    fields = whole(np.stack([smooth_noise(stream, sigma) for _ in shape]) * (pixels * UNIT)).astype(np.int16)
    fields = np.pad(fields, [(0, 0), *((0, size - 1) for size in shape)], "wrap")
    windows = np.lib.stride_tricks.sliding_window_view(fields, tuple(shape), axis=(1, 2))

    def displace(random: Array, positions: Array) -> None:
        top, left = ((random[:, 6:8].T + 1) * (SIDE / 2)).astype(np.intp)
        positions += windows[:, top, left]

    return displace


def smooth_noise(stream: Stream, sigma: float) -> Array:
    """Noise (SIDE, SIDE) of mean 0 and standard deviation 1, after a Gaussian blur; opposite edges fit together."""
    distance = np.minimum(np.arange(SIDE), SIDE - np.arange(SIDE)) / sigma
    weights = np.rint(exp(distance * distance / -2) * 2**12)
    blur = weights[(np.arange(SIDE)[:, None] - np.arange(SIDE)) % SIDE]
    noise: Array = blur @ (stream.integers(255, (SIDE, SIDE)) - 127.0) @ blur  # below 2**53: exact in any order
    noise -= math.fsum(noise.flat) / noise.size
    noise /= math.sqrt(math.fsum((noise * noise).flat) / noise.size)
    return noise


def whole(positions: Array) -> Array:
    """The nearest integers."""
    return np.rint(positions).astype(np.int32)


AUGMENTATIONS: dict[str, Choice] = {
    "shift": Choice(shift, (Number("pixels", 0, 1000),)),
    "affine": Choice(affine, (Number("degrees", 0, 180), Number("scale", 0, 0.5), Number("shear", 0, 1))),
    "elastic": Choice(elastic, (Number("pixels", 0, 16), Number("sigma", 0.5, 32))),  # 16: int16 holds 8 deviations
}


class Distortion:
    """The distortion of train.augment, for images of one shape (Y, X)."""

    def __init__(self, words: Sequence[str], image_shape: Sequence[int], seed: int) -> None:
        self.seed, self.block = seed, max(PIXELS // math.prod(image_shape), 1)
        field = Stream(seed, AUGMENT_STREAM, 0)
        self.displaced = [made(AUGMENTATIONS, text, image_shape, field) for text in words]
        self.positions = ((np.indices(image_shape) + 1) * UNIT).astype(np.int32)[:, None]  # images get a border of 1

    def render(self, images: Array, numbers: Array) -> Array:
        """Distort images of bytes, (n, Y, X) or (n, Y * X), each by its number in `numbers` (n,)."""
        random = self.random(numbers)
        distorted = np.empty((len(images), *self.positions.shape[2:]), np.uint8)
        images, shape = images.reshape(distorted.shape), images.shape
        for start in range(0, len(images), self.block):
            part = slice(start, start + self.block)
            positions = np.repeat(self.positions, len(images[part]), axis=1)
            for displace in self.displaced:
                displace(random[part], positions)
            distorted[part] = mixed(images[part], positions)
        return distorted.reshape(shape)

    def random(self, numbers: Array) -> Array:
        """The random numbers (n, 8) of images, from -1 to below 1."""
        return Stream(self.seed, AUGMENT_STREAM, 1).rows(numbers, 8) * 2.0**-31 - 1


def distortion(words: list[str], shape: tuple[int, ...], seed: int, white: int | None) -> Distortion | None:
    """The distortion of train.augment, if any. Raises PipelineError where images are not pixels: `white` is None."""
    if words and white is None:
        raise PipelineError(
            f"train.augment is [{', '.join(words)}], but augment needs pixels: bytes, or float32 of whole 255ths; "
            "set convert.features=pixels, or train.augment=[]."
        )
    return Distortion(words, shape[1:], seed) if words else None


def mixed(images: Array, positions: Array) -> Array:
    """The pixels of images (n, Y, X) at `positions`, which are overwritten: each is the mixture of four, by distance.

    The four travel as the bytes of one number, and are mixed two at a time: no sum exceeds 16 bits. If a subtraction
    borrows from the upper half, the addition after it gives this back.
    """
    four = fours(images)
    positions += 1 << (BITS - 1)
    positions >>= BITS
    for axis, size in enumerate(images.shape[1:]):
        np.clip(positions[axis], 0, (size + 1) << BITS, out=positions[axis])
    down, across = (positions & ((1 << BITS) - 1)).view(np.uint32)
    positions >>= BITS
    positions[0] *= four.shape[2]
    positions[0] += positions[1]
    positions[0] += (np.arange(len(four), dtype=np.int32) * four[0].size)[:, None, None]
    left: Array = np.take(four, positions[0], mode="clip")
    right = (left >> 8) & 0x00FF00FF
    left &= 0x00FF00FF
    between(left, right, across)
    lower = left >> 16
    left &= 0xFFFF
    between(left, lower, down)
    left += 1 << (2 * BITS - 1)
    left >>= 2 * BITS
    return left


def fours(images: Array) -> Array:
    """Each pixel with the pixels right of it, below it and below right, as bytes of one number (n, Y + 2, X + 2)."""
    n, rows, columns = images.shape
    packed = np.zeros((n, rows + 2, columns + 2, 4), np.uint8)
    for i in range(4):
        y, x = 1 - i // 2, 1 - i % 2
        packed[:, y : y + rows, x : x + columns, i] = images
    return packed.view("<u4")[..., 0].astype(np.uint32, copy=False)


def between(first: Array, second: Array, share: Array) -> None:
    """Put 16 first + share (second - first) into `first`."""
    second -= first
    second *= share
    first <<= BITS
    first += second
