"""Stage 2: the four IDX files to one dataset.npz that describes itself."""

from contextlib import ExitStack
from pathlib import Path

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis, unchanged
from pipeline.base.usage import run
from pipeline.params import PARAMS_FILE, Convert, Overrides, ParamsFile, load_params


@reports_errors
def main(params: ParamsFile = PARAMS_FILE, overrides: Overrides = None) -> None:
    """Convert data/raw to data/processed/dataset.npz.

    Example: python -m pipeline.convert -S convert.layout=image -S convert.validation=10000
    """
    raw = sorted(Path("data/raw").glob("[!.]*"))
    basis = Basis(*raw)
    settings = basis.read(lambda: load_params(params, overrides, Convert))
    from pipeline.datasets.arrays import hold_out, save_dataset, sorted_by_class
    from pipeline.datasets.features import feature_shape
    from pipeline.datasets.raw import RAW, arranged, open_raw
    from pipeline.digit.framing import MEASURED, framing

    about, splits = open_raw(RAW)
    splits = hold_out(splits, settings.validation)
    classes = len(about["class_names"]) if settings.one_hot else None
    form = (settings.features, settings.normalize, settings.layout == "flat")
    arrays = {name: arranged(split, classes, *form) for name, split in splits.items()}
    about |= settings.model_dump() | {"held_out": "validation" if settings.validation else "test"}
    about["feature_shape"] = feature_shape(settings.features, about["image_shape"])
    framed, _ = about.pop("framed"), about.pop("transposed", None)
    measured = splits["train"].images.cut(0, MEASURED)
    about["framing"] = framing(measured.whole())._asdict() if framed else None
    out = Path("data/processed/dataset.npz")
    with ExitStack() as files, basis.unaltered():
        for path in raw:  # the files are read more than once
            files.enter_context(unchanged(path))
        save_dataset(out, arrays, about)
    for name, (images, labels) in arrays.items():
        typer.echo(f"{name:<10} images {images.dtype} {images.shape}, labels {labels.shape}")
    if sorted_by_class(splits["train"].labels):
        typer.echo("the training images are sorted by class, so train.sampling=blocks will refuse them")
    typer.echo(f"{about['title']}: {out}")


if __name__ == "__main__":
    run(main, "convert")
