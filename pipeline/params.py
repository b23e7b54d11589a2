"""The schema of params.yaml: every knob with its type, range and meaning, and one clear error for what does not fit.

Read as DVC reads it (ruamel, YAML 1.2), so that a value means the same here and in dvc.lock.
`python -m pipeline.params` prints the schema as JSON Schema, from which editors complete and check.
"""

import difflib
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent

from pipeline.base.errors import PipelineError

PARAMS_FILE = Path("params.yaml")
LARGEST_FILE = 1 << 14  # bytes
DEEPEST = 10  # brackets in brackets

# not checked by Typer, whose refusal takes five lines
ParamsFile = Annotated[Path, typer.Option("--params", metavar="PATH", readable=False, help="The parameter file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", "-S", metavar="KEY=VALUE", help="Override one parameter, as DVC spells it; repeatable."),
]


class Section(BaseModel):
    """What every section promises: nothing unknown, nothing converted, no infinities."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Download(Section):
    """Stage 1."""

    dataset: Literal["mnist", "fashion-mnist", "kmnist", "digits"] = Field(description="a name in the registry")


class Convert(Section):
    """Stage 2."""

    features: Literal["pixels", "edges", "fourier"] = Field(description="what the net is shown of an image")
    normalize: bool = Field(description="pixels as float32 from 0 to 1; false: as uint8 from 0 to 255")
    one_hot: bool = Field(description="labels as rows of zeros with a single one; false: as class indices")
    layout: Literal["flat", "image"] = Field(description="flat: D numbers a row; image: 1 x Y x X")
    validation: int = Field(ge=0, description="images held out, the last of the training set; 0: curves show test")

    @model_validator(mode="after")
    def features_are_fractions(self) -> "Convert":
        """Features other than pixels have no form in whole numbers."""
        if self.features != "pixels" and not self.normalize:
            raise ValueError(f"normalize is false, but features {self.features} are no whole numbers; make it true.")
        return self


class Train(Section):
    """Stage 3."""

    model: Literal["linear", "two_layer", "cnn"] = Field(description="which net")
    hidden: int = Field(ge=1, le=100_000, description="units in the hidden layer; two_layer and cnn")
    activation: Literal["sigmoid", "tanh", "relu"] = Field(description="of the hidden layer; two_layer")
    filters: int = Field(ge=1, le=10_000, description="in the convolution; cnn")
    kernel: int = Field(ge=1, le=1000, description="rows and columns of a filter, in pixels; cnn")
    pool: int = Field(ge=1, le=1000, description="rows and columns of a pooling cell; cnn")
    initializer: Literal["normal", "glorot", "he"] = Field(description="how the weights start; biases start at 0")
    std: float = Field(gt=0, le=100, description="standard deviation of the initializer normal")
    loss: Literal["cross_entropy", "hinge"] = Field(description="what training makes small")
    gradient: Literal["backprop", "numerical", "complex_step"] = Field(description="how the loss is differentiated")
    step: float = Field(gt=0, le=1, description="change of a weight in numerical differentiation")
    arithmetic: Literal["exact", "float32", "float64"] = Field(description="what the net computes with")
    optimizer: Literal["sgd", "momentum", "adam"] = Field(description="how a gradient becomes a step")
    learning_rate: float = Field(gt=0, le=1000, description="size of a step")
    momentum: float = Field(ge=0, lt=1, description="share of the last step kept by the optimizer momentum")
    batch_size: int = Field(ge=1, le=1_000_000, description="images a step")
    sampling: Literal["replacement", "shuffle"] = Field(description="batches drawn at random, or epochs shuffled")
    length: int = Field(ge=1, le=1_000_000_000, description="how long to train")
    unit: Literal["iterations", "epochs"] = Field(description="what length counts")
    seed: int = Field(ge=0, lt=2**63, description="decides the first weights and the batches")

    @field_validator("momentum")
    @classmethod
    def zero_has_no_sign(cls, value: float) -> float:
        """The one number that equals another and differs in its bits."""
        if math.copysign(1, value) < 0:
            raise ValueError("-0.0 is not told from 0.0; write that.")
        return value

    @model_validator(mode="after")
    def differences_need_digits(self) -> "Train":
        """A difference of two losses loses most digits of any coarser arithmetic."""
        if self.gradient != "backprop" and self.arithmetic != "float64":
            raise ValueError(
                f"gradient {self.gradient} needs arithmetic float64, and arithmetic is {self.arithmetic}; "
                "set it: train.arithmetic=float64."
            )
        return self


class Evaluate(Section):
    """Stage 4."""

    batch_size: int = Field(ge=1, le=1_000_000, description="images classified at a time")
    mistakes: int = Field(ge=1, le=100, description="how many of the worst mistakes to picture")


class Params(Section):
    """The whole of params.yaml, one section a stage."""

    download: Download
    convert: Convert
    train: Train
    evaluate: Evaluate


def load_params(path: Path = PARAMS_FILE, overrides: Iterable[str] | None = None, section: str | None = None) -> Params:
    """The checked parameters of `path`, each KEY=VALUE of `overrides` applied first, of `section` alone if named.

    Raises PipelineError naming the file or the override, the key, what was found and what would do.
    """
    tree = read_yaml(path)
    overridden = {}
    for override in overrides or ():
        key = apply(tree, override)
        overridden[key] = override
        other = key.partition(".")[0]
        if section not in (None, other) and other in Params.model_fields:
            raise PipelineError(
                f"-S {override}: {section} reads section {section} alone; "
                f"it is python -m pipeline.{other} that takes this."
            )
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        # what is unknown first: a misspelt key is missing, too
        first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        more = f" ({len(others)} more to mend after that.)" if others else ""
        override = overridden.get(".".join(map(str, first["loc"])), "")
        raise PipelineError(f"{f'-S {override}' if override else path}: {explain(first)}{more}") from None


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in the YAML file at `path`; small, UTF-8, without anchors, aliases, tags or duplicate keys."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise PipelineError(
            f"{path} does not exist here; run from the project's folder or name it: --params."
        ) from None
    except OSError as error:
        raise PipelineError(f"{path} cannot be read: {error.strerror}.") from None
    if len(content) > LARGEST_FILE:
        raise PipelineError(f"{path} is over {LARGEST_FILE} bytes, which no parameter file should be.")
    try:
        tree = parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise PipelineError(f"{path} is not UTF-8 text: byte {error.start} is {content[error.start]:#04x}.") from None
    except YAMLError as error:
        raise PipelineError(f"{path} is not valid YAML: {summary(error)}.") from None
    if not isinstance(tree, dict):
        raise PipelineError(f"{path} holds {type(tree).__name__}, not sections; each stage needs one.")
    return tree


def parse(text: str) -> Any:
    """`text` as YAML 1.2; YAMLError where it is not, or has what a few bytes can claim gigabytes or objects with."""
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
    except ValueError as error:  # of dates that there are not, numbers of thousands of digits
        raise YAMLError(str(error).partition(";")[0]) from None


def summary(error: YAMLError) -> str:
    """One line of what ruamel says in many."""
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or error).strip().splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark else problem


def apply(tree: dict[str, Any], override: str) -> str:
    """Set one section.key=value in `tree`, the value read as YAML, and return the key; the schema judges both later."""
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
            raise PipelineError(f"-S {override}: {parent} holds a value, so that nothing can be set in it.")
    tree[key] = value
    return path


def explain(error: ErrorDetails) -> str:
    """One line for one mistake: the key, what was found, what to write instead."""
    key, found = ".".join(map(str, error["loc"])), error["input"]
    match error["type"]:
        case "missing":
            return f"{key} is missing; add it."
        case "extra_forbidden":
            *parents, name = map(str, error["loc"])
            known = list(fields(parents))
            near = difflib.get_close_matches(name, known, 1)
            return f"{key} is unknown; " + (
                f"did you mean {near[0]}?" if near else f"known are {enumerate_('and', known)}."
            )
        case "literal_error":
            return f"{key} is {found!r}; choose {error['ctx']['expected'].replace(chr(39), '')}."
        case "value_error":
            return f"{key}: {error['ctx']['error']}"
        case _:
            return f"{key} is {found!r}; it {error['msg'].removeprefix('Input ').replace('should', 'must')}."


def fields(parents: list[str]) -> Iterator[str]:
    """The keys that the schema knows under `parents`."""
    section: Any = Params
    for parent in parents:
        section = section.model_fields[parent].annotation
    yield from section.model_fields


def enumerate_(word: str, names: list[str]) -> str:
    """'a, b and c'."""
    return f" {word} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


if __name__ == "__main__":
    schema = Params.model_json_schema()
    typer.echo(json.dumps(schema, indent=2))
