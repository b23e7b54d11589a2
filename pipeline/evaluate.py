"""Stage 4: judge the trained net on the test images."""

from pathlib import Path

import typer

from pipeline.base.errors import reports_errors
from pipeline.base.provenance import Basis, sha256, unchanged
from pipeline.params import PARAMS_FILE, Evaluate, Overrides, ParamsFile, load_params

app = typer.Typer(add_completion=False)


@app.command()
@reports_errors
def main(params: ParamsFile = PARAMS_FILE, overrides: Overrides = None) -> None:
    """Judge data/model on the test images; write metrics, pictures and a report to data/evaluation.

    Example: python -m pipeline.evaluate -S evaluate.mistakes=50
    """
    source, model, folder = Path("data/processed/dataset.npz"), Path("data/model"), Path("data/evaluation")
    inputs = (source, *(model / name for name in ("weights.npz", "loss.csv", "accuracy.csv")))
    basis = Basis(*inputs)
    settings = basis.read(lambda: load_params(params, overrides, Evaluate))
    from pipeline.base.files import publish
    from pipeline.base.text import read_columns
    from pipeline.datasets.arrays import as_pictures, describe_dataset, load_splits
    from pipeline.model import REMAKE, load_model
    from pipeline.nn.arithmetic import computing
    from pipeline.report.metrics import Answers
    from pipeline.report.results import results

    net = load_model(model / "weights.npz")
    with unchanged(source):
        data = describe_dataset(source)
        net.require_data(data | {"sha256": sha256(source)})
        (test,) = load_splits(source, data, ["test"])
    with computing():
        scores = net.logits(test.images, settings.batch_size)
    pictures = as_pictures(test.images, data["feature_shape"])
    answers = Answers(pictures, test.labels, net.probabilities(scores), data["class_names"])
    curves = read_columns(model / "accuracy.csv", REMAKE) | read_columns(model / "loss.csv", REMAKE)
    net.require_curves({name: sha256(model / name) for name in ("loss.csv", "accuracy.csv")})
    loss = net.mean_loss(scores, test.labels)
    first_layer = net.first_layer(data["feature_shape"])
    files = results(answers, loss, curves, first_layer, net.weights, net.about, settings.mistakes)
    with basis.unaltered():
        publish(folder, files)
    typer.echo(f"accuracy {answers.headline['accuracy']:.4f} on {len(test.labels)} test images: {folder}")


if __name__ == "__main__":
    app()
