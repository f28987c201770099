import math
from fractions import Fraction

import numpy as np
import pytest

from heinit_sim.numerics.p_values import (
    fisher_tail,
    kolmogorov_tail,
    normal_score,
    student_tail,
    welch,
)


@pytest.mark.parametrize("t", [1e-8, 0.1, 1.0, 2.5, 10.0, 1e3, 1e8])
def test_students_tail_is_its_closed_form_for_one_two_and_four_degrees(t: float) -> None:
    # integrals of the density; for 4: with s = t/√(4+t²), P(|T| < t) = s (3 − s²)/2
    one = 2 / math.pi * math.atan(1 / t)
    r = math.sqrt(2 + t * t)
    two = 2 / (r * (r + t))  # 1 − t/r without cancelling
    s = t / math.sqrt(4 + t * t)
    gap = 4 / (4 + t * t) / (1 + s)  # 1 − s
    four = gap * gap * (2 + s) / 2  # 1 − s (3 − s²)/2
    for freedom, tail in ((1, one), (2, two), (4, four)):
        np.testing.assert_allclose(student_tail(t, freedom), tail, rtol=1e-12, atol=0)
        assert student_tail(-t, freedom) == student_tail(t, freedom)


@pytest.mark.parametrize("freedom", [3.0, 7.5, 99.0, 5000.0])
@pytest.mark.parametrize("t", [0.3, 2.0, 6.0])
def test_students_tail_is_the_integral_of_its_density(t: float, freedom: float) -> None:
    # ∫_t^∞ f = ∫_0^{1/t} f(1/u)/u² du, by Gauss-Legendre on 200 panels of 20 points
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 1 / t, 201)
    half = np.diff(edges)[:, None] / 2
    u = edges[:-1, None] + half * (nodes + 1)
    log_density = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    log_density -= math.log(freedom * math.pi) / 2
    logs = log_density - (freedom + 1) / 2 * np.log1p(1 / (freedom * u * u)) - 2 * np.log(u)
    integral = 2 * float((half * weights * np.exp(logs)).sum())
    np.testing.assert_allclose(student_tail(t, freedom), integral, rtol=1e-10, atol=0)


def test_students_tail_at_its_ends() -> None:
    assert student_tail(0.0, 5) == 1.0
    for infinite in (math.inf, -math.inf, 1e200):
        assert student_tail(infinite, 5) == 0.0
    assert math.isnan(student_tail(math.nan, 5))
    np.testing.assert_allclose(
        student_tail(4.0, 1e9), math.erfc(4 / math.sqrt(2)), rtol=1e-6, atol=0
    )  # the next term of the expansion is t⁴/4ν, 6e-8


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b"),
    [(3, 10, 7, 12), (0, 5, 5, 5), (0, 9, 0, 9), (4, 4, 6, 6), (1, 30, 9, 20)],
)
def test_fishers_tail_is_the_sum_over_all_tables(a: int, n_a: int, b: int, n_b: int) -> None:
    hits = a + b
    ways = {
        k: math.comb(n_a, k) * math.comb(n_b, hits - k)
        for k in range(n_a + 1)
        if 0 <= hits - k <= n_b
    }
    below = sum(count for k, count in ways.items() if k <= a)
    above = sum(count for k, count in ways.items() if k >= a)
    tail = min(Fraction(1), 2 * Fraction(min(below, above), sum(ways.values())))
    np.testing.assert_allclose(fisher_tail(a, n_a, b, n_b), float(tail), rtol=1e-12, atol=0)


def test_welch_is_what_is_computed_by_hand() -> None:
    x, y = np.array([[1.0], [2.0], [4.0], [-np.inf]]), np.array([[2.0], [6.0]])
    difference, errors, freedom = welch(x, y)
    # means 7/3 and 4; variances (16+1+25)/9/2 = 7/3 and 8; squared errors 7/9 and 4
    rtol = 12 * np.finfo(float).eps  # so many sums, products and quotients at most
    np.testing.assert_allclose(difference, [5 / 3], rtol=rtol, atol=0)
    np.testing.assert_allclose(errors, [5 / 3 / math.sqrt(7 / 9 + 4)], rtol=rtol, atol=0)
    assert freedom == [1]


@pytest.mark.parametrize(("n_x", "n_y", "scale"), [(2, 50, 1.0), (5, 5, 1.0), (30, 40, 3.0)])
def test_welch_keeps_its_level_for_any_two_variances(n_x: int, n_y: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    pairs, level = 4000, 0.05
    _, errors, freedom = welch(
        rng.standard_normal((n_x, pairs)), scale * rng.standard_normal((n_y, pairs))
    )
    tails = [student_tail(z, nu) for z, nu in zip(errors.tolist(), freedom.tolist(), strict=True)]
    alarms = np.mean(np.array(tails) < level)
    assert alarms < level + 4 * math.sqrt(level * (1 - level) / pairs)


def poisson(mean: float, counts: range) -> float:
    """P(N in counts); P(χ²_2m > 2 mean) = P(N < m)."""
    return math.fsum(math.exp(j * math.log(mean) - mean - math.lgamma(j + 1)) for j in counts)


@pytest.mark.parametrize("freedom", [2, 4, 10, 100, 10_000])
@pytest.mark.parametrize("z", [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
def test_the_normal_score_of_a_chi_square_has_its_tails(freedom: int, z: float) -> None:
    skewness = math.sqrt(8 / freedom)
    x, half = freedom + z * math.sqrt(2 * freedom), freedom // 2
    score = normal_score(z, skewness)
    assert normal_score(-z, -skewness) == -score
    # Tails that are taken for rarer than they are raise the rate of alarms, by 3 % at most; for
    # less rare, they cost power, and only where both are tiny.
    if x > 0:
        counts = range(half, half + 4000) if z < 0 else range(half)
        claimed = math.erfc((-score if z < 0 else score) / math.sqrt(2)) / 2
        assert 1 / 1.03 < claimed / poisson(x / 2, counts) < 1.6
    if x > 0 and z >= 4 and freedom < 1000:  # where the normal law would be off by much more
        assert math.erfc(z / math.sqrt(2)) / 2 < poisson(x / 2, range(half)) / 1.6


def test_a_law_without_skewness_is_left_as_it_is() -> None:
    assert normal_score(1.5, 0.0) == 1.5


@pytest.mark.parametrize(
    ("x", "p"), [(1.2239, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)]
)
def test_kolmogorov_has_the_published_quantiles(x: float, p: float) -> None:
    """Smirnov 1948, table of the limit."""
    assert kolmogorov_tail(x / 1e5, 10**10) == pytest.approx(p, rel=2e-3)


def test_kolmogorov_holds_for_twenty_numbers() -> None:
    """Massey 1951 has 0.294 at 5 % and 0.352 at 1 % for n = 20."""
    assert kolmogorov_tail(0.294, 20) == pytest.approx(0.05, rel=0.03)
    assert kolmogorov_tail(0.352, 20) == pytest.approx(0.01, rel=0.05)
    assert kolmogorov_tail(1e-9, 20) == 1.0
    distances = np.linspace(0.01, 0.9, 200)
    tails = [kolmogorov_tail(float(distance), 20) for distance in distances]
    assert (np.diff(tails) <= 1e-5).all()
