"""Cross entropy of normal logits against samples of them, limits and each other."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from heinit_sim.theory.infinite_width.cross_entropy import (
    largest_ln_q,
    likeness,
    output_loss,
    second_moments,
)


def sampled(std: float, n_classes: int, n: int) -> dict[str, tuple[float, float]]:
    """Mean and standard error over n networks of one input of ℓ, Σ δ² and Σ f δ."""
    rng = np.random.default_rng(7)
    f = std * rng.standard_normal((n, n_classes))
    t = rng.integers(0, n_classes, n)
    largest = f.max(axis=1, keepdims=True)
    p = np.exp(f - largest)
    loss = np.log(p.sum(axis=1)) + largest[:, 0] - f[np.arange(n), t]
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(n), t] -= 1
    numbers = {"loss": loss, "second": (p**2).sum(axis=1), "along": (f * p).sum(axis=1)}
    return {name: (z.mean(), z.std(ddof=1) / math.sqrt(n)) for name, z in numbers.items()}


def predicted(std: float, n_classes: int) -> dict[str, float]:
    known = output_loss(2 * math.log(std), n_classes)
    second = math.exp(known.ln_second)
    along = known.share * std * math.sqrt(second)
    return {
        "loss": math.exp(known.ln_loss),
        "second": n_classes * second,
        "along": n_classes * along,
    }


def scores(std: float, n_classes: int, n: int) -> list[float]:
    """Distances of samples from theory, in standard errors over networks."""
    theory = predicted(std, n_classes)
    found = sampled(std, n_classes, n)
    return [(mean - theory[name]) / error for name, (mean, error) in found.items()]


CASES = [(2, 0.3), (2, 4.0), (10, 1.0), (10, 1.001), (1000, 1.0), (1000, 5.0), (3, 200.0)]


@pytest.mark.parametrize(("n_classes", "std"), CASES)
def test_theory_is_the_mean_of_samples(n_classes: int, std: float) -> None:
    n = min(400_000 // n_classes, 40_000)
    assert max(map(abs, scores(std, n_classes, n))) < 4  # of 21 numbers


@pytest.mark.parametrize("n_classes", [3, 10])
def test_a_variance_that_is_wrong_by_a_tenth_is_found(n_classes: int) -> None:
    theory, found = predicted(math.sqrt(1.1), n_classes), sampled(1.0, n_classes, 40_000)
    mean, error = found["along"]
    assert abs(mean - theory["along"]) > 6 * error


def test_a_thousand_classes_at_standard_deviations_0_1_and_5() -> None:
    losses = [predicted(std, 1000)["loss"] for std in (1e-9, 1.0, 5.0)]
    # 40,000 networks of these logits show 6.90776, 7.4070 ± 0.0002 and 16.935 ± 0.007.
    assert [round(loss, 4) for loss in losses] == [6.9078, 7.4069, 16.9421]


@pytest.mark.parametrize("n_classes", [2, 7, 10**7])
def test_small_logits_cost_ln_v_and_half_of_their_variance(n_classes: int) -> None:
    q = 1e-6
    known = predicted(math.sqrt(q), n_classes)
    v = n_classes
    # ln V + q/2 (1 − 1/V), the next term is of order q²
    assert_allclose(known["loss"], math.log(v) + q / 2 * (1 - 1 / v), rtol=1e-11, atol=0)
    assert_allclose(known["second"], 1 - 1 / v, rtol=2e-6, atol=0)
    assert_allclose(known["along"], q * (1 - 1 / v), rtol=1e-5, atol=0)


@pytest.mark.parametrize("std", [1e7, 1e12])
def test_large_logits_cost_the_largest_of_them(std: float) -> None:
    known = predicted(std, 2)
    assert_allclose(known["loss"], std / math.sqrt(math.pi), rtol=1e-7, atol=0)
    assert_allclose(known["second"], 1.0, rtol=1e-6, atol=0)
    assert_allclose(known["along"], std / math.sqrt(math.pi), rtol=1e-6, atol=0)


def test_both_ways_to_average_agree_where_they_meet() -> None:
    narrow, wide = (output_loss(2 * math.log(std), 50) for std in (1.0, 1.0 + 1e-12))
    assert_allclose(narrow, wide, rtol=1e-11, atol=0)


def test_gradients_are_interpolated_to_nine_digits() -> None:
    ln_q = np.linspace(-4.0, 9.0, 300)
    exact = [math.exp(output_loss(ln, 20).ln_second) for ln in ln_q[::25]]
    assert_allclose(second_moments(ln_q, 20)[::25], exact, rtol=1e-8, atol=0)
    assert_allclose(second_moments(ln_q[:1], 20), exact[0], rtol=1e-9, atol=0)


def pair_scores(std: float, c: float, n_classes: int, wrong: float = 1.0) -> float:
    """Distance of E[δ δ'] of sampled pairs of inputs from theory, in standard errors."""
    rng, n = np.random.default_rng(11), 200_000 // n_classes
    common, *rest = rng.standard_normal((3, n, n_classes))
    signs = 1.0, math.copysign(1.0, c)
    logits = [
        std * (sign * math.sqrt(abs(c)) * common + math.sqrt(1 - abs(c)) * z)
        for sign, z in zip(signs, rest, strict=True)
    ]
    p, other = (np.exp(f - f.max(axis=1, keepdims=True)) for f in logits)
    p, other = (z / z.sum(axis=1, keepdims=True) for z in (p, other))
    products = (p * other).sum(axis=1) - 1 / n_classes
    theory = likeness(2 * math.log(std), wrong * c, n_classes)
    second = n_classes * math.exp(output_loss(2 * math.log(std), n_classes).ln_second)
    error = products.std(ddof=1) / math.sqrt(n)
    return float((products.mean() - second * theory) / error)


PAIRS = [(0.5, 0.6, 2), (1.0, -0.7, 10), (3.0, 0.5, 10), (3.0, 0.95, 50), (8.0, 0.999, 5)]


@pytest.mark.parametrize(("std", "c", "n_classes"), PAIRS)
def test_what_two_inputs_have_in_common_is_the_mean_of_samples(
    std: float, c: float, n_classes: int
) -> None:
    assert abs(pair_scores(std, c, n_classes)) < 4  # of five


def test_a_correlation_that_is_wrong_by_a_tenth_is_found() -> None:
    assert abs(pair_scores(3.0, 0.5, 10, wrong=1.1)) > 6


def test_inputs_that_are_the_same_and_that_have_nothing_in_common() -> None:
    for std, n_classes in ((0.3, 4), (2.0, 30)):
        ln_q = 2 * math.log(std)
        second = math.exp(output_loss(ln_q, n_classes).ln_second)
        # E[p²] − 1/V² of the same logits, whose classes differ
        same = 1 - (1 / n_classes - 1 / n_classes**2) / second
        assert_allclose(likeness(ln_q, 1.0, n_classes), same, rtol=1e-8, atol=0)
        assert likeness(ln_q, 0.0, n_classes) == 0
    # to first order in what they have in common: above and below where that is used
    below, above = (likeness(0.0, c, 10) for c in (0.99e-4, 1.01e-4))
    assert_allclose(above / below, 1.01 / 0.99, rtol=1e-3, atol=0)
    assert math.isnan(likeness(2 * math.log(31.0), 0.5, 10))


def test_the_variance_of_a_loss_gives_that_loss() -> None:
    loss = 1.1 * math.log(1000)
    ln_q = largest_ln_q(loss, 1000)
    assert_allclose(math.exp(output_loss(ln_q, 1000).ln_loss), loss, rtol=1e-4, atol=0)


def test_what_is_not_known_stays_so() -> None:
    assert all(map(math.isnan, output_loss(math.nan, 5)))
