"""Not a stage: classify anyone's pictures with the trained net."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.base.errors import PipelineError, one_line, printable, reports_errors

if TYPE_CHECKING:  # the rest is imported where it is used, so that --help does not wait for it
    from pipeline.base.arrays import Array
    from pipeline.digit.picture import Digit
    from pipeline.model import Classifier

STDIN = Path("-")
SUFFIXES = (".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FOREIGN = (".avif", ".heic", ".heif")  # also looked for in folders, and refused by their content
UNSEEN = ("desktop.ini", "thumbs.db")  # files that systems put into folders, like names that begin with a dot
BOX = b"ftyp"  # after 4 bytes, in HEIC, AVIF and videos (ISO/IEC 14496-12)
UNLIKE = "like no image that the net was trained on"
CANNOT_REFUSE = "this model file is of an older version and refuses no image; train it again"
TOLD = 3  # classes that an answer names
SHOWN = 80  # the most pictures that --show draws
BATCH = 1000  # pictures classified at a time
SEEN = "What the net saw"
MARK = b"Title\0" + SEEN.encode()  # marks a PNG that --show made (PNG specification, tEXt)


@reports_errors
def main(
    pictures: Annotated[list[Path], typer.Argument(metavar="PICTURE", help="Files or folders; - is stdin.")],
    model: Annotated[Path, typer.Option(metavar="PATH", help="The model file.")] = Path("data/model/weights.npz"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in ASCII, not a table.")] = False,
    show: Annotated[Path | None, typer.Option(metavar="PNG", help="Draw what the net saw into this new file.")] = None,
) -> None:
    """Say which class each picture shows, its probability, and the next two classes; for a number, each of its digits.

    A picture has one digit or one number: drawn or photographed, dark on light or light on dark, of any size. A number
    may have several lines. --json also says where each digit is: left, top, right and bottom in pixels.
    A picture that cannot be read is named on stderr; the others are classified all the same, and the exit code is 1.
    The exit code is also 1 where a picture is like no image that the net was trained on.
    A byte of a file name that is not UTF-8, such as E9, is printed as a backslash and udce9.

    Example: pipeline predict seven.png photos/ --show seen.png
    """
    from pipeline.model import load_model

    files = list(named(pictures))
    if show:
        require_replaceable(show, model, *files)
    classifier = load_model(model)
    seen = list(look(files, classifier.about["data"]))
    answers = classify(classifier, seen) if seen else []
    if classifier.subspaces is None:
        typer.echo(f"note: {CANNOT_REFUSE}.", err=True)
    if as_json:
        typer.echo(json.dumps(answers, indent=2, sort_keys=True))
    else:
        typer.echo("".join(lines(answers)), nl=False)
    if show and seen:
        draw(show, answers, seen)
    if len(seen) < len(files) or any(answer["refused"] for answer in answers):
        raise typer.Exit(1)


def require_replaceable(show: Path, *inputs: Path) -> None:
    """Raise PipelineError where `show` exists and --show did not make it: `--show *.png` names a picture first."""
    from pipeline.base.paths import opened, require_other

    require_other(show, *inputs)
    if show.exists():
        with opened(show, "name another file for --show") as file:
            if MARK not in file.read(100):
                raise PipelineError(f"{show} was not made by --show, and is not replaced; name a new file.")


def draw(show: Path, answers: list[dict[str, Any]], seen: list[tuple[str, list["Digit"]]]) -> None:
    """Draw the first images (Y, X), each with its answer and the end of its name."""
    import numpy as np

    from pipeline.base.files import write_bytes
    from pipeline.report.bitmap import chunk
    from pipeline.report.plots import tiles

    titles = [
        f"{read_as(digit)}\n{Path(answer['picture']).stem[-16:]}" for answer in answers for digit in answer["digits"]
    ][:SHOWN]
    images = [digit.image for _, digits in seen for digit in digits][:SHOWN]
    content = tiles(np.stack(images), titles, SEEN, columns=min(8, max(4, len(images))))
    write_bytes(show, content[:33] + chunk(b"tEXt", MARK) + content[33:])  # after the header


def read_as(digit: Mapping[str, Any]) -> str:
    """The class of one digit of an answer; a question mark for a refused digit."""
    return "?" if digit["refused"] else str(digit["classes"][0]["class"])


def named(paths: list[Path]) -> Iterator[Path]:
    """Each file, and for a folder the pictures in it, by name. Raises PipelineError where a folder has no picture.

    Other files in a folder are named on stderr, unless they belong to the system.
    """
    for path in paths:
        if not os.path.isdir(path):  # unlike path.is_dir(), this raises nothing for a name that is too long
            yield path
            continue
        inside = sorted(one for one in path.iterdir() if one.name[0] != "." and one.name.lower() not in UNSEEN)
        found = [one for one in inside if one.suffix.lower() in SUFFIXES + FOREIGN and one.is_file()]
        if not found:
            raise PipelineError(f"{path} holds no picture; expected a name ending in {', '.join(SUFFIXES)}.")
        for other in (one for one in inside if one not in found):
            what = "is a folder; name it, too" if other.is_dir() else "does not end like a picture"
            typer.echo(f"note: {printable(str(other))} was not read: it {what}.", err=True)
        yield from found


def look(files: list[Path], data: Mapping[str, Any]) -> Iterator[tuple[str, list["Digit"]]]:
    """For every picture that can be read: its printable name, and its digits as the net's data set would show them.

    Only a net whose classes are digits reads numbers: the parts of a shoe or of a letter belong together.
    Each other picture gets a line on stderr. `data` is what the model file says about its data set.
    """
    from pipeline.digit.framing import Framing
    from pipeline.digit.picture import as_it_is, digits

    shape, framing = tuple(data["image_shape"]), data["framing"]
    apart = all(name in "0123456789" for name in data["class_names"])
    for path in files:
        name = printable(str(path))
        try:
            found = content(path)
            if framing:
                yield name, digits(found, name, shape, Framing(**framing), apart)
            else:
                yield name, [as_it_is(found, name, shape)]
        except OSError as error:
            typer.echo(f"error: {name} cannot be read: {error.strerror}.", err=True)
        except PipelineError as error:
            typer.echo(f"error: {one_line(error)}", err=True)


def content(path: Path) -> bytes:
    """The bytes of a picture, at most one more than allowed. Raises PipelineError where the picture is HEIC or AVIF."""
    from pipeline.base.paths import opened
    from pipeline.digit.picture import LARGEST_FILE

    if path == STDIN:
        read = sys.stdin.buffer.read(LARGEST_FILE + 1)
    else:
        with opened(path, "name a picture, or - for stdin") as file:
            read = file.read(LARGEST_FILE + 1)
    if read[4:8] == BOX:
        raise PipelineError(f"{path} is a HEIC or AVIF picture, or a video, which is not read; save it as JPEG.")
    return read


def classify(classifier: "Classifier", seen: list[tuple[str, list["Digit"]]]) -> list[dict[str, Any]]:
    """For each picture: its name, text and digits, each digit with line, box and classes, and whether one is refused.

    "refused" is null where the model file cannot tell. A refused digit is a question mark in the text.
    """
    import numpy as np

    judged = iter(judge(classifier, np.stack([digit.image for _, digits in seen for digit in digits])))
    answers = []
    for name, digits in seen:
        each = [{"line": digit.line, "box": digit.box, **next(judged)} for digit in digits]
        text = "".join(
            ("\n" if k and one["line"] > each[k - 1]["line"] else "") + read_as(one) for k, one in enumerate(each)
        )
        refused = None if each[0]["refused"] is None else any(one["refused"] for one in each)
        answers.append({"picture": name, "text": text, "digits": each, "refused": refused})
    return answers


def judge(classifier: "Classifier", images: "Array") -> Iterator[dict[str, Any]]:
    """For each of `images` (N, Y, X) the TOLD most probable classes, the best first, and whether it is refused."""
    import numpy as np

    from pipeline.datasets.arrays import Split
    from pipeline.datasets.raw import arrange

    data = classifier.about["data"]
    pixels = Split(images, np.zeros(len(images), np.intp))
    shown = arrange(pixels, None, data["features"], data["normalize"], data["layout"] == "flat").images
    logits = classifier.logits(shown, BATCH)
    found = classifier.refuses(shown, logits)
    refused = [None] * len(images) if found is None else found.tolist()
    for shares, unlike in zip(classifier.probabilities(logits), refused, strict=True):
        best = np.argsort(-shares, kind="stable")[:TOLD].tolist()
        classes = [{"class": data["class_names"][k], "probability": float(shares[k])} for k in best]
        yield {"classes": classes, "refused": unlike}


def lines(answers: list[dict[str, Any]]) -> Iterator[str]:
    """'seven.png  7  98.2%   1   1.3%   9   0.2%', in columns; 'year.png  2026:  2  99.8%   0  98.7%  ...'.

    And 'face.png  like no image ...; nearest 8  91.2%'.
    """
    name = max((len(answer["picture"]) for answer in answers), default=0)
    for answer in answers:
        start = f"{answer['picture']:{name}}"
        if len(answer["digits"]) == 1:
            (digit,) = answer["digits"]
            shares = [share(one) for one in digit["classes"]]
            told = f"{UNLIKE}; nearest {shares[0]}" if digit["refused"] else "   ".join(shares)
            yield printable(f"{start}  {told}") + "\n"
            continue
        for number, text in enumerate(answer["text"].split("\n")):
            line = [digit for digit in answer["digits"] if digit["line"] == number]
            told = "   ".join(f"? ({share(d['classes'][0])})" if d["refused"] else share(d["classes"][0]) for d in line)
            note = f"   ?: {UNLIKE}" if any(d["refused"] for d in line) else ""
            yield printable(f"{start}  {text}:  {told}{note}") + "\n"


def share(one: Mapping[str, Any]) -> str:
    """A class and its probability."""
    from pipeline.base.text import percent

    return f"{one['class']} {percent(one['probability']):>6}"
