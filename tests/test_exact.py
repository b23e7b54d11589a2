"""Exact arithmetic: grids, products and sums against fractions and whole numbers, which are never rounded."""

import math
from fractions import Fraction

import numpy as np
import pytest
from by_loops import by_loops
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.base.words import made, read
from pipeline.fast.conv import conv_block
from pipeline.nn import exact
from pipeline.nn.arithmetic import ARITHMETICS
from pipeline.nn.exact import LARGEST, MOST_BITS, SMALLEST, bits_for, grid, operand, rounded
from pipeline.nn.layers import LAYERS, Place

EXACT = ARITHMETICS["exact"]
matrices = arrays(
    np.float64,
    array_shapes(max_dims=2, max_side=6),
    elements=st.floats(-1e140, 1e140) | st.floats(-1, 1) | st.sampled_from([1.0, -2.0, 1 / 3, 2.0**-480, 1e-300]),
)


def exactly(a, bits, bound):
    """Numbers `a` at whole multiples of 2**-bits of the first power of two from `bound` on, ties to even."""
    power = Fraction(2) ** (math.frexp(bound)[1] - (math.frexp(bound)[0] == 0.5))
    step = power / 2**bits
    return [round(Fraction(number) / step) * step for number in a.ravel().tolist()], power


@given(matrices, st.integers(1, MOST_BITS))
@example(np.array([2.0, 2.0 - 2**-52]), 3)
@example(np.array([2.0 + 2**-51, 1.5]), MOST_BITS)
def test_a_grid_is_whole_multiples_of_its_step_and_its_error_what_the_docstring_says(a, bits):
    found = grid(a, bits)
    expected, power = exactly(a, bits, max(np.abs(a).max(), SMALLEST))
    assert list(map(Fraction, found.ravel().tolist())) == expected
    error = max(abs(Fraction(x) - y) for x, y in zip(a.ravel().tolist(), expected, strict=True))
    assert error <= power / 2 ** (bits + 1)
    assert np.array_equal(grid(found, bits), found)


def test_half_a_step_is_the_error_at_worst():
    assert grid(np.array([4.0, 0.5, 1.5]), 2).tolist() == [4, 0, 2]


def test_a_grid_is_written_where_it_is_told_to_and_nowhere_else():
    a = np.array([1.0, 1 / 3])
    kept, out = a.copy(), np.empty(2)
    assert grid(a, 9, out) is out
    assert np.array_equal(a, kept)
    assert grid(a, 9, a) is a
    assert np.array_equal(a, out)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, LARGEST, -1e300])
def test_what_no_grid_can_hold_makes_all_of_it_not_a_number_and_in_answers_its_own_image(bad):
    images = np.array([[1.0, bad], [0.3, 5.0]])
    assert np.isnan(grid(images, 20)).all()
    assert np.isnan(operand(images, 20)).all()
    answers = operand(images, 20, each=True)
    assert np.isnan(answers[0]).all()
    assert answers[1].tobytes() == operand(images[1:], 20).tobytes()


@pytest.mark.parametrize("small", [0.0, -0.0, 5e-324, 1e-300, SMALLEST / 2**30])
def test_what_is_too_small_for_any_grid_is_zero_without_a_sign(small):
    assert grid(np.array([small]), 20).tobytes() == bytes(8)


@given(matrices, st.integers(1, 40))
def test_an_operand_is_on_the_grid_of_its_bound_and_a_bias_fits_on_it(a, bits):
    a = a.reshape(len(a), -1)
    assert operand(a, bits).tobytes() == rounded(a, bits, max(1.0, float(np.abs(a).max()))).tobytes()
    alone = [operand(a[i : i + 1], bits) for i in range(len(a))]
    assert operand(a, bits, each=True).tobytes() == np.concatenate(alone).tobytes()
    small = np.clip(a, -1, 1)
    for each in (False, True):  # a promise: nothing depends on what is there
        assert operand(small, bits, 4.0, each).tobytes() == rounded(small, bits, 4.0).tobytes()


def test_bytes_are_operands_as_they_are():
    pixels = np.arange(256, dtype=np.uint8)
    assert operand(pixels, 3, 1.0).tobytes() == pixels.astype(float).tobytes()


# the bits of a layer


@given(st.integers(1, 10**7), st.integers(1, 10**8), st.none() | st.integers(1, 10**7), st.sampled_from([None, 8]))
def test_every_sum_of_a_layer_fits_into_a_double_and_no_operand_starves(inputs, images, outputs, given_bits):
    bits = bits_for(inputs, images, outputs, None if outputs else given_bits)
    assert (inputs + 1) * 2 ** (bits.x + bits.w + 1) <= 2**53
    assert images * 2 ** (bits.x + bits.dy) <= 2**53
    assert outputs is None or outputs * 2 ** (bits.dy + bits.w) <= 2**53
    assert max(bits) <= MOST_BITS
    if given_bits is None or outputs:
        assert max(2 * inputs + 2, images, outputs or 1) * 2 ** (2 * min(bits) + 2) > 2**53


CASES = [  # layer, shape, images, whether it is first and its inputs bytes: sums of 2**m terms, and of others
    ("affine 4", (7, 1, 1), 4096, False, False),
    ("affine 2", (15, 1, 1), 1024, True, True),
    ("affine 1", (1, 1, 1), 1, False, False),
    ("affine 300", (3, 1, 1), 2, False, False),
    ("conv 1 1", (3, 2, 2), 1250, True, False),
    ("conv 2 15", (1, 16, 16), 2, True, True),
    ("conv 16 2 1", (2, 4, 4), 5, False, False),
    ("conv 3 3 2 2", (1, 6, 5), 4, False, False),
]


def at_the_bound(rng, bits, shape):
    """Whole numbers near 2**bits, most of them odd, so that no sum of products has zeros at its end."""
    numbers = 2**bits - rng.choice([1, 1, 3, 5, 7], shape)
    numbers.flat[0] = 2**bits
    return numbers.astype(object)


def products(text, shape, images, first, is_bytes, fast=False):
    """Each result of a layer whose operands are as large as can be, in units, and the same result in whole numbers."""
    word, numbers = read(text, LAYERS)
    at, rng = Place(shape, images, 255.0 if is_bytes else 1.0, is_bytes, first), np.random.default_rng(1)
    layer = LAYERS[word].make(at, *numbers)
    bits = layer.bits
    W, b = (at_the_bound(rng, bits.w, size) for size in layer.weights.values())
    dy = at_the_bound(rng, bits.dy, (images, *layer.shape))
    x = 255 - rng.choice([0, 1, 2], (images, *shape)).astype(object) if is_bytes else None
    x, one = (x, 1) if is_bytes else (at_the_bound(rng, bits.x, (images, *shape)), 2**bits.x)
    w = {"W": W.astype(float) / 2.0**bits.w, "b": b.astype(float) / 2.0**bits.w}
    g = {name: np.empty_like(array) for name, array in w.items()}
    layer = conv_block(at, layer, numbers[2], 1, False) if fast else layer
    y, cache = layer.forward(EXACT, w, x.astype(np.uint8) if is_bytes else x.astype(float) / one)
    dx = layer.backward(EXACT, w, g, dy.astype(float) / 2.0**bits.dy, cache)
    if word == "affine":
        W, dy, numbers = W.T[:, :, None, None], dy[:, :, None, None], (0, 0)
    expected = by_loops(x, W, b * one, dy, *numbers[-2:] if word == "conv" else (0, 1))
    dW = g["W"].T if word == "affine" else g["W"]
    units = one * 2.0**bits.w, one * 2.0**bits.dy, 2.0**bits.dy, 2.0 ** (bits.w + bits.dy)
    for found, wanted, unit in zip((y, dW, g["b"], dx), expected, units, strict=True):
        if found is not None:
            yield (found * unit).astype(np.int64).ravel().tolist(), wanted.ravel().tolist()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_products_of_operands_at_their_bounds_are_those_of_whole_numbers(case, fast):
    if fast and (case[0].startswith("affine") or case[0].endswith(" 2 2")):
        return
    for found, wanted in products(*case, fast):
        assert found == wanted


@pytest.mark.parametrize("case", CASES[:2], ids=str)
def test_with_more_bits_they_would_not_be(case, monkeypatch):
    monkeypatch.setattr(exact, "MANTISSA", exact.MANTISSA + 2)  # one is to spare in x W
    assert [found == wanted for found, wanted in products(*case)][:2] == [False, False]


def test_sums_of_bytes_stay_apart_when_they_are_divided_by_white():
    sums = np.concatenate([2.0**power - np.arange(5000) for power in (50, 51, 52)])
    assert len(np.unique(sums)) == len(np.unique(sums / 255))


# orders, shards, sums


@pytest.mark.parametrize(("name", "differs"), [("exact", False), ("float64", True), ("float32", True)])
def test_the_order_of_terms_matters_to_floating_point_alone(name, differs):
    ops, rng = ARITHMETICS[name], np.random.default_rng(3)
    layer = LAYERS["affine"].make(Place((784,)), 20)
    x, W = rng.normal(size=(20, 784)).astype(ops.dtype), rng.normal(size=(784, 20)).astype(ops.dtype)
    W, b, order = ops.grid(W, layer.bits.w), np.zeros(20, ops.dtype), rng.permutation(784)
    y, shuffled = (
        layer.forward(ops, {"W": W[rows], "b": b}, x[:, rows])[0].tobytes() for rows in (np.arange(784), order)
    )
    assert (y != shuffled) == differs
    assert (ops.sum(x) != ops.sum(x[:, order])) == differs
    assert (ops.sum(x, axis=1).tobytes() != ops.sum(x[:, order], axis=1).tobytes()) == differs


@pytest.mark.parametrize("text", ["affine 5", "conv 3 3 1"])
def test_a_gradient_may_be_added_up_in_shards(text):
    layer, rng = made(LAYERS, text, Place((2, 6, 6), 90, 1.0)), np.random.default_rng(6)
    w = {name: grid(rng.normal(size=shape), layer.bits.w) for name, shape in layer.weights.items()}
    x, dy = rng.random((90, 2, 6, 6)), grid(rng.normal(size=(90, *layer.shape)), layer.bits.dy)
    sums = []
    for cuts in ([0, 90], [0, 37, 38, 90]):
        g = [{name: np.empty_like(array) for name, array in w.items()} for _ in cuts[1:]]
        for part, start, stop in zip(g, cuts, cuts[1:], strict=False):
            layer.backward(EXACT, w, part, dy[start:stop].copy(), layer.forward(EXACT, w, x[start:stop])[1])
        sums.append([sum(part[name] for part in g).tobytes() for name in w])
    assert sums[0] == sums[1]


@given(matrices)
@settings(max_examples=60)
@example(np.full(256, 1 - 2.0**-46))
@example(np.full((3, 5), -1.0))
def test_a_sum_is_that_of_the_rounded_numbers_exactly(a):
    def wanted(numbers, terms, bound):
        return sum(exactly(numbers, min(53 - (terms - 1).bit_length(), MOST_BITS), bound)[0])

    bound = max(float(np.abs(a).max()), SMALLEST)
    assert Fraction(float(exact.sum(a))) == wanted(a, a.size, bound)
    for row, found in zip(a.reshape(-1, a.shape[-1]), exact.sum(a, axis=-1, keepdims=True).ravel(), strict=True):
        assert Fraction(float(found)) == wanted(row, len(row), bound)
    small = np.clip(a, -1, 1)
    assert Fraction(float(exact.sum(small, bound=1.0))) == wanted(small, a.size, 1.0)
