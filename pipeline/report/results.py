"""All files of an evaluation, as name -> content: made in full before any is written."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.base.arrays import Array
from pipeline.base.text import percent, strict_json, table
from pipeline.report import chart, plots
from pipeline.report.comparison import CHOSEN_BY
from pipeline.report.metrics import Answers, by_class, worst_mistakes
from pipeline.report.page import MOST_UNITS, page


def results(
    answers: Answers,
    validation: Answers | None,
    curves: Mapping[str, Sequence[float]],
    first_layer: Array,
    weights: Mapping[str, Array],
    about: Mapping[str, Any],
    mistakes: int,
    subspaces: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """The files by name, metrics.json last: if it is there, all files are there.

    answers: on the test images; validation: on the validation split, if there is one;
    curves: columns of accuracy.csv (epoch, train, held_out) and loss.csv (loss); first_layer: (M, Y, X);
    weights, about and subspaces: from the model file.
    """
    worst = worst_mistakes(answers.labels, answers.probabilities, mistakes)
    files = {
        "accuracy.png": plots.line_chart(chart.accuracies(curves, about["data"]["held_out"])),
        "loss.png": plots.line_chart(chart.mean_losses(curves["loss"])),
        "confusion.png": plots.confusion_chart(answers.confusion, answers.names),
        "mistakes.png": plots.mistakes_chart(answers.pictures[worst], [title(answers, i) for i in worst]),
        "weights.png": plots.weights_chart(first_layer[:MOST_UNITS]),
    }
    pairs = zip(answers.labels.tolist(), answers.predicted.tolist(), strict=True)
    files["predictions.csv"] = table(["actual", "predicted"], [[answers.names[k] for k in pair] for pair in pairs])
    files["classes.json"] = strict_json(by_class(answers.confusion, answers.names))
    files["model.json"] = strict_json(about)  # the net that has these numbers
    files["report.html"] = page(answers, curves, worst, first_layer, weights, about, subspaces)
    return files | {"metrics.json": strict_json(metrics(answers, validation))}


def metrics(test: Answers, validation: Answers | None) -> dict[str, Any]:
    """The numbers of the test images, and of the validation split if there is one: they decide between runs."""
    chosen_by = validation.headline.items() if validation else ()
    return test.headline | {f"validation_{key}": value for key, value in chosen_by if key in CHOSEN_BY}


def title(answers: Answers, i: int) -> str:
    """'4, said 9: 98%'."""
    said = answers.predicted[i]
    sure = percent(float(answers.probabilities[i, said]), 0)
    return f"{answers.names[answers.labels[i]]}, said {answers.names[said]}: {sure}"
