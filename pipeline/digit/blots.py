"""The connected parts of ink. Shapes: masks (Y, X)."""

import numpy as np

from pipeline.base.arrays import Array


def blots(mask: Array) -> Array:
    """A number for each connected part of `mask` (Y, X); pixels that touch at a corner are connected. 0 outside `mask`.

    At first each pixel has its own number. In each round, a pixel takes the largest number around it, and then the
    number that the pixel with that number has now.
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
