"""What a net may be shown instead of pixels: edges, or the low frequencies of an image.

Each takes pixels (N, Y, X), uint8, and returns float32 features (N, Y', X'), the same bits on every machine.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.elementary import log
from pipeline.datasets.arrays import normalize

BLOCK = 4096  # images at a time, which bounds the memory of all arrays between pixels and features
FREQUENCIES = 8  # of each axis: from 0 (the mean) to 7 waves per side
STEEPEST = np.float32(4.5)  # just above the sqrt(20) that a Sobel gradient of pixels from 0 to 1 can have
COSINE_BITS = 14  # bits of the Fourier table: then every sum is a whole number under 2**53, exact in any order


def edges(pixels: Array) -> Array:
    """Magnitude of the Sobel gradient (Sobel & Feldman 1968), from 0 to 1.

    The image is padded with black, so that there are as many features as pixels: (N, Y, X).
    """
    p = np.pad(normalize(pixels), ((0, 0), (1, 1), (1, 1)))
    across = p[:, :, 2:] - p[:, :, :-2]
    down = p[:, 2:] - p[:, :-2]
    dx = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    dy = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    magnitude: Array = np.sqrt(dx * dx + dy * dy) / STEEPEST
    return magnitude


def fourier(pixels: Array) -> Array:
    """log(1 + |F|) of the discrete Fourier transform F of pixels 0-255, divided by its largest possible value.

    (N, F, 2 F - 1): rows of vertical frequency 0 to F - 1, columns of horizontal frequency 1 - F to F - 1, with F =
    FREQUENCIES, or less for a short side; the missing half mirrors this one. Magnitudes discard position, and half a
    turn does not change them: 6 and 9 look alike.
    """
    _, rows, columns = pixels.shape
    vertical = waves(rows, np.arange(min(FREQUENCIES, rows // 2)))
    reach = min(FREQUENCIES, columns // 2)
    horizontal = waves(columns, np.arange(1 - reach, reach))
    cosines, sines = (wave @ pixels.astype(np.float64) for wave in vertical)
    real = cosines @ horizontal[0].T - sines @ horizontal[1].T
    imaginary = cosines @ horizontal[1].T + sines @ horizontal[0].T
    scale = 2.0 ** (-2 * COSINE_BITS)
    magnitude = np.sqrt(real * real + imaginary * imaginary) * scale
    most = log(np.array(1.0 + 255 * rows * columns))
    scaled: Array = log(1 + magnitude) / most
    return scaled.astype(np.float32)


def waves(length: int, frequencies: Array) -> tuple[Array, Array]:
    """Cosine and sine of each frequency at each place (F, length), as whole numbers of 2**-COSINE_BITS."""
    angles = 2 * np.pi * (np.outer(frequencies, np.arange(length)) % length) / length
    return np.rint(np.cos(angles) * 2**COSINE_BITS), np.rint(np.sin(angles) * 2**COSINE_BITS)


FEATURES = {"pixels": normalize, "edges": edges, "fourier": fourier}


def feature_shape(name: str, image_shape: Sequence[int]) -> list[int]:
    """Y' and X' of the features `name` of images of Y and X pixels."""
    return list(features(name, np.zeros((1, *image_shape), np.uint8)).shape[1:])


def features(name: str, pixels: Array) -> Array:
    """The features `name` of pixels (N, Y, X), a bounded number of images at a time."""
    make = FEATURES[name]
    return np.concatenate([make(pixels[start : start + BLOCK]) for start in range(0, len(pixels), BLOCK)])
