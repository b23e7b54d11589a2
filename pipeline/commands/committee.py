"""Not a stage: several trained nets that answer together."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.base.errors import PipelineError, printable, reports_errors

BATCH = 1000  # images classified at a time


@reports_errors
def main(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Model files, trained on one dataset.npz.")],
    data: Annotated[Path, typer.Option(metavar="PATH", help="The data that they are judged on.")] = Path(
        "data/processed/dataset.npz"
    ),
    crops: Annotated[int, typer.Option(metavar="1|9", help="9: the mean over an image and its 8 shifts.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in ASCII, not a table.")] = False,
) -> None:
    """Judge trained nets on the test images, each alone and all together, by the mean of their probabilities.

    It takes model files, not revisions: they may come from experiments (dvc get), from elsewhere, or from any run.

    Example: pipeline committee data/recipes/two-convolutions-[1-5]/weights.npz --crops 9
    """
    from pipeline.base.provenance import sha256, unchanged
    from pipeline.datasets.arrays import describe_dataset, load_splits
    from pipeline.model import added, load_model
    from pipeline.nn.arithmetic import computing
    from pipeline.report.metrics import confusion_matrix, headline

    if crops not in (1, 9):
        raise PipelineError(f"--crops is {crops}; choose 1 or 9.")
    classifiers = [load_model(path) for path in models]
    with unchanged(data):
        about = describe_dataset(data)
        source = about | {"sha256": sha256(data)}
        (test,) = load_splits(data, about, ["test"])
    if others := [path for path, one in zip(models, classifiers, strict=True) if one.about["data"] != source]:
        raise PipelineError(
            f"{others[0]} was trained on another dataset.npz than {data}; leave it out, or train it again."
        )
    hashes = [one.about["sha256"] for one in classifiers]
    if twins := [path for i, path in enumerate(models) if hashes[i] in hashes[:i]]:
        raise PipelineError(f"{twins[0]} has the weights of a net that is named before it; name each net once.")
    with computing():
        shares = [one.shares(test.images, BATCH, crops) for one in classifiers]
    names, classes = [*(printable(str(path)) for path in models), "committee"], len(about["class_names"])
    answers: list[dict[str, Any]] = [
        {"net": name, "crops": crops} | headline(confusion_matrix(test.labels, one.argmax(axis=1), classes))
        for name, one in zip(names, [*shares, added(shares)], strict=True)
    ]
    if as_json:
        typer.echo(json.dumps(answers, indent=2, sort_keys=True))
        return
    for answer in answers:
        typer.echo(f"{answer['net']:{max(map(len, names))}}  {answer['accuracy']:.4f}{'  9 crops' * (crops == 9)}")
