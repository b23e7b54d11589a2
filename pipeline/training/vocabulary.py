"""Stand-in for the dictionaries of nn and training, until they give these words their meaning."""

from typing import Any

from pipeline.base.words import Choice, Number


def unmade(*arguments: Any) -> Any:
    """Nothing is made of a word yet."""
    raise NotImplementedError


def words(**numbers: tuple[Number, ...]) -> dict[str, Choice]:
    """A dictionary of words with these numbers."""
    return {word: Choice(unmade, those) for word, those in numbers.items()}


SIZE = (Number("size", 1, 1000, whole=True),)
SHARE = (Number("share", 0, 1, below=True),)
CONV = (
    Number("filters", 1, 10_000, whole=True),
    Number("kernel", 1, 1000, whole=True),
    Number("padding", 0, 1000, whole=True, default=0),
    Number("stride", 1, 1000, whole=True, default=1),
)

LAYERS = words(
    affine=(Number("units", 1, 100_000, whole=True, default=0),),
    conv=CONV,
    max_pool=SIZE,
    mean_pool=SIZE,
    sigmoid=(),
    tanh=(),
    relu=(),
    dropout=SHARE,
)
INITIALIZERS = words(normal=(Number("std", 0, 100, above=True),), glorot=(), he=())
LOSSES = words(cross_entropy=(Number("smoothing", 0, 1, default=0.0, below=True),), hinge=())
GRADIENTS = words(backprop=(), numerical=(Number("step", 0, 1, above=True),), complex_step=())
OPTIMIZERS = words(sgd=(), momentum=SHARE, adam=())
STEP = (Number("epochs", 1, 1_000_000, whole=True), Number("factor", 0, 1, above=True))
SCHEDULES = words(constant=(), linear=(), cosine=(), step=STEP, one_cycle=())
AUGMENTATIONS = words()
AVERAGES = words(none=(), ema=SHARE)
