"""Activations of Gaussian signals: two positions, and signs alone, beside closed forms and sums."""

import math

import numpy as np
import pytest

from heinit_sim.activations import RELU, make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.theory.infinite_width.quadrature import pair_average
from heinit_sim.theory.infinite_width.signals import Signal
from heinit_sim.theory.infinite_width.steps.activation import Activated, forward


def signal(variance: float, correlation: float, mean: float = 0.0) -> Signal:
    second = variance + mean**2
    cosine = (variance * correlation + mean**2) / second
    share = np.array(mean / math.sqrt(second))
    ln_second, ln_variance = (np.array(math.log(moment)) for moment in (second, variance))
    return Signal(ln_second, ln_variance, share, cosine, law="gaussian")


def activate(activation: Activation, z: Signal) -> Activated:
    return forward(activation, z)


@pytest.mark.parametrize("slope", [0.0, 0.2, -0.5, 1.0, 1.7])
@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.4, 0.999, 1.0])
def test_closed_forms_are_the_averages_over_two_gaussians(slope: float, correlation: float) -> None:
    seen = activate(
        make_activation("leaky_relu", {"negative_slope": slope}), signal(1.7, correlation)
    )
    p2 = (1 + slope**2) / 2
    value = pair_average(lambda u: np.where(u > 0, u, slope * u), 1.7, correlation, (0.0,))
    derivative = pair_average(lambda u: np.where(u > 0, 1.0, slope), 1.7, correlation, (0.0,))
    # quadrature is good to 1e-10
    np.testing.assert_allclose(seen.after.cosine, value / 1.7 / p2, rtol=0, atol=1e-9)
    np.testing.assert_allclose(seen.slope_cosine, derivative / p2, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mean", [0.0, 0.6, -0.6])
def test_products_by_quadrature_are_those_of_a_plain_sum(mean: float) -> None:
    q, rho, step = 0.8, 0.35, 0.02
    z = np.arange(-8, 8, step) + step / 2
    weight = np.outer(np.exp(-(z**2) / 2), np.exp(-(z**2) / 2)) * step**2 / (2 * math.pi)
    first, second = np.meshgrid(z, z, indexing="ij")
    u1 = math.sqrt(q) * first + mean
    u2 = math.sqrt(q) * (rho * first + math.sqrt(1 - rho**2) * second) + mean
    seen = activate(make_activation("tanh", {}), signal(q, rho, mean))
    for found, g in (
        (seen.after.cosine, np.tanh),
        (seen.slope_cosine, lambda u: 1 / np.cosh(u) ** 2),
    ):
        expected = (weight * g(u1) * g(u2)).sum() / (weight * g(u1) ** 2).sum()
        # smooth and gone at the ends: the midpoint rule is exact but for rounding
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0)
    share = (weight * np.tanh(u1)).sum() / math.sqrt((weight * np.tanh(u1) ** 2).sum())
    np.testing.assert_allclose(seen.after.mean_share, share, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mean", [0.6, -0.6])
def test_products_know_where_a_shifted_kink_is(mean: float) -> None:
    q, rho = 0.8, 0.35
    # Gauss–Legendre from the kink on; of u₂ given u₁, N(m, s²), the averages are closed
    nodes, weights = np.polynomial.legendre.leggauss(200)
    first, last = -mean / math.sqrt(q), 12.0
    z = first + (nodes + 1) * (last - first) / 2
    weights = weights * (last - first) / 2 * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    m, s = mean + rho * math.sqrt(q) * z, math.sqrt(q * (1 - rho**2))
    above = np.array([math.erfc(-each / s / math.sqrt(2)) / 2 for each in m])
    density = np.exp(-((m / s) ** 2) / 2) / math.sqrt(2 * math.pi)
    u1 = mean + math.sqrt(q) * z
    value = (weights * u1 * (m * above + s * density)).sum() / (weights * u1**2).sum()
    slope = (weights * above).sum() / weights.sum()
    seen = activate(RELU, signal(q, rho, mean))
    # quadrature is good to 1e-10
    np.testing.assert_allclose(
        [seen.after.cosine, seen.slope_cosine], [value, slope], rtol=1e-9, atol=0
    )


def test_sines_too_fast_for_quadrature_are_not_guessed() -> None:
    seen = activate(make_activation("sin", {}), signal(1e4, 0.5))
    assert math.isnan(seen.after.cosine)
    assert math.isfinite(seen.after.ln_second)


def test_where_a_correlation_is_not_asked_for_none_is_worked_out() -> None:
    seen = activate(make_activation("tanh", {}), signal(1.0, math.nan))
    assert math.isnan(seen.after.cosine)
    assert math.isnan(seen.slope_cosine)
