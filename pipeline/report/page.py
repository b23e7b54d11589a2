"""The report: one page that needs nothing beside it, to be read, printed and drawn on.

No number in it depends on the machine. Its text is in page.html, its style in page.css. The pad, on which a user draws
and the net answers, is in pad.js and ink.js. page.js has the other actions.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.arrays import Array
from pipeline.base.text import percent
from pipeline.report import bitmap, chart, made
from pipeline.report.metrics import Answers, by_class

FOLDER = Path(__file__).parent
MOST_UNITS = 100  # units of the first layer that are drawn
MOST_WEIGHTS = 600_000  # weights of a net with a pad: two bytes each, and a third more as text, stay under 2 MB
MOST_AXES = 1 << 18  # numbers of the subspaces, one byte each
LEVELS = 32_767  # steps of the pad's weights on either side of zero


def page(
    answers: Answers,
    curves: Mapping[str, Sequence[float]],
    worst: Array,
    first_layer: Array,
    weights: Mapping[str, Array],
    about: Mapping[str, Any],
    subspaces: Mapping[str, Any] | None = None,
) -> bytes:
    """The report as HTML. worst: indices of mistakes; first_layer (M, Y, X); about, subspaces: of the model file."""
    net, data = about["net"], about["data"]
    detector = (subspaces or {}).get("detector")
    count = sum(array.size for array in [*weights.values(), *(detector["weights"].values() if detector else ())])
    crops = answers.headline.get("crops_accuracy")
    no_pad = without_pad(count, data)
    parts = {
        "title": escape(f"{data['title']}, read by a neural net"),
        "lead": escape(lead(answers, data["title"])),
        "layers": escape(", ".join(net["layers"])),
        "headline": definitions(
            {
                "accuracy": f"{answers.headline['accuracy']:.2%}",
                **({} if crops is None else {"accuracy over 9 crops": f"{crops:.2%}"}),
                "wrong": f"{(answers.predicted != answers.labels).sum():,} of {len(answers.labels):,}",
                "loss": f"{answers.loss:.4f}",
                "weights": f"{sum(array.size for array in weights.values()):,}",
            }
        ),
        "accuracy": chart.svg(chart.accuracies(curves, data["held_out"])),
        "accuracies": accuracies(curves, data["held_out"]),
        "loss": chart.svg(chart.mean_losses(curves["loss"])),
        "confusion": confusion(answers.confusion, answers.names),
        "classes": classes(answers),
        "mistakes": mistakes(answers, worst) or "<p>None at all.</p>",
        "layer": layer(first_layer),
        "settings": rows(made.settings(about)),
        "provenance": rows(made.provenance(about)),
        "commands": escape("\n".join(made.commands(about))),
        "pad": no_pad or pad(answers.names),
        "net": "null" if no_pad else script(embedded(weights, about, subspaces)),
        "style": template("page.css"),
        "script": template("ink.js") + template("pad.js") + template("page.js"),
    }
    return filled("page.html", parts).encode()


def template(name: str) -> str:
    """A file of this folder."""
    return (FOLDER / name).read_text("utf-8")


def filled(name: str, parts: Mapping[str, str]) -> str:
    """The template `name` with every {{part}} in its place; the content of a part is not changed."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template(name))


def script(content: Any) -> str:
    """JSON that cannot end its script element."""
    return json.dumps(content, sort_keys=True, allow_nan=False).replace("<", "\\u003c")


# the sections


def lead(answers: Answers, title: str) -> str:
    """What this page is, for a reader who has never heard of it."""
    skill = "read handwritten digits" if are_digits(answers.names) else f"tell {len(answers.names)} classes apart"
    share, count = answers.headline["accuracy"], len(answers.labels)
    return f"A neural net learned to {skill} from {title}. It gets {share:.2%} of {count:,} new images right."


def are_digits(names: Sequence[str]) -> bool:
    """Whether the classes are digits."""
    return all(re.fullmatch("[0-9]", name) for name in names)


def definitions(terms: Mapping[str, str]) -> str:
    """Terms with their values."""
    return "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>" for term, value in terms.items())


def rows(lines: Iterable[Sequence[str]]) -> str:
    """Rows of a table, each headed by its first cell."""
    return "".join(
        f'<tr><th scope="row">{escape(head)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'
        for head, *cells in lines
    )


def heads(names: Iterable[str], more: str = "") -> str:
    """Header cells of columns; more: other attributes of these cells."""
    return "".join(f'<th scope="col"{more}>{escape(name)}</th>' for name in names)


def accuracies(curves: Mapping[str, Sequence[float]], held_out: str) -> str:
    """The accuracy curve as a table."""
    lines = zip(curves["epoch"], curves["train"], curves["held_out"], strict=True)
    return f"<tr>{heads(('epoch', 'train', held_out))}</tr>" + rows(
        (f"{e:.4g}", f"{t:.2%}", f"{h:.2%}") for e, t, h in lines
    )


def confusion(counts: Array, names: Sequence[str]) -> str:
    """One row per class shown, one column per class answered; more mistakes have a stronger colour."""
    most = max(int((counts - np.diag(counts.diagonal())).max()), 1)
    upright = ' class="upright"' if max(map(len, names)) > 2 else ""
    lines = [f"<tr><td></td>{heads(names, upright)}</tr>"]
    for name, row, i in zip(names, counts.tolist(), range(len(names)), strict=True):
        cells = [
            f'<td class="right">{n:,}</td>' if j == i else f'<td style="--share:{n / most:.2f}">{n or "·"}</td>'
            for j, n in enumerate(row)
        ]
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return "".join(lines)


def classes(answers: Answers) -> str:
    """Precision, recall and F1 of each class."""
    scores = by_class(answers.confusion, answers.names)
    return f"<tr>{heads(('class', 'images', 'precision', 'recall', 'F1'))}</tr>" + rows(
        (name, f"{one['images']:,}", *(f"{one[key]:.1%}" for key in ("precision", "recall", "f1")))
        for name, one in scores.items()
    )


def mistakes(answers: Answers, worst: Array) -> str:
    """Each of the `worst` mistakes as a picture with the right class and the answer."""
    figures = []
    for i in worst.tolist():
        is_, said = answers.names[answers.labels[i]], answers.names[answers.predicted[i]]
        sure = percent(float(answers.probabilities[i].max()), 0)
        image = f'<img alt="" src="{bitmap.grey(answers.pictures[i])}">'
        caption = f"<b>{escape(is_)}</b>, said {escape(said)} <span>({sure})</span>"
        figures.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return "".join(figures)


def layer(pictures: Array) -> str:
    """The first layer's weights as one picture."""
    shown = pictures[:MOST_UNITS]
    of = f"of {len(pictures):,} " if len(shown) < len(pictures) else ""
    text = f"{len(shown)} {of}pictures, one per unit or filter: blue where ink speaks for it, red where against"
    return f'<img class="layer" alt="{text}" src="{bitmap.signed(shown, min(10, len(shown)))}">'


# the pad


def pad(names: Sequence[str]) -> str:
    """The pad and the place of its answers, for classes called `names`."""
    what = "digit or number" if are_digits(names) else "of the classes in the table"
    return filled("pad.html", {"what": what, "classes": pad_rows(names)})


def pad_rows(names: Sequence[str]) -> str:
    """A row for each class: its name, a bar, its probability."""
    bar = '<td class="bar" aria-hidden="true"><div></div></td><td class="share"></td>'
    return "".join(f'<tr><th scope="row">{escape(name)}</th>{bar}</tr>' for name in names)


def without_pad(count: int, data: Mapping[str, Any]) -> str:
    """Why there is no pad for a net of `count` weights, trained on `data`; empty if there is one."""
    if data["framing"] is None:
        why = "the pictures of this data set are not drawings, scaled and centred as in MNIST"
    elif count > MOST_WEIGHTS:
        why = f"this net has {count:,} weights, and a page under 2 MB has room for {MOST_WEIGHTS:,}"
    else:
        return ""
    asked = "<code>pipeline predict picture.png</code> asks the net about a picture."
    return f"<p>The pad is left out: {why}. {asked}</p>"


def embedded(
    weights: Mapping[str, Array], about: Mapping[str, Any], subspaces: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What the pad needs to know: the net, the form of its images, how answers are judged, and the arrays.

    Weights are on a scale of 16 bits each; subspaces are bytes, unless they are too many for the page.
    """
    data = about["data"]
    wanted = ("class_names", "image_shape", "framing", "features", "normalize")
    return {
        "data": {key: data[key] for key in wanted},
        "net": {key: about["net"][key] for key in ("layers", "input_shape")},
        "weights": {name: sixteen_bits(array) for name, array in weights.items()},
        "temperature": about.get("judging", {}).get("temperature", 1.0),
        "subspaces": None if subspaces is None or subspaces["axes"].size > MOST_AXES else flats(subspaces),
        "detector": subspaces and subspaces.get("detector") and detecting(subspaces["detector"]),
    }


def detecting(detector: Mapping[str, Any]) -> dict[str, Any]:
    """The detector as JSON."""
    weights = {name: sixteen_bits(array) for name, array in detector["weights"].items()}
    return {"limit": detector["limit"], "weights": weights}


def flats(subspaces: Mapping[str, Any]) -> dict[str, Any]:
    """Subspaces as JSON, their arrays in base64."""
    arrays = {name: base64.b64encode(subspaces[name].tobytes()).decode() for name in ("means", "axes")}
    return arrays | {"bits": subspaces["bits"], "limit": subspaces["limit"], "count": subspaces["axes"].shape[1]}


def sixteen_bits(array: Array) -> dict[str, Any]:
    """The array as shape, step and whole numbers of steps, little-endian in base64."""
    step = (float(np.abs(array).max()) or 1.0) / LEVELS
    numbers = np.rint(array.astype(np.float64) / step).astype("<i2")
    return {"shape": list(array.shape), "step": step, "numbers": base64.b64encode(numbers.tobytes()).decode()}
