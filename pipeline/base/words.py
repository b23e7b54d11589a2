"""A word and its numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Number(NamedTuple):
    """One number after a word."""

    name: str
    low: float
    high: float
    whole: bool = False
    default: float | None = None
    above: bool = False
    below: bool = False


class Choice(NamedTuple):
    """What a word stands for: `make` is called with what its user has, then the numbers."""

    make: Callable[..., Any]
    numbers: tuple[Number, ...] = ()


def read(text: str, choices: Any) -> tuple[str, tuple[Any, ...]]:
    """Stand-in."""
    word, *rest = text.split()
    if word not in choices:
        raise ValueError(f"{word!r} is unknown")
    numbers = [int(t) if n.whole else float(t) for t, n in zip(rest, choices[word].numbers, strict=False)]
    return word, tuple(numbers + [n.default for n in choices[word].numbers[len(rest) :]])
