"""Section train of params.yaml: the net, how it is trained, and the words that each key takes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, ConfigDict, Field, GetCoreSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_before_validator_function

from pipeline.base.words import Choice, pattern, ranged, read, safe, sample
from pipeline.nn.gradients import GRADIENTS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.layers import LAYERS
from pipeline.nn.losses import LOSSES
from pipeline.params import Section, rule
from pipeline.training.augment import AUGMENTATIONS
from pipeline.training.averages import AVERAGES
from pipeline.training.optimizers import OPTIMIZERS
from pipeline.training.schedules import SCHEDULES

WITH_WEIGHTS = ("affine", "conv")
ONE_BARE = (
    "end the list with affine without a number (it gets one output per class), and give every earlier affine a number."
)
NETS = "layers, as in [affine 50, sigmoid, affine] or [conv 3 3, relu, max_pool 2, affine]"


class Words(NamedTuple):
    """What pydantic must know about a text that is one of `choices`."""

    choices: Mapping[str, Choice]
    about: str

    def check(self, value: Any) -> str:
        """`value` with one space between its parts. Raises ValueError if it is not a word and its numbers."""
        text = " ".join(value.split()) if isinstance(value, str) else ""
        read(text, self.choices)
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        about = f"{self.about}: {ranged(self.choices)}"
        examples = [sample(word, choice) for word, choice in self.choices.items()]
        return {"type": "string", "pattern": pattern(self.choices), "examples": examples, "description": about}


class Train(Section):
    """Stage 3: the net and how it is trained."""

    model_config = ConfigDict(
        json_schema_extra=rule("gradient", "backprop", "arithmetic", "float64", "other gradients need float64.")
    )

    gone: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("model", "hidden", "activation", "filters", "kernel", "pool"), NETS),
        "std": "initializer, as in normal 0.01",
        "step": "gradient, as in numerical 1e-5",
        "momentum": "optimizer, as in momentum 0.9",
        "unit": "length, as in 10000 iterations",
    }

    layers: list[Annotated[str, Words(LAYERS, "a layer")]] = Field(
        min_length=1,
        max_length=100,
        description="the net, from input to output; the last affine is bare: one output per class",
        json_schema_extra={"contains": {"const": "affine"}, "maxContains": 1, "errorMessage": ONE_BARE},
    )
    initializer: Annotated[str, Words(INITIALIZERS, "how the weights start; biases start at 0")]
    loss: Annotated[str, Words(LOSSES, "what training makes small")]
    gradient: Annotated[str, Words(GRADIENTS, "how the loss is differentiated")]
    arithmetic: Literal["exact", "float32", "float64"] = Field(description="what the net computes with")
    optimizer: Annotated[str, Words(OPTIMIZERS, "how a gradient becomes a step")]
    learning_rate: Annotated[float, AfterValidator(safe)] = Field(gt=0, le=1000, description="size of a step")
    schedule: Annotated[str, Words(SCHEDULES, "how the learning rate changes")]
    weight_decay: Annotated[float, AfterValidator(safe)] = Field(ge=0, lt=1, description="pull of weights towards 0")
    augment: list[Annotated[str, Words(AUGMENTATIONS, "a random distortion")]] = Field(
        max_length=10,
        description="random distortions of the training images, each at most once",
        json_schema_extra={
            "allOf": [
                {"contains": {"pattern": f"^{word} "}, "minContains": 0, "maxContains": 1} for word in AUGMENTATIONS
            ]
        },
    )
    average: Annotated[str, Words(AVERAGES, "which weights are kept: the last ones or an average")]
    negatives: int = Field(
        ge=0,
        le=1_000_000,
        description="invented images of no class, which teach a second net what to refuse; 0: there is no such net",
    )
    batch_size: int = Field(ge=1, le=1_000_000, description="images per step")
    sampling: Literal["replacement", "shuffle", "blocks"] = Field(
        description="batches drawn at random, epochs shuffled, or epochs shuffled in blocks, for slow disks"
    )
    length: str = Field(
        pattern="^([1-9][0-9]{0,8}|1000000000) (iterations|epochs)$",
        description="a number of iterations or epochs up to 1000000000, as in 10000 iterations or 10 epochs",
    )
    seed: int = Field(ge=0, lt=2**63, description="decides the first weights and the batches")

    @field_validator("layers")
    @classmethod
    def one_output_a_class(cls, layers: list[str]) -> list[str]:
        """Only the last layer with weights is a bare affine."""
        bare = [text == "affine" for text in layers if text.partition(" ")[0] in WITH_WEIGHTS]
        if bare != [False] * (len(bare) - 1) + [True]:
            raise ValueError(ONE_BARE)
        return layers

    @field_validator("augment")
    @classmethod
    def each_once(cls, augment: list[str]) -> list[str]:
        """No word comes twice."""
        words = [text.partition(" ")[0] for text in augment]
        if twice := {word for word in words if words.count(word) > 1}:
            raise ValueError(f"{min(twice)} comes more than once; write each word at most once.")
        return augment

    @model_validator(mode="after")
    def differences_need_digits(self) -> "Train":
        """In less precise arithmetic the difference of two losses has hardly a correct digit."""
        if self.gradient != "backprop" and self.arithmetic != "float64":
            raise ValueError(f"gradient {self.gradient} needs arithmetic float64; set train.arithmetic=float64.")
        return self
