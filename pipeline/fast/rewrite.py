"""Replace each run of layers that has a faster form by that form; the weights stay as they are."""

from pipeline.fast.conv import conv_block
from pipeline.nn.layers import Layer
from pipeline.nn.net import Net

AFTER_CONV = (("relu", "max_pool"), ("max_pool", "relu"), ("max_pool",), ("relu",), ())


def fast(net: Net) -> Net:
    """The same net, but faster: equal bits in exact arithmetic, equal up to rounding in any other."""
    layers: list[Layer] = []
    i = 0
    while i < len(net.layers):
        layer, length = run(net, i)
        layers.append(layer)
        i += length
    return net._replace(layers=tuple(layers))


def run(net: Net, i: int) -> tuple[Layer, int]:
    """The layer that replaces layer i and perhaps some after it, and how many layers it replaces."""
    word, numbers = net.words[i]
    if word != "conv" or numbers[3] != 1:
        return net.layers[i], 1
    words = [name for name, _ in net.words[i + 1 : i + 3]]
    behind = next(names for names in AFTER_CONV if tuple(words[: len(names)]) == names)
    pool = next((int(size[0]) for name, size in net.words[i + 1 : i + 1 + len(behind)] if name == "max_pool"), 1)
    block = conv_block(net.places[i], net.layers[i], int(numbers[2]), pool, "relu" in behind)
    return block, 1 + len(behind)
