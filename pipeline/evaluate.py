"""Stage 4: judge the trained net on the test images, and on the validation images if there are any."""

from pathlib import Path

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis, sha256, unchanged
from pipeline.base.usage import run
from pipeline.params import PARAMS_FILE, Evaluate, Overrides, ParamsFile, load_params


@reports_errors
def main(params: ParamsFile = PARAMS_FILE, overrides: Overrides = None) -> None:
    """Judge data/model on images that it was not trained on; write metrics, pictures and a report to data/evaluation.

    Example: python -m pipeline.evaluate -S evaluate.mistakes=50
    """
    source, model, folder = Path("data/processed/dataset.npz"), Path("data/model"), Path("data/evaluation")
    inputs = (source, *(model / name for name in ("weights.npz", "loss.csv", "accuracy.csv")))
    basis = Basis(*inputs)
    settings = basis.read(lambda: load_params(params, overrides, Evaluate))
    from pipeline.base.files import publish
    from pipeline.base.text import read_columns
    from pipeline.datasets.arrays import Split, as_pictures, describe_dataset, load_splits
    from pipeline.model import REMAKE, load_model
    from pipeline.nn.arithmetic import computing
    from pipeline.report.metrics import Answers
    from pipeline.report.results import results

    def judge(split: Split) -> Answers:
        scores = net.logits(split.images, settings.batch_size)
        pictures, loss = as_pictures(split.images, data["feature_shape"]), net.mean_loss(scores, split.labels)
        crops = net.shares(split.images, settings.batch_size, settings.crops) if settings.crops > 1 else None
        shares, judged = net.probabilities(scores), net.judged(split.images, scores, split.labels)
        return Answers(pictures, split.labels, shares, data["class_names"], loss, crops, judged)

    net = load_model(model / "weights.npz")
    with unchanged(source):
        data = describe_dataset(source)
        net.require_data(data | {"sha256": sha256(source)})
        splits = dict.fromkeys(["test", data["held_out"]])  # one or two splits
        splits = dict(zip(splits, load_splits(source, data, splits), strict=True))
    with computing():
        answers = {name: judge(split) for name, split in splits.items()}
    curves = read_columns(model / "accuracy.csv", ["epoch", "train", "held_out"], REMAKE)
    curves |= read_columns(model / "loss.csv", ["loss"], REMAKE)
    net.require_curves({name: sha256(model / name) for name in ("loss.csv", "accuracy.csv")})
    judged, first_layer = (answers["test"], answers.get("validation")), net.first_layer(data["feature_shape"])
    files = results(*judged, curves, first_layer, net.weights, net.about, settings.mistakes, net.unlike)
    with basis.unaltered():
        publish(folder, files)
    told = (f"{one.headline['accuracy']:.4f} on {len(one.labels)} {name} images" for name, one in answers.items())
    typer.echo(f"accuracy {', '.join(told)}: {folder}")


if __name__ == "__main__":
    run(main, "evaluate")
