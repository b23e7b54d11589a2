"""All files of an evaluation, as name -> content: made in full before any is written."""

from collections.abc import Mapping, Sequence

from pipeline.npz import Array
from pipeline.report import plots
from pipeline.report.metrics import by_class, confusion_matrix, headline, worst_mistakes
from pipeline.text import strict_json, table

MOST_UNITS = 100  # hidden units pictured


class Answers:
    """What the net said of N images: pictures (N, Y, X), labels (N,), probabilities (N, K), names of the K classes."""

    def __init__(self, pictures: Array, labels: Array, probabilities: Array, names: Sequence[str]) -> None:
        self.pictures, self.labels, self.probabilities, self.names = pictures, labels, probabilities, names
        self.predicted = probabilities.argmax(axis=1)
        self.confusion = confusion_matrix(labels, self.predicted, len(names))
        self.headline = headline(self.confusion)


@plots.plain_style
def results(
    answers: Answers,
    loss: float,
    curves: Mapping[str, Sequence[float]],
    held_out: str,
    first_layer: Array,
    mistakes: int,
) -> dict[str, bytes]:
    """The files by name, metrics.json last: once it is there, all of them are.

    curves: columns of accuracy.csv (epoch, train, held_out) and loss.csv (loss); first_layer: (M, Y, X).
    """
    worst = worst_mistakes(answers.labels, answers.probabilities, mistakes)
    figures = {
        "accuracy": plots.accuracy_curve(curves["epoch"], curves["train"], curves["held_out"], held_out),
        "loss": plots.loss_curve(curves["loss"]),
        "confusion": plots.confusion_chart(answers.confusion, answers.names),
        "mistakes": plots.mistakes_chart(answers.pictures[worst], [title(answers, i) for i in worst]),
        "weights": plots.weights_chart(first_layer[:MOST_UNITS]),
    }
    files = {f"{name}.png": plots.png(figure) for name, figure in figures.items()}
    pairs = zip(answers.labels.tolist(), answers.predicted.tolist(), strict=True)
    files["predictions.csv"] = table(["actual", "predicted"], [[answers.names[k] for k in pair] for pair in pairs])
    files["classes.json"] = strict_json(by_class(answers.confusion, answers.names))
    return files | {"metrics.json": strict_json(answers.headline | {"loss": loss})}


def title(answers: Answers, i: int) -> str:
    """'4, said 9: 98%'."""
    said = answers.predicted[i]
    return f"{answers.names[answers.labels[i]]}, said {answers.names[said]}: {answers.probabilities[i, said]:.0%}"
