"""The descriptions inside files, checked before they are used: dataset.json, dataset.npz and the model file.

A file may come from anyone, so its description is not trusted: it must be short, printable and consistent.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.base.errors import PipelineError
from pipeline.base.text import strict_json

LONGEST = 300  # letters of a text
MOST_PARTS = 100  # parts of a list
MOST_CLASSES = 1000
MOST_PIXELS = 256  # along a side of an image: framing a picture takes memory and time that grow with its square
WIDEST = 0.64  # of the longest side: a full square has the widest stroke, 2 / pi


def short(value: Any) -> Any:
    """Return a text, a number or a list of them unchanged. Raises ValueError where a part is long, or not printable."""
    parts = value if isinstance(value, list) else [value]
    sound = (len(text := str(part)) <= LONGEST and text.isprintable() for part in parts)
    if len(parts) > MOST_PARTS or any(isinstance(part, dict | list) for part in parts) or not all(sound):
        raise ValueError(f"must be printable, at most {LONGEST} letters, or a list of at most {MOST_PARTS} such parts")
    return value


Setting = Annotated[Any, AfterValidator(short)]
Text = Annotated[str, Field(min_length=1), AfterValidator(short)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=1, le=1 << 20)]
Shape = Annotated[list[Annotated[int, Field(ge=1, le=MOST_PIXELS)]], Field(min_length=2, max_length=2)]
Features = Literal["pixels", "edges", "fourier"]
Layout = Literal["flat", "image"]


class Part(BaseModel):
    """A checked part of a description: no unknown keys, no conversions, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class File(Part):
    """One of the four files; it lies in the folder of dataset.json."""

    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    bytes: int = Field(ge=0)
    sha256: Sha256


class DataSet(Part):
    """What every description says about a data set."""

    title: Text
    homepage: Text
    licence: Text
    image_shape: Shape
    class_names: list[Text] = Field(min_length=1, max_length=MOST_CLASSES)
    files: dict[Literal["train_images", "train_labels", "test_images", "test_labels"], File] = Field(min_length=4)

    @model_validator(mode="after")
    def names_differ(self) -> Self:
        """Two classes with one name could not be told apart in an answer."""
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("class_names must differ")
        return self


class Form(Part):
    """How the pictures of a data set lie in its files, and whether other pictures must be framed like them."""

    framed: bool = Field(description="each picture shows one digit, scaled and centred as in MNIST")
    transposed: bool = Field(False, description="rows and columns of each picture are exchanged in the files")


class Description(DataSet, Form):
    """The file that download.dataset names; a person or pipeline import-folder wrote it."""

    mirrors: list[Text] = Field(min_length=1, max_length=MOST_PARTS, description="URLs, or folders beside this file")

    @field_validator("files")
    @classmethod
    def packed(cls, files: dict[str, File]) -> dict[str, File]:
        """Files that are fetched are read as gzip."""
        if plain := [file.name for file in files.values() if not file.name.endswith(".gz")]:
            raise ValueError(f"{plain[0]} must be a gzip file, with a name that ends in .gz")
        return files


class Downloaded(DataSet, Form):
    """dataset.json, as pipeline.download writes it."""

    name: Text


class Framing(Part):
    """The fields of digit.framing.Framing."""

    side: float
    row: float
    column: float
    stroke: float
    least_slant: float
    most_slant: float


class Converted(DataSet):
    """The description in dataset.npz, as pipeline.convert writes it."""

    name: Text
    features: Features
    feature_shape: Shape
    normalize: bool
    one_hot: bool
    layout: Layout
    validation: int = Field(ge=0)
    held_out: Literal["validation", "test"]
    framing: Framing | None  # None: other pictures are taken as they are

    @model_validator(mode="after")
    def framing_fits(self) -> Self:
        """A place outside the image, or a stroke wider than a digit is long, was not measured on any digit."""
        if self.framing is None:
            return self
        rows, columns = self.image_shape
        digit = self.framing
        within = 1 <= digit.side <= max(rows, columns) and 0 <= digit.row <= rows and 0 <= digit.column <= columns
        if not (within and 0 < digit.stroke <= WIDEST * digit.side):
            raise ValueError(f"framing must be that of digits in images of {rows} x {columns} pixels")
        return self


class Source(Converted):
    """dataset.npz, as the model file remembers it."""

    sha256: Sha256


class Net(Part):
    """All that decides a net except its weights."""

    layers: list[Text] = Field(min_length=1, max_length=MOST_PARTS)
    input_shape: list[Size] = Field(min_length=3, max_length=3)
    classes: Size
    arithmetic: Text
    loss: Text
    batch_size: Size  # the bits of exact arithmetic depend on it


class Detector(Part):
    """A net like the one beside it, with one more class, for images of no class; its arrays lie beside the weights."""

    limit: float = Field(ge=0, le=1)  # of the probability of the class of an image: below, it is refused
    sha256: Sha256


class Judging(Part):
    """How answers are judged: nn.calibration, and nn.subspaces, whose arrays lie beside the weights."""

    temperature: float = Field(gt=0, le=100)
    bits: int = Field(ge=0, le=12)
    limit: float = Field(ge=0)
    held_out: Literal["validation", "train"]  # the split whose images set the limit
    images: int = Field(ge=1)
    sha256: Sha256
    detector: Detector | None = None


class Trained(Part):
    """The description in weights.npz, as pipeline.train writes it."""

    net: Net
    params: dict[Text, Setting]
    data: Source
    sha256: Sha256
    curves: dict[Text, Sha256] | None = None
    judging: Judging | None = None  # None in an old file: no image is refused, the temperature is 1

    @model_validator(mode="after")
    def net_fits_data(self) -> Self:
        """The net takes what the data set holds, and has an output for each class."""
        expected = [1, *self.data.feature_shape]
        if self.net.input_shape != expected or self.net.classes != len(self.data.class_names):
            raise ValueError(f"net must take {expected} and tell {len(self.data.class_names)} classes, as data says")
        return self


class Metrics(Part):
    """metrics.json of any version of pipeline.evaluate: the metrics that rank runs, and other numbers."""

    model_config = ConfigDict(extra="allow")
    accuracy: float = Field(ge=0, le=1)
    validation_accuracy: float | None = Field(None, ge=0, le=1)


def read_json(content: str | bytes, where: Path, model: type[BaseModel], remake: str) -> dict[str, Any]:
    """The JSON object in `content` of the file `where`. Raises PipelineError where it is not JSON or does not fit."""
    try:
        tree = json.loads(content)
        strict_json(tree)  # it may be shown later, so it must be writable: no NaN, no half of a letter
        model.model_validate(tree)
    except ValidationError as error:
        raise PipelineError(f"{where}: its description does not fit: {misfit(error)}; {remake}.") from None
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"{where}: its description is not JSON: {error}; {remake}.") from None
    return dict(tree)


def misfit(error: ValidationError) -> str:
    """The first error: 'data.framing.side: Input should be less than or equal to 256, found 400'."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    found = "" if isinstance(first["input"], dict) else f", found {first['input']!r:.60}"
    return f"{f'{place}: ' if place else ''}{first['msg'].removeprefix('Value error, ')}{found}"
