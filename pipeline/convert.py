"""Stage 2: the four IDX files to one dataset.npz that describes itself."""

from pathlib import Path

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis
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
    from pipeline.datasets.arrays import hold_out, save_dataset
    from pipeline.datasets.features import feature_shape
    from pipeline.datasets.raw import RAW, arrange, load_raw
    from pipeline.digit.framing import framing

    about, splits = load_raw(RAW)
    splits = hold_out(splits, settings.validation)
    classes = len(about["class_names"]) if settings.one_hot else None
    form = (settings.features, settings.normalize, settings.layout == "flat")
    arranged = {name: arrange(split, classes, *form) for name, split in splits.items()}
    about |= settings.model_dump() | {"held_out": "validation" if settings.validation else "test"}
    about["feature_shape"] = feature_shape(settings.features, about["image_shape"])
    framed, _ = about.pop("framed"), about.pop("transposed", None)
    about["framing"] = framing(splits["train"].images)._asdict() if framed else None
    out = Path("data/processed/dataset.npz")
    with basis.unaltered():
        save_dataset(out, arranged, about)
    for name, split in arranged.items():
        typer.echo(f"{name:<10} images {split.images.dtype} {split.images.shape}, labels {split.labels.shape}")
    typer.echo(f"{about['title']}: {out}")


if __name__ == "__main__":
    run(main, "convert")
