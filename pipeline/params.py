"""The schema of params.yaml: each parameter with its type, range and meaning, and a clear error for each mistake.

The file is read as DVC reads it (ruamel, YAML 1.2), so that a value means the same here and in dvc.lock.
Section train is in pipeline.training.settings, because a stage reads only its own section.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import typer
from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent

from pipeline.base.errors import PipelineError
from pipeline.base.paths import opened
from pipeline.base.schema import Features, Layout, Part
from pipeline.base.words import did_you_mean, listed

PARAMS_FILE = Path("params.yaml")
SECTIONS = ("download", "convert", "train", "evaluate")
LARGEST_FILE = 1 << 14  # bytes
DEEPEST = 10  # brackets in brackets
DATASETS = (
    "mnist",
    "fashion-mnist",
    "kmnist",
    "emnist-digits",
    "emnist-balanced",
    "qmnist",
    "digits",
)
DESCRIPTION = r"^.*[^/]\.json$"

# not checked by Typer: its errors take five lines
ParamsFile = Annotated[Path, typer.Option("--params", metavar="PATH", readable=False, help="The parameter file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-S", metavar="KEY=VALUE", help="Override one parameter, as DVC spells it; repeatable."),
]


class Section(Part):
    """One section of params.yaml."""

    gone: ClassVar[Mapping[str, str]] = {}  # keys of earlier versions, and what replaces them now


S = TypeVar("S", bound=Section)


def rule(key: str, usual: str, other: str, value: Any, message: str) -> dict[str, Any]:
    """JSON Schema: where `key` is not `usual`, the key `other` must be `value`."""
    needed = {"properties": {other: {"const": value, "errorMessage": message}}}
    return {"if": {"properties": {key: {"const": usual}}}, "else": needed}


class Download(Section):
    """Stage 1: which data set is fetched."""

    dataset: Annotated[str, Field(json_schema_extra={"anyOf": [{"enum": [*DATASETS]}, {"pattern": DESCRIPTION}]})] = (
        Field(description="a name in the registry, or the path of a description, such as datasets/shapes.json")
    )

    @field_validator("dataset", mode="before")
    @classmethod
    def known(cls, name: Any) -> Any:
        """A description is a file whose name ends in .json."""
        if isinstance(name, str) and (name in DATASETS or re.search(DESCRIPTION, name)):
            return name
        near = did_you_mean(name, DATASETS) if isinstance(name, str) else ""
        raise ValueError(
            f"{near}choose {listed('or', DATASETS)}, or write the path of a description, such as datasets/shapes.json."
        )


class Convert(Section):
    """Stage 2: how its images become arrays."""

    model_config = ConfigDict(
        json_schema_extra=rule("features", "pixels", "normalize", True, "other features than pixels need true.")
    )

    features: Features = Field(description="what the net is shown of an image")
    normalize: bool = Field(description="pixels as float32 from 0 to 1; false: as uint8 from 0 to 255")
    one_hot: bool = Field(description="labels as rows of zeros with a single one; false: as class indices")
    layout: Layout = Field(description="flat: D numbers per image; image: 1 x Y x X")
    validation: int = Field(ge=0, description="images held out, the last of the training set; 0: curves show test")

    @model_validator(mode="after")
    def features_are_fractions(self) -> "Convert":
        """Features other than pixels have no form in whole numbers."""
        if self.features != "pixels" and not self.normalize:
            raise ValueError(f"normalize is false, but features {self.features} are not whole numbers; make it true.")
        return self


class Evaluate(Section):
    """Stage 4: how the net is judged."""

    batch_size: int = Field(ge=1, le=1_000_000, description="images classified at a time")
    crops: Literal[1, 9] = Field(description="9: crops_accuracy, too, by the mean over an image and its 8 shifts")
    mistakes: int = Field(ge=1, le=100, description="how many of the worst mistakes to draw")

    @field_validator("crops", mode="before")
    @classmethod
    def whole(cls, crops: Any) -> Any:
        """Refuse true and 9.0, which Literal would take because they equal 1 and 9."""
        if type(crops) is not int:
            raise ValueError("choose 1 or 9.")
        return crops


def load_params(path: Path, overrides: Iterable[str] | None, section: type[S]) -> S:
    """The checked parameters of one section of `path`, each KEY=VALUE of `overrides` applied first.

    Raises PipelineError naming the file or the override, the key, what was found and what is allowed.
    """
    name, tree = section.__name__.lower(), read_yaml(path)
    overridden: dict[Any, str] = {}
    for override in overrides or ():
        other, *keys = apply(tree, override).split(".")
        overridden[keys[0]] = override
        if other in SECTIONS and other != name:
            raise PipelineError(
                f"-S {override}: {name} reads only section {name}; give this to python -m pipeline.{other}."
            )
    if unknown := [str(key) for key in tree if key not in SECTIONS]:
        raise PipelineError(f"{path}: {is_unknown(unknown[0], SECTIONS)}")
    if not isinstance(tree.get(name), dict):
        raise PipelineError(f"{path}: {name} is missing; add it, and its keys under it.")
    try:
        return section.model_validate(tree[name])
    except ValidationError as error:
        # unknown keys first: a misspelt key is also missing
        first, *others = sorted(error.errors(), key=lambda one: one["type"] not in ("extra_forbidden", "invalid_key"))
        more = f" ({len(others)} more to correct after that.)" if others else ""
        override = overridden.get(first["loc"][0], "") if first["loc"] else " -S ".join(overridden.values())
        raise PipelineError(f"{f'-S {override}' if override else path}: {explain(first, section)}{more}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The sections in the YAML file at `path`. Raises PipelineError where it is missing or holds no sections."""
    try:
        with opened(
            path, "run in the project's folder, name it by --params, or make one: pipeline params > params.yaml"
        ) as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}.") from None
    return sections(content, path)


def sections(content: bytes, where: Path) -> dict[str, Any]:
    """The mapping in YAML, which `where` holds; small, UTF-8, without anchors, aliases, tags or duplicate keys."""
    if len(content) > LARGEST_FILE:
        raise PipelineError(f"{where} is over {LARGEST_FILE} bytes, which no parameter file should be.")
    try:
        tree = parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PipelineError(f"{where} is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}.") from None
    except YAMLError as error:
        raise PipelineError(f"{where} is not valid YAML: {summary(error)}.") from None
    if not isinstance(tree, dict):
        raise PipelineError(f"{where} holds {type(tree).__name__}, not sections; each stage needs one.")
    return tree


def parse(text: str) -> Any:
    """`text` as YAML 1.2. Raises YAMLError where it is not, or where a few bytes could make gigabytes or objects."""
    yaml = YAML(typ="safe", pure=True)
    depth = 0
    try:
        for event in yaml.parse(text):
            if isinstance(event, NodeEvent) and event.anchor:
                raise YAMLError("anchors (&name) and aliases (*name) are not allowed")
            if getattr(event, "tag", None):
                raise YAMLError(f"tags ({event.tag}) are not allowed")
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST:
                raise YAMLError(f"nested more than {DEEPEST} deep")
        return yaml.load(text)
    except ValueError as error:  # impossible dates, numbers of thousands of digits
        raise YAMLError(str(error).partition(";")[0]) from None


def summary(error: YAMLError) -> str:
    """One line that sums up the many lines of ruamel."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).strip().splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark else problem


def apply(tree: dict[str, Any], override: str) -> str:
    """Set one section.key=value in `tree`, the value read as YAML, and return the key; the schema checks both later."""
    path, equals, text = override.partition("=")
    *parents, key = path.split(".")
    try:
        value = parse(text)
    except YAMLError as error:
        raise PipelineError(f"-S {override}: the value is not valid YAML: {summary(error)}.") from None
    if not (equals and parents and key):
        raise PipelineError(f"-S {override}: expected SECTION.KEY=VALUE, such as train.learning_rate=0.05.")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise PipelineError(f"-S {override}: {parent} holds a value, so nothing can be set in it.")
    tree[key] = value
    return path


def explain(error: ErrorDetails, section: type[Section]) -> str:
    """One line for one mistake: the key, what was found, what to write instead."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]]
    key, found = section.__name__.lower() + "".join(parts), error["input"]
    match error["type"]:
        case "missing":
            return f"{key} is missing; add it."
        case "extra_forbidden" | "invalid_key":
            name = str(error["loc"][-1])
            if name in section.gone:
                return f"{key} is gone: write it in {key.removesuffix(name)}{section.gone[name]}."
            return is_unknown(key, section.model_fields)
        case "literal_error":
            return f"{key} is {found!r}; choose {error['ctx']['expected'].replace(chr(39), '')}."
        case "value_error":
            return f"{key} is {found!r}; {error['ctx']['error']}" if parts else f"{key}: {error['ctx']['error']}"
        case "string_type" | "string_pattern_mismatch":
            return f"{key} is {found!r}; expected {section.model_fields[str(error['loc'][0])].description}."
        case "list_type" if isinstance(found, str):
            return f"{key} is {found!r}; write it in brackets: [{found:.200}]."
        case _:  # "Input should be a valid integer", "List should have at most 9 items after validation, not 10"
            rule = error["msg"].partition(" ")[2].replace("should", "must").replace(" after validation", "")
            return f"{key} is {found!r}; it {rule}."


def is_unknown(key: str, known: Iterable[str]) -> str:
    """The message that the last part of `key` is unknown, with the nearest of `known`, or all of them."""
    all_known = f"known are {listed('and', [*known])}."
    return f"{key} is unknown; {did_you_mean(key.rpartition('.')[2], known).strip() or all_known}"
