"""Averages over windows and positions, beside matrices and closed forms."""

import math
from itertools import product

import numpy as np
import pytest

from heinit_sim.experiment.steps import Window
from heinit_sim.theory.infinite_width.positions import (
    mean_over_positions,
    variance_over_units,
    window_means,
)

Array = np.ndarray


IMAGES = [((5,), 3), ((4, 6), 3), ((3, 3), 5), ((2,), 7), ((1, 4), 3)]


def window_matrix(window: Window) -> Array:
    """1 where the window of one position holds another, counted out."""
    places = list(product(*map(range, window.image)))
    reach = window.kernel // 2
    near = [
        [max(abs(a - b) for a, b in zip(p, q, strict=True)) <= reach for q in places]
        for p in places
    ]
    return np.array(near, float)


@pytest.mark.parametrize(("image", "kernel"), IMAGES)
def test_windows_hold_what_the_matrix_says(image: tuple[int, ...], kernel: int) -> None:
    window = Window(image, kernel, "zero")
    r = np.random.default_rng(0).exponential(size=window.positions)
    found = np.exp(window_means(np.log(r), window))
    expected = window_matrix(window) @ r / window.taps
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize(("image", "kernel"), IMAGES)
def test_windows_over_layers_are_powers_of_the_matrix(image: tuple[int, ...], kernel: int) -> None:
    window = Window(image, kernel, "zero")
    ln = np.zeros(window.positions)
    for _ in range(12):
        ln = window_means(ln, window)
    matrix = window_matrix(window) / window.taps
    expected = np.linalg.matrix_power(matrix, 12).sum(axis=1)
    np.testing.assert_allclose(np.exp(ln), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("image", [(5,), (8, 8), (4, 6)])
def test_each_layer_loses_the_largest_eigenvalue_in_the_end(image: tuple[int, ...]) -> None:
    window = Window(image, 3, "zero")
    ln, sines = np.zeros(window.positions), np.ones(())
    for n in image:
        sines = np.multiply.outer(sines, np.sin(math.pi * np.arange(1, n + 1) / (n + 1)))
    for _ in range(2000):
        before, ln = ln, window_means(ln, window)
    factor = math.prod((1 + 2 * math.cos(math.pi / (n + 1))) / 3 for n in image)
    lost = math.exp(mean_over_positions(ln) - mean_over_positions(before))
    np.testing.assert_allclose(lost, factor, rtol=1e-12, atol=0)
    np.testing.assert_allclose(
        np.exp(ln - ln.max()), sines.ravel() / sines.max(), rtol=1e-10, atol=0
    )
    if image == (8, 8):
        assert round(factor, 4) == 0.9212


def test_circular_windows_are_all_alike() -> None:
    one = np.array(0.3)
    assert window_means(one, Window((4,), 3)) is one
    assert window_means(one, None) is one


def test_nothing_stays_nothing_and_what_is_not_known_is_not_known() -> None:
    window = Window((4,), 3, "zero")
    assert np.isneginf(window_means(np.full(4, -np.inf), window)).all()
    assert np.isnan(window_means(np.array([0.0, np.nan, 0.0, 0.0]), window)).all()


def test_the_variance_over_units_counts_means_that_differ_between_positions() -> None:
    means, stds = np.array([1.0, -2.0, 0.5]), np.array([0.1, 2.0, 1.0])
    second = means**2 + stds**2
    found = variance_over_units(2 * np.log(stds), np.log(second), means / np.sqrt(second))
    expected = second.mean() - means.mean() ** 2
    np.testing.assert_allclose(math.exp(found), expected, rtol=1e-14, atol=0)
