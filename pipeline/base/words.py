"""A word and its numbers, as in `conv 6 5` or `momentum 0.9`: how params.yaml names a choice.

A dictionary gives the words their meaning: {"momentum": Choice(make, (Number("share", 0, 1, below=True),)), ...}.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

SMALLEST = 1e-30  # a smaller number, times a small gradient, may be 0 on one processor and not on another


class Number(NamedTuple):
    """One number after a word. It must be given if it has no default; only the last numbers have defaults."""

    name: str
    low: float
    high: float
    whole: bool = False
    default: float | None = None
    above: bool = False  # low itself is excluded
    below: bool = False  # high itself is excluded


class Choice(NamedTuple):
    """The meaning of a word: `make` gets the arguments that `made` was given, and then the numbers."""

    make: Callable[..., Any]
    numbers: tuple[Number, ...] = ()
    elsewhere: tuple[str, ...] = ()  # what other libraries call it


def read(text: str, choices: Mapping[str, Choice]) -> tuple[str, tuple[float, ...]]:
    """The word and all its numbers, defaults filled in: 'conv 6 5' gives ('conv', (6, 5, 0, 1)).

    Raises ValueError, which names the right forms; the caller adds where `text` stands.
    """
    word, *given = text.split() or [""]
    if word not in choices:
        elsewhere = {other: name for name, choice in choices.items() for other in choice.elsewhere}
        raise ValueError(did_you_mean(word, choices, elsewhere) + f"choose {alternatives(choices)}.")
    numbers = choices[word].numbers
    defaults = [number.default for number in numbers[len(given) :] if number.default is not None]
    if len(given) + len(defaults) != len(numbers):
        raise ValueError(f"write {signature(word, choices[word])}.")
    return word, (*map(read_number, given, numbers), *defaults)


def made(choices: Mapping[str, Choice], text: str, *given: Any) -> Any:
    """The thing that `text` stands for, made from `given` and the numbers. Raises ValueError as `read` does."""
    word, numbers = read(text, choices)
    return choices[word].make(*given, *numbers)


def read_number(text: str, number: Number) -> float:
    """The value of `text`. Raises ValueError with the range of `number` if it is outside or not spelled as a number."""
    value = float(text) if re.fullmatch(form(number), text) else math.nan
    inside = number.low <= value <= number.high
    if not inside or (number.above and value == number.low) or (number.below and value == number.high):
        kind = "a whole number," if number.whole else "a number such as 0.1 or 1e-5,"
        low, high = "above" if number.above else "at least", "below" if number.below else "at most"
        raise ValueError(f"{number.name} must be {kind} {low} {number.low:.10g} and {high} {number.high:.10g}.")
    if value == 0 and re.match("[-0.]*[1-9]", text):
        value = SMALLEST / 2  # float() rounded it to 0
    return int(safe(value)) if number.whole else safe(value)


def safe(value: float) -> float:
    """`value` itself. Raises ValueError if it is -0.0 or so near to 0 that its bits depend on the processor."""
    if math.copysign(1, value) < 0 == value or 0 < abs(value) < SMALLEST:
        raise ValueError(f"a number must be 0.0, without a sign, or differ from it by at least {SMALLEST}.")
    return value


def pattern(choices: Mapping[str, Choice]) -> str:
    """A regular expression for all texts that `read` takes, without the ranges; for the JSON schema."""
    return f"^({'|'.join(word + forms(choice.numbers) for word, choice in choices.items())})$"


def forms(numbers: Sequence[Number]) -> str:
    """The regular expression of all numbers after a word."""
    if not numbers:
        return ""
    all_of_them = f" {form(numbers[0])}{forms(numbers[1:])}"
    return all_of_them if numbers[0].default is None else f"({all_of_them})?"


def form(number: Number) -> str:
    """The regular expression of one number."""
    sign = "-?" if number.low < 0 else ""
    whole = "[1-9][0-9]*" if number.low >= 1 else "(0|[1-9][0-9]*)"
    return sign + (whole if number.whole else r"[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def sample(word: str, choice: Choice) -> str:
    """An example that `read` takes, such as 'conv 2 2', without the numbers that have defaults."""
    given = [number for number in choice.numbers if number.default is None]
    return " ".join([word, *("2" if number.whole else f"{max(number.low, 0.1):g}" for number in given)])


def signature(word: str, choice: Choice) -> str:
    """What to write: 'conv FILTERS KERNEL [PADDING] [STRIDE]'."""
    names = [number.name.upper() if number.default is None else f"[{number.name.upper()}]" for number in choice.numbers]
    return " ".join([word, *names])


def alternatives(choices: Mapping[str, Choice]) -> str:
    """The signatures of all words: 'normal STD, glorot or he'."""
    return listed("or", [signature(word, choice) for word, choice in choices.items()])


def ranged(choices: Mapping[str, Choice]) -> str:
    """The same with the ranges: 'normal STD (std above 0 to 100), glorot or he'."""
    told = []
    for word, choice in choices.items():
        ranges = ", ".join(f"{number.name} {span(number)}" for number in choice.numbers)
        told.append(signature(word, choice) + (f" ({ranges})" if ranges else ""))
    return listed("or", told)


def span(number: Number) -> str:
    """'1 to 100000', '0 to below 1'."""
    low, high = "above " if number.above else "", "below " if number.below else ""
    return f"{low}{number.low:.10g} to {high}{number.high:.10g}"


def did_you_mean(word: str, known: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> str:
    """A question with the nearest name, or nothing; case and "_" do not count. elsewhere: other names -> names."""
    names = {plain(name): name for name in known} | dict(elsewhere or {})
    near = difflib.get_close_matches(plain(word[:100]), names, 1)
    return f"did you mean {names[near[0]]}? " if near else ""


def plain(word: str) -> str:
    """`word` in lower case and without "_"."""
    return word.lower().replace("_", "")


def listed(last: str, names: Sequence[str]) -> str:
    """'a, b and c'."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
