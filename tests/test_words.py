"""A word and its numbers: texts that are taken, texts that are refused and how, and a pattern that agrees."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.base.words import Choice, Number, did_you_mean, pattern, read, sample, signature
from pipeline.nn.gradients import GRADIENTS
from pipeline.nn.initializers import INITIALIZERS
from pipeline.nn.layers import LAYERS
from pipeline.nn.losses import LOSSES
from pipeline.training.augment import AUGMENTATIONS
from pipeline.training.averages import AVERAGES
from pipeline.training.optimizers import OPTIMIZERS
from pipeline.training.schedules import SCHEDULES

CHOICES = {
    "conv": Choice(
        print,
        (
            Number("filters", 1, 10_000, whole=True),
            Number("kernel", 1, 1000, whole=True),
            Number("padding", 0, 1000, whole=True, default=0),
            Number("stride", 1, 1000, whole=True, default=1),
        ),
    ),
    "affine": Choice(print, (Number("units", 1, 100_000, whole=True, default=0),)),
    "momentum": Choice(print, (Number("share", 0, 1, below=True),)),
    "normal": Choice(print, (Number("std", 0, 100, above=True),)),
    "turn": Choice(print, (Number("angle", -30, 30), Number("steps", -2, 2, whole=True))),
    "relu": Choice(print),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("conv 6 5", ("conv", (6, 5, 0, 1))),
        ("conv 6 5 2", ("conv", (6, 5, 2, 1))),
        ("conv 6 5 2 3", ("conv", (6, 5, 2, 3))),
        ("affine", ("affine", (0,))),
        ("affine 100000", ("affine", (100_000,))),
        ("momentum 0", ("momentum", (0.0,))),
        ("momentum 9e-1", ("momentum", (0.9,))),
        ("normal 1e-30", ("normal", (1e-30,))),
        ("normal 100", ("normal", (100.0,))),
        ("turn -30 -2", ("turn", (-30.0, -2))),
        ("  relu ", ("relu", ())),
    ],
)
def test_a_word_and_its_numbers_are_read_and_defaults_filled_in(text, found):
    assert read(text, CHOICES) == found
    wholes = [number.whole for number in CHOICES[found[0]].numbers]
    assert [type(value) for value in read(text, CHOICES)[1]] == [int if whole else float for whole in wholes]


CONV = "conv FILTERS KERNEL [PADDING] [STRIDE]"
ALL = f"choose {CONV}, affine [UNITS], momentum SHARE, normal STD, turn ANGLE STEPS or relu."
SHARE = "share must be a number such as 0.1 or 1e-5, at least 0 and below 1."
STD = "std must be a number such as 0.1 or 1e-5, above 0 and at most 100."
KERNEL = "kernel must be a whole number, at least 1 and at most 1000."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("momemtum 0.9", f"did you mean momentum? {ALL}"),
        ("", ALL),
        ("9", ALL),
        ("conv 6", f"write {CONV}."),
        ("conv 6 5 4 3 2", f"write {CONV}."),
        ("relu 1", "write relu."),
        *[
            (f"conv 6 {kernel}", KERNEL)
            for kernel in ("0", "1001", "5.0", "05", "+5", "five", "-5", "9" * 5000, "\u0665")
        ],
        *[
            (f"momentum {share}", SHARE)
            for share in ("1", "-0.1", "-0.0", "nan", "inf", "1e999", ".5", "1_0", "0x1p-1")
        ],
        *[(f"normal {std}", STD) for std in ("0", "0.0", "100.5", "1e400", "infinity")],
        ("normal 1e-31", "a number must be 0.0, without a sign, or differ from it by at least 1e-30."),
        ("momentum 1e-400", "a number must be 0.0, without a sign, or differ from it by at least 1e-30."),
        ("turn -0.0 1", "a number must be 0.0, without a sign, or differ from it by at least 1e-30."),
        ("turn -1e-400 1", "a number must be 0.0, without a sign, or differ from it by at least 1e-30."),
        ("turn 1 -0", "a number must be 0.0, without a sign, or differ from it by at least 1e-30."),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(text, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        read(text, CHOICES)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("avg_pool", "mean_pool"),
        ("AvgPool2d", "mean_pool"),
        ("maxpool", "max_pool"),
        ("MaxPool2d", "max_pool"),
        ("LeakyReLU", "relu"),
        ("Conv2d", "conv"),
        ("Dense", "affine"),
        ("linear", "affine"),
    ],
)
def test_the_names_that_other_libraries_have_for_a_layer_lead_to_ours(written, meant):
    with pytest.raises(ValueError, match=f"^did you mean {meant}[?] choose "):
        read(f"{written} 2", LAYERS)


def test_case_and_underscores_hide_no_name():
    assert did_you_mean("LearningRate", ["learning_rate", "seed"]) == "did you mean learning_rate? "
    assert did_you_mean("Q", ["learning_rate"]) == ""


@pytest.mark.parametrize(
    "choices", [CHOICES, LAYERS, INITIALIZERS, LOSSES, GRADIENTS, OPTIMIZERS, SCHEDULES, AUGMENTATIONS, AVERAGES]
)
def test_the_examples_of_the_schema_are_taken(choices):
    for word, choice in choices.items():
        example = sample(word, choice)
        assert re.fullmatch(pattern(choices), example)
        assert read(example, choices)[0] == word


def test_what_to_write_names_the_numbers_in_their_order():
    assert signature("conv", CHOICES["conv"]) == CONV


wholes = st.integers(-3, 100_001).map(str)
decimals = st.floats().map(repr) | st.decimals(-100, 100, places=3).map(str)
scraps = st.sampled_from(["", "-0.0", "1e-400", "0e9", "00", "1.", ".5", "1E+2", "1_0", "\n", "\x1c", "²"])
texts = st.text(max_size=30) | st.tuples(
    st.sampled_from([*CHOICES, "cov"]), st.lists(wholes | decimals | scraps, max_size=5)
).map(lambda parts: " ".join([parts[0], *parts[1]]))


@given(texts)
@example("conv " + "9" * 5000 + " 1")
def test_any_text_is_read_or_refused_and_the_pattern_agrees_but_for_ranges(text):
    """A pattern cannot say 'at most 1000'; it has one space between the parts, but `read` takes any number."""
    spaced = " ".join(text.split())
    said = ""
    try:
        read(text, CHOICES)
    except ValueError as error:
        said = str(error)
    if " must be " not in said:
        assert bool(re.fullmatch(pattern(CHOICES), spaced)) is not bool(said)
