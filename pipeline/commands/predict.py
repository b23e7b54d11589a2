"""Not a stage: classify anyone's pictures with the trained net."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import PipelineError, one_line, printable, reports_errors

if TYPE_CHECKING:  # the rest is imported where it is used: help need not wait for it
    from pipeline.base.arrays import Array
    from pipeline.nn.classifier import Classifier

STDIN = Path("-")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")  # looked for in folders
TOLD = 3  # classes an answer names
SHOWN = 80  # pictures at most that --show puts into one
BATCH = 1000  # pictures classified at a time

app = typer.Typer(add_completion=False)


@app.command()
@reports_errors
def main(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Files or folders; - is stdin.")],
    model: Annotated[Path, typer.Option(metavar="PATH", help="The model file.")] = Path("data/model/weights.npz"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON rather than a table.")] = False,
    show: Annotated[Path | None, typer.Option(metavar="PNG", help="Picture there what the net saw.")] = None,
) -> None:
    """Say which class each picture shows, how probably, and the next two classes.

    One digit a picture: drawn or photographed, dark on light or light on dark, of any size.
    A picture that cannot be read is named on stderr; the others are classified all the same, and the exit code is 1.

    Example: pipeline predict seven.png photos/ --show seen.png
    """
    import numpy as np

    from pipeline.base.files import write_bytes
    from pipeline.base.text import strict_json
    from pipeline.nn.classifier import load_classifier

    net = load_classifier(model)
    files = list(named(pictures))
    seen = list(look(files, net.about["data"]))
    answers = classify(net, seen) if seen else []
    if as_json:
        typer.echo(strict_json(answers).decode(), nl=False)
    else:
        typer.echo("".join(lines(answers)), nl=False)
    if show and seen:
        from pipeline.report.plots import png, tiles

        titles = [
            f"{answer['classes'][0]['class']}\n{Path(answer['picture']).stem[-16:]}" for answer in answers[:SHOWN]
        ]
        images = np.stack([image for _, image in seen[:SHOWN]])
        write_bytes(show, png(tiles(images, titles, "What the net saw", columns=min(8, max(4, len(images))))))
    if len(seen) < len(files):
        raise typer.Exit(1)


def named(paths: list[Path]) -> Iterator[Path]:
    """Each file, and in place of a folder the pictures in it, by name. Raises PipelineError where it has none."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            raise PipelineError(f"{path} holds no picture; expected a name ending in {', '.join(SUFFIXES)}.")
        yield from found


def look(files: list[Path], data: Mapping[str, Any]) -> Iterator[tuple[str, "Array"]]:
    """Name and image (Y, X), as the net's data set would show it, of every picture that can be read.

    The others get a line on stderr. `data` is what the model file says of its data set.
    """
    from pipeline.digit.framing import Framing
    from pipeline.digit.picture import LARGEST_FILE, digit

    for path in files:
        try:
            if path == STDIN:
                content = sys.stdin.buffer.read(LARGEST_FILE + 1)
            else:
                with path.open("rb") as file:
                    content = file.read(LARGEST_FILE + 1)
            yield str(path), digit(content, str(path), tuple(data["image_shape"]), Framing(**data["framing"]))
        except OSError as error:
            typer.echo(f"error: {printable(str(path))} cannot be read: {error.strerror}.", err=True)
        except PipelineError as error:
            typer.echo(f"error: {one_line(error)}", err=True)


def classify(net: "Classifier", seen: list[tuple[str, "Array"]]) -> list[dict[str, Any]]:
    """For each picture its name and the TOLD most probable classes, the best first."""
    import numpy as np

    from pipeline.datasets.arrays import Split
    from pipeline.datasets.raw import arrange

    data = net.about["data"]
    pixels = Split(np.stack([image for _, image in seen]), np.zeros(len(seen), np.intp))
    images = arrange(pixels, None, data["features"], data["normalize"], data["layout"] == "flat").images
    answers = []
    for (name, _), shares in zip(seen, net.probabilities(net.logits(images, BATCH)), strict=True):
        best = np.argsort(-shares, kind="stable")[:TOLD].tolist()
        classes = [{"class": data["class_names"][k], "probability": float(shares[k])} for k in best]
        answers.append({"picture": name, "classes": classes})
    return answers


def lines(answers: list[dict[str, Any]]) -> Iterator[str]:
    """'seven.png  7  98.2%   1   1.3%   9   0.2%', in columns."""
    name = max((len(answer["picture"]) for answer in answers), default=0)
    word = max((len(one["class"]) for answer in answers for one in answer["classes"]), default=0)
    for answer in answers:
        told = "   ".join(f"{one['class']:{word}} {one['probability']:6.1%}" for one in answer["classes"])
        yield f"{printable(answer['picture']):{name}}  {told}\n"


if __name__ == "__main__":
    app()
