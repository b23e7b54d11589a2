"""All weights are one flat vector; names are views into it.

The vector makes an optimizer one line, a numerical gradient one loop, a gradient check one dot product.
The names are for people, and for the keys of weights.npz.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.errors import PipelineError
from pipeline.base.npz import arrays_digest, read_npz, write_npz
from pipeline.base.schema import Trained, read_json
from pipeline.nn.net import Shapes, views

ABOUT = "about"  # the member of weights.npz that describes the others, as JSON
DIGEST = "sha256"  # the key of the description that vouches for the arrays
REMAKE = "make it again: python -m pipeline.train"


def save_weights(path: Path, weights: Array, shapes: Shapes, about: Mapping[str, Any]) -> None:
    """Replace `path` with the arrays by name and `about`, which says what net they are and where from.

    `about` also gets the SHA-256 of the arrays, so that it describes no others.
    Raises PipelineError where a weight is not finite, and leaves `path` as it was.
    """
    arrays = views(weights, shapes)
    require_finite(path, arrays)
    description = json.dumps({**about, DIGEST: arrays_digest(arrays)}, sort_keys=True, allow_nan=False)
    write_npz(path, arrays | {ABOUT: np.array(description)})


def load_weights(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a model file by name, and what it says about them.

    Raises PipelineError where the file is missing or damaged, holds numbers that are not finite, or other arrays than
    it describes.
    """
    arrays = read_npz(path, remake=REMAKE)
    if ABOUT not in arrays:
        raise PipelineError(f"{path} does not say what net it holds (no member {ABOUT!r}); {REMAKE}.")
    about = read_json(str(arrays.pop(ABOUT)), path, Trained, REMAKE)
    require_finite(path, arrays)
    described, found = about.get(DIGEST, "missing"), arrays_digest(arrays)
    if described != found:
        raise PipelineError(f"{path} describes arrays with SHA-256 {described} and holds others, {found}; {REMAKE}.")
    return arrays, about


def require_finite(path: Path, arrays: Mapping[str, Array]) -> None:
    """Raise PipelineError for the first array that is not of fractions, or has NaN or infinity in it."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise PipelineError(f"{path}: {name} is an array of {array.dtype}, expected fractions; {REMAKE}.")
        if not np.isfinite(array).all():
            raise PipelineError(f"{path}: {name} holds NaN or infinity; {REMAKE}, with a smaller learning rate.")
