import math

import numpy as np
import pytest

from heinit_sim.numerics.special_functions import digamma, trigamma
from heinit_sim.theory.finite_width.log_norms import linear_law, log_law, relu_law
from heinit_sim.theory.finite_width.norm_chain import sample_norms
from tests.conditions import condition

EULER = 0.57721566490153286


def slow_digamma(twice: int) -> float:
    """ψ(twice/2): −γ + Σ_{j<n} 1/j, or −γ − 2 ln 2 + 2 Σ_{j≤n} 1/(2j−1) at n + ½."""
    if twice % 2 == 0:
        return math.fsum([-EULER, *(1 / j for j in range(1, twice // 2))])
    halves = (2 / (2 * j - 1) for j in range(1, (twice - 1) // 2 + 1))
    return math.fsum([-EULER, -2 * math.log(2), *halves])


def slow_trigamma(twice: int) -> float:
    """ψ'(twice/2): π²/6 − Σ_{j<n} 1/j², or π²/2 − 4 Σ_{j≤n} 1/(2j−1)² at n + ½."""
    if twice % 2 == 0:
        return math.fsum([math.pi**2 / 6, *(-1 / j**2 for j in range(1, twice // 2))])
    halves = (-4 / (2 * j - 1) ** 2 for j in range(1, (twice - 1) // 2 + 1))
    return math.fsum([math.pi**2 / 2, *halves])


def test_digamma_and_trigamma_at_integers_and_half_integers() -> None:
    twice = [*range(1, 60), 999, 1000]
    x = np.array(twice) / 2
    # ψ changes sign near 1.46, and sums that end near zero lose digits: absolute. Twelve sums of at
    # most 5 and a logarithm of at most 6.3 are each off by half a rounding of their size.
    atol = (12 * 5 + 8) / 2 * np.finfo(float).eps
    np.testing.assert_allclose(digamma(x), [slow_digamma(t) for t in twice], rtol=0, atol=atol)
    np.testing.assert_allclose(trigamma(x), [slow_trigamma(t) for t in twice], rtol=0, atol=atol)


def slow_relu_law(n: int) -> tuple[float, float]:
    """Sum over m = 1 … n, with whole numbers for the ways to choose m of n units."""
    ways = [math.comb(n, m) for m in range(1, n + 1)]
    ln = [slow_digamma(m) + math.log(2) for m in range(1, n + 1)]
    within = [slow_trigamma(m) for m in range(1, n + 1)]
    total = sum(ways)
    mean = math.fsum(w / total * a for w, a in zip(ways, ln, strict=True))
    second = math.fsum(w / total * (v + a * a) for w, v, a in zip(ways, within, ln, strict=True))
    return mean, second - mean**2


@pytest.mark.parametrize("n", [1, 2, 5, 100])
def test_the_law_of_a_relu_layer_is_the_sum_over_its_positive_units(n: int) -> None:
    # E[a²] − E[a]² of numbers up to 16 loses a factor 16²/0.05 of 1e-16 at n = 100
    np.testing.assert_allclose(relu_law(n), slow_relu_law(n), rtol=2e-12, atol=0)


def test_figure_7_4_as_published_in_theory() -> None:
    # with the law of the input, χ²_100: without it the mean were −1.271
    mean, variance = log_law(condition((100,) * 51 + (1,), 0.02), 0.0)
    assert abs(mean[-1] - -1.281) < 5e-4
    assert abs(math.sqrt(variance[-1]) - 1.618) < 5e-4


@pytest.mark.parametrize(
    ("alpha", "widths"), [(0.0, (7, 8, 6, 12, 9, 3)), (1.0, (7, 3, 6, 5, 2)), (-1.0, (2, 3, 1))]
)
def test_it_is_the_law_of_the_chain(alpha: float, widths: tuple[int, ...]) -> None:
    n_networks = 100_000
    of = condition(widths, 0.3)
    log10 = sample_norms(of, alpha, n_networks, np.random.default_rng(1))["activation"]
    means, variances = log_law(of, alpha)

    def largest_z(means: np.ndarray, variances: np.ndarray) -> float:
        zs = []
        for k, column in enumerate(log10.T * math.log(10)):
            alive = column[np.isfinite(column)]
            deviation = alive - alive.mean()
            squared = deviation**2
            zs.append((alive.mean() - means[k]) / (alive.std() / math.sqrt(len(alive))))
            zs.append((squared.mean() - variances[k]) / (squared.std() / math.sqrt(len(alive))))
        return float(np.abs(zs).max())

    # Bonferroni over at most ten: 10 · P(|z| > 4.6) < 1e-4
    assert largest_z(means, variances) < 4.6
    assert largest_z(means + 0.03 * np.arange(len(means)), variances) > 4.6
    assert largest_z(means, variances * 1.05) > 4.6


def test_other_slopes_have_no_closed_form_behind_the_input() -> None:
    mean, variance = log_law(condition((4, 5, 6, 1), 0.3), 0.2)
    first = linear_law(4)
    assert (mean[0], variance[0]) == (first.mean - np.log(4), first.variance)
    assert np.isnan(mean[1:]).all()
    assert np.isnan(variance[1:]).all()


def test_the_widest_layer_is_close_to_first_order() -> None:
    n = 65_536
    law = relu_law(n)
    # E ln(2r/n) = −5/(2n) and Var = 5/n, both up to a term of relative order 1/n: below 10/n
    np.testing.assert_allclose(law.mean - math.log(n / 2), -5 / (2 * n), rtol=10 / n, atol=1e-13)
    np.testing.assert_allclose(law.variance, 5 / n, rtol=10 / n, atol=0)
