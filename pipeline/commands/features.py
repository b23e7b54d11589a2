"""Not a stage: draw what a net can be shown of an image."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import printable, reports_errors
from pipeline.params import PARAMS_FILE, Overrides, ParamsFile

DISTORTED = 10  # pictures of each digit


@reports_errors
def main(
    out: Annotated[Path, typer.Argument(help="Where the picture goes.")] = Path("data/features.png"),
    params: ParamsFile = PARAMS_FILE,
    overrides: Overrides = None,
) -> None:
    r"""Draw pixels, edges and Fourier features of a digit of each class in data/raw, and distortions by train.augment.

    Example: pipeline features data/features.png -S 'train.augment=\[affine 10 0.1 0.1, elastic 0.9 5]'
    """
    import numpy as np

    from pipeline.base.files import write_bytes
    from pipeline.base.paths import require_other
    from pipeline.datasets.features import FEATURES
    from pipeline.datasets.raw import RAW, load_raw
    from pipeline.params import load_params
    from pipeline.report.plots import rows
    from pipeline.training.augment import Distortion
    from pipeline.training.settings import Train

    require_other(out, *RAW.glob("*"))
    train = load_params(params, overrides, Train)
    about, splits = load_raw(RAW)
    _, first = np.unique(splits["test"].labels, return_index=True)
    digits = splits["test"].images[first]
    shown = {name: make(digits) for name, make in FEATURES.items()}
    if train.augment:
        distortion = Distortion(train.augment, digits.shape[1:], train.seed)
        numbers = np.arange(DISTORTED * len(digits)).reshape(DISTORTED, -1)
        shown |= {f"distorted {i + 1}": distortion.render(digits, row) for i, row in enumerate(numbers)}
    write_bytes(out, rows(shown, about["class_names"]))
    names = dict.fromkeys(name.split()[0] for name in shown)
    typer.echo(printable(f"{', '.join(names)} of {len(digits)} images: {out}"))
