"""Exact arithmetic: grids, products and sums against whole-number arithmetic, which knows no rounding."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.fast.choices import fast_steps
from pipeline.nn import build
from pipeline.nn.activations import ACTIVATIONS
from pipeline.nn.arithmetic import ARITHMETICS, inputs
from pipeline.nn.exact import BITS, LARGEST, MOST_BITS, SMALLEST, TERMS, grid, matmul, sum
from pipeline.nn.gradients import backprop
from pipeline.nn.inference import logits
from pipeline.nn.initializers import he, initialize
from pipeline.nn.layers import affine_grads
from pipeline.nn.losses import LOSSES, softmax
from pipeline.nn.random import Stream
from pipeline.nn.weights import views
from pipeline.training.optimizers import optimizer

EXACT = ARITHMETICS["exact"]
MOST = 1 << BITS
ordinary = st.floats(-1e100, 1e100)
matrices = arrays(np.float64, array_shapes(min_dims=1, max_dims=3, max_side=5), elements=ordinary)


def step_of(bound):
    return 2.0 ** (math.ceil(math.log2(bound)) - BITS)


def whole(shape, seed=0, most=MOST):
    """Random whole numbers from -most to most, both included."""
    return Stream(seed).integers(2 * most + 1, shape).astype(np.float64) - most


def exactly(a, b):
    """The product of two matrices of whole numbers, as Python's unlimited ones."""
    return a.astype(np.int64).astype(object) @ b.astype(np.int64).astype(object)


@given(matrices)
def test_grid_is_the_nearest_multiple_of_its_step(a):
    step = step_of(max(np.abs(a).max(), SMALLEST))
    multiples = grid(a) / step
    assert np.array_equal(multiples, np.rint(multiples))
    assert np.abs(multiples).max() <= MOST
    assert (np.abs(grid(a) - a) <= step / 2).all()


@given(matrices)
def test_grid_twice_is_grid_once(a):
    assert np.array_equal(grid(grid(a)), grid(a))


@given(arrays(np.float64, 5, elements=st.floats(-1, 1)))
def test_grid_of_a_bound_does_not_depend_on_the_other_numbers(a):
    for together, alone in ((grid(a, 1.0), grid(a[:1], 1.0)), (grid(a, at_least=1.0), grid(a[:1], at_least=1.0))):
        assert together[0] == alone[0]
    assert np.array_equal(grid(a, 1.0), np.rint(a * MOST) / MOST)


def test_numbers_beyond_a_least_bound_move_the_grid():
    assert grid(np.array([5.0, 2.0**-20]), at_least=1.0).tolist() == [5.0, 0.0]
    assert grid(np.array([1.0, 2.0**-20]), at_least=1.0).tolist() == [1.0, 2.0**-20]


def test_grid_writes_where_it_is_told_to_and_nowhere_else():
    a = np.array([1.0, 1 / 3])
    kept, out = a.copy(), np.empty(2)
    assert grid(a, out=out) is out
    assert np.array_equal(a, kept)
    assert grid(a, out=a) is a
    assert np.array_equal(a, out)
    assert a[1] != kept[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, LARGEST])
def test_what_no_grid_can_hold_makes_all_of_it_not_a_number(bad):
    assert np.isnan(grid(np.array([1.0, bad]))).all()
    assert not np.isfinite(grid(np.array([1.0, bad]), 1.0)[1]) or bad == LARGEST


@pytest.mark.parametrize("small", [0.0, -0.0, 5e-324, SMALLEST / 2**30])
def test_what_is_too_small_for_any_grid_is_zero(small):
    assert grid(np.array([small])).tobytes() == bytes(8)


def test_pixels_fit_their_grid_in_float32():
    pixels = (np.arange(256) / np.float32(255)).astype(np.float32)
    on_grid = inputs(EXACT, pixels)
    assert on_grid.dtype == np.float32
    assert np.array_equal(on_grid, inputs(EXACT, pixels.astype(np.float64)))
    raw = np.arange(256, dtype=np.uint8)
    assert inputs(EXACT, raw) is raw
    assert np.array_equal(grid(raw.astype(np.float64)), raw)


@given(st.integers(1, 5), st.integers(1, 50), st.integers(1, 5), st.integers(-60, 60), st.integers(0, 9))
def test_products_are_those_of_whole_numbers(n, k, m, power, seed):
    a, b = whole((n, k), seed), whole((k, m), seed + 1)
    product = matmul(a * 2.0**power, b * 2.0**-9)
    assert (product * 2.0 ** (9 - power)).astype(np.int64).tolist() == exactly(a, b).tolist()


def test_the_largest_product_is_still_exact():
    full = np.full((1, TERMS), float(MOST))
    assert matmul(full, full.T).item() == 2.0**53
    assert matmul(full, -full.T).item() == -(2.0**53)


@pytest.mark.parametrize("k", [TERMS, TERMS + 1, 2 * TERMS, 2 * TERMS + 905])
def test_longer_products_are_the_sums_of_exact_pieces(k):
    a, b = whole((3, k), 1), whole((k, 2), 2)
    expected = np.zeros((3, 2))
    for start in range(0, k, TERMS):
        expected += exactly(a[:, start : start + TERMS], b[start : start + TERMS]).astype(np.float64)
    out = np.empty((3, 2))
    assert matmul(a, b, out=out) is out
    assert np.array_equal(out, expected)
    assert np.array_equal(matmul(a, b), expected)


def test_stacks_of_matrices_multiply_each_by_each():
    a, b = whole((4, 3, 2100)), whole((4, 2100, 2))
    assert np.array_equal(matmul(a, b), [matmul(left, right) for left, right in zip(a, b, strict=True)])


@pytest.mark.parametrize(("dtype", "differs"), [("exact", False), ("float64", True), ("float32", True)])
def test_the_order_of_terms_matters_to_floating_point_only(dtype, differs):
    ops = ARITHMETICS[dtype]
    stream = Stream(3)
    a, b = (stream.normal(20 * 784).astype(ops.dtype).reshape(shape) for shape in ((20, 784), (784, 20)))
    a, b = ops.grid(a), ops.grid(b)
    order = stream.permutation(784)
    assert (not np.array_equal(ops.matmul(a, b), ops.matmul(a[:, order], b[order]))) == differs


@pytest.mark.parametrize(("dtype", "differs"), [("exact", False), ("float64", True), ("float32", True)])
def test_the_order_of_numbers_matters_to_floating_point_sums_only(dtype, differs):
    ops = ARITHMETICS[dtype]
    a = Stream(4).normal(5000).astype(ops.dtype).reshape(1000, 5)
    order = Stream(5).permutation(1000)
    assert (not np.array_equal(ops.sum(a, axis=0), ops.sum(a[order], axis=0))) == differs
    assert (ops.sum(a) != ops.sum(a[order])) == differs


@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.floats(-1e9, 1e9)))
def test_sums_are_right_to_the_digits_they_keep(a):
    bits = min(53 - math.ceil(math.log2(a.size)), MOST_BITS)
    tolerance = a.size * 2.0**-bits * max(np.abs(a).max(), SMALLEST)
    assert abs(sum(a) - math.fsum(a.ravel())) <= tolerance
    assert sum(a, axis=1, keepdims=True).shape == (len(a), 1)
    out = np.empty(a.shape[1])
    assert sum(a, axis=0, out=out) is out
    assert np.allclose(out, a.sum(axis=0), atol=tolerance)


def test_a_gradient_may_be_added_up_in_shards():
    x, dy = grid(Stream(6).uniform(100 * 50).reshape(100, 50)), grid(Stream(7).normal(1000).reshape(100, 10))
    (dW, db), parts = (np.empty((50, 10)), np.empty(10)), []
    affine_grads(EXACT, dy, x, dW, db)
    for shard in (slice(37), slice(37, 90), slice(90, None)):
        parts.append((np.empty((50, 10)), np.empty(10)))
        affine_grads(EXACT, dy[shard], x[shard], *parts[-1])
    for whole_batch, shards in zip((dW, db), zip(*parts, strict=True), strict=True):
        assert np.array_equal(whole_batch, np.sum(shards, axis=0))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_prediction_does_not_depend_on_the_images_beside_it(activation):
    model = build("two_layer", EXACT, (784,), 10, hidden=50, activation=activation)
    weights = views(initialize(model.shapes, he, Stream(8)), model.shapes)
    images = Stream(9).uniform(50 * 784).astype(np.float32).reshape(50, 784)
    images[::2] /= 3  # darker ones, which a grid of their own would suit
    answers = [softmax(EXACT, np.concatenate(list(logits(EXACT, model, weights, images, n)))) for n in (1, 7, 50)]
    assert len({answer.tobytes() for answer in answers}) == 1


def bits_needed(a):
    """Bits of the largest number of `a` in units of the last bit that any of them uses."""
    fractions, exponents = np.frexp(a[a != 0])
    whole = np.abs(fractions * 2.0**53).astype(np.int64)
    last = exponents - 53 + np.log2(whole & -whole).astype(int)
    return 0 if not len(last) else math.ceil(math.log2(np.abs(a).max())) - last.min()


def gradient_of(ops, model_name, knobs, loss, images):
    """Gradient of a fresh net's loss, of fresh images."""
    model = build(model_name, ops, (1, 12, 12), 5, **knobs)
    weights = initialize(model.shapes, he, Stream(8)).astype(ops.dtype)
    x = inputs(ops, Stream(9).uniform(images * 144).astype(np.float32).reshape(images, 1, 12, 12)).astype(ops.dtype)
    labels = Stream(10).integers(5, (images,))
    grads = np.empty_like(weights)
    return backprop(ops, model, LOSSES[loss], weights, grads)(x, labels), views(grads, model.shapes)


NETS = [("linear", {}), ("cnn", {}), ("cnn", {"filters": 1}), *(("two_layer", {"activation": a}) for a in ACTIVATIONS)]


def watched(needed):
    """Exact arithmetic that notes how many bits each factor of a product needs."""

    def matmul_seen(a, b, out=None):
        needed.extend((bits_needed(a), bits_needed(b)))
        return matmul(a, b, out=out)

    return EXACT._replace(matmul=matmul_seen)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("model", "knobs"), NETS)
def test_every_factor_of_every_product_is_on_its_grid(model, knobs, loss):
    needed = []
    gradient_of(watched(needed), model, knobs, loss, 20)
    assert len(needed) >= 4
    assert max(needed) <= BITS


@pytest.mark.parametrize(
    "pixels", [Stream(9).integers(256, (90, 1, 12, 12)) / 255, Stream(9).uniform(12960).reshape(90, 1, 12, 12)]
)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("name", "knobs"), NETS[1:])
def test_so_it_is_in_the_fast_ways(name, knobs, loss, pixels):
    needed = []
    ops = watched(needed)
    model = build(name, ops, (1, 12, 12), 5, **knobs)
    net = {"model": name, "knobs": {"pool": 2} | knobs, "loss": loss, "arithmetic": "exact"}
    weights = initialize(model.shapes, he, Stream(8))
    images, labels = inputs(ops, pixels.astype(np.float32)), Stream(10).integers(5, (90,))
    steps = fast_steps(net, ops, model, optimizer("sgd", 0.1, 0.9), 30, weights, {}, images, labels)
    steps.run(np.arange(90).reshape(3, 30))
    assert len(needed) >= 3 * 8
    assert max(needed) <= BITS


@pytest.mark.parametrize("images", [1, 20])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("model", "knobs"), NETS)
def test_gradients_are_those_of_float64_to_four_digits(model, knobs, loss, images):
    value, exact = gradient_of(EXACT, model, knobs, loss, images)
    reference, float64 = gradient_of(ARITHMETICS["float64"], model, knobs, loss, images)
    assert value == pytest.approx(reference, rel=1e-5)
    for name, array in exact.items():
        assert array == pytest.approx(float64[name], abs=1e-4 * np.abs(float64[name]).max()), name
