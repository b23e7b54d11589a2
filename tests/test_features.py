"""Features are what their formulas say, have the range they promise, and do not depend on the machine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.datasets.features import BLOCK, COSINE_BITS, FEATURES, edges, feature_shape, features, fourier, waves

pictures = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(4, 12), st.integers(4, 12)))


@given(pictures)
def test_every_feature_is_finite_float32_of_the_promised_shape(pixels):
    for name in FEATURES:
        found = features(name, pixels)
        assert found.dtype == np.float32
        assert list(found.shape) == [len(pixels), *feature_shape(name, pixels.shape[1:])]
        assert np.isfinite(found).all()
        assert 0 <= found.min() <= found.max() <= 1


def test_edges_are_the_magnitude_of_the_sobel_gradient():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 6, 7)).astype(np.uint8)
    p = np.pad(pixels[0] / 255, 1)
    across, down = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]), np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(p, (3, 3))
    expected = np.hypot((windows * across).sum((2, 3)), (windows * down).sum((2, 3))) / 4.5
    np.testing.assert_allclose(edges(pixels)[0], expected, rtol=1e-5, atol=1e-6)


def test_a_straight_border_between_black_and_white_is_an_edge_and_its_surroundings_are_none():
    pixels = np.zeros((1, 9, 9), np.uint8)
    pixels[:, :, 5:] = 255
    found = edges(pixels)[0, 4]
    assert found[4] == found[5] == np.float32(4 / 4.5)
    assert found[1:4].max() == 0


def test_fourier_is_the_log_magnitude_of_the_discrete_fourier_transform():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
    spectrum = np.abs(np.fft.fft2(pixels))
    columns = np.arange(-7, 8)
    expected = np.log1p(spectrum[:, :8][:, :, columns]) / np.log1p(255 * 28 * 28)
    np.testing.assert_allclose(fourier(pixels), expected, atol=1e-4)


def test_fourier_does_not_see_where_a_digit_is():
    pixels = np.zeros((2, 28, 28), np.uint8)
    pixels[0, 4:9, 6:8] = 200
    pixels[1] = np.roll(pixels[0], (7, 11), (0, 1))
    first, second = fourier(pixels)
    np.testing.assert_allclose(first, second, atol=1e-3)


def test_the_rounded_waves_are_far_from_a_tie_so_that_every_libm_rounds_them_alike():
    exact = np.cos(2 * np.pi * np.arange(28) / 28) * 2**COSINE_BITS
    distance = np.abs(exact - np.floor(exact) - 0.5)
    assert distance.min() > 1e-6  # although a libm may be wrong by 1e-12
    assert np.abs(waves(28, np.arange(8))).max() == 2**COSINE_BITS


def test_features_made_in_blocks_are_the_same():
    pixels = np.random.default_rng(0).integers(0, 256, (BLOCK + 3, 4, 4)).astype(np.uint8)
    np.testing.assert_array_equal(features("fourier", pixels)[-3:], fourier(pixels[-3:]))


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_the_same_one_by_one(name):
    pixels = np.random.default_rng(1).integers(0, 256, (4, 28, 28)).astype(np.uint8)
    together = features(name, pixels)
    np.testing.assert_array_equal(together, np.concatenate([features(name, pixels[i : i + 1]) for i in range(4)]))
