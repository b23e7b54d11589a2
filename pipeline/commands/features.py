"""Not a stage: picture what a net can be shown of an image."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.base.errors import printable, reports_errors

app = typer.Typer(add_completion=False)


@app.command()
@reports_errors
def main(out: Annotated[Path, typer.Argument(help="Where the picture goes.")] = Path("data/features.png")) -> None:
    """Draw pixels, edges and Fourier features of one digit of each class in data/raw.

    Example: pipeline features data/features.png
    """
    import numpy as np

    from pipeline.base.files import write_bytes
    from pipeline.base.paths import require_other
    from pipeline.datasets.features import FEATURES
    from pipeline.datasets.raw import RAW, load_raw
    from pipeline.report.plots import rows

    require_other(out, *RAW.glob("*"))
    about, splits = load_raw(RAW)
    _, first = np.unique(splits["test"].labels, return_index=True)
    digits = splits["test"].images[first]
    write_bytes(out, rows({name: make(digits) for name, make in FEATURES.items()}, about["class_names"]))
    typer.echo(printable(f"{', '.join(FEATURES)} of {len(digits)} images: {out}"))


if __name__ == "__main__":
    app()
