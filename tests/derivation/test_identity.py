"""Both sides of an identity, judged: by a standard error and a bound, or by rounding."""

import math

import numpy as np
import pytest

from heinit_sim.derivation.identity import LEVEL, Row, Sides, judge, largest_z
from heinit_sim.derivation.verify import IDENTITIES


def student_tail(t: float, nu: int) -> float:
    """P(|T| > t) by the midpoint rule on Student's density, over u = t/x."""
    log_norm = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2) - math.log(nu * math.pi) / 2
    u = (np.arange(200_000) + 0.5) / 200_000
    density = np.exp(log_norm - (nu + 1) / 2 * np.log1p((t / u) ** 2 / nu)) * t / u**2
    return 2 * float(density.mean())


@pytest.mark.parametrize(("n_rows", "n_networks"), [(1, 100), (20, 100), (20, 1000), (30, 10**6)])
def test_the_bound_of_z_leaves_the_level_to_all_rows_together(n_rows: int, n_networks: int) -> None:
    tail = student_tail(largest_z(n_rows, n_networks), n_networks - 1)
    # The next term of the expansion is z⁷/(128 ν³) at most: 2e-4 of z at ν = 99, and the density
    # falls by z² times that, 0.4 %.
    np.testing.assert_allclose(n_rows * tail, LEVEL, rtol=0.01, atol=0)


def judged(sides: Sides) -> Row:
    return judge(IDENTITIES[0], [sides], 4.0, {})


def test_a_row_shows_means_the_standard_error_of_their_difference_and_z() -> None:
    rng = np.random.default_rng(5)
    left, right = rng.standard_normal((2, 50)) + np.array([[3.0], [2.9]])
    for scale in (1.0, 1e-200, 1e200):
        row = judged(Sides(scale * left, scale * right))
        differences = [float(a) - float(b) for a, b in zip(left, right, strict=True)]
        mean = sum(differences) / 50
        error = math.sqrt(sum((d - mean) ** 2 for d in differences) / 49 / 50)
        found = (row.left_value, row.right_value, row.error)
        expected = (scale * sum(left) / 50, scale * sum(right) / 50, scale * error)
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=0)
        assert row.z is not None
        np.testing.assert_allclose(row.z, mean / error, rtol=1e-10, atol=0)
        assert row.held
        assert row.networks == 50


def test_a_difference_beyond_the_bound_or_beyond_rounding_is_not_held() -> None:
    left = np.linspace(0.0, 1.0, 100)
    error = float(np.std(left, ddof=1)) / 10
    for shift, held in ((3.9, True), (4.1, False), (-4.1, False)):
        right = np.full(100, 0.5 + shift * error)
        assert judged(Sides(left, right)).held == held
    one_off = np.where(np.arange(100) == 7, 1e-9, 0.0)
    for allowed, held in ((2e-9, True), (0.5e-9, False)):
        row = judged(Sides(left, left + one_off, np.full(100, allowed)))
        assert (row.held, row.z, row.error) == (held, None, allowed)


def test_equal_sides_hold_without_an_error_bar() -> None:
    for value in (0.0, 2.5):
        row = judged(Sides(np.full(100, value), np.full(100, value)))
        assert (row.z, row.held) == (0.0, True)


@pytest.mark.parametrize(("gap", "held"), [(3900, True), (4100, False)])
def test_equal_sides_may_differ_by_the_rounding_of_their_sums(gap: int, held: bool) -> None:
    # no spread: a standard error is 1000 ε of a side, and four of them hold
    left = np.full(100, 1.0)
    assert judged(Sides(left, left + gap * 2.0**-52)).held == held
