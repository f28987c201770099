"""Layers in the limit: correlations of two positions, and windows that see the edges.

References are closed forms, sums written out, and the matrix of the windows.
"""

import math

import numpy as np
import pytest

from heinit_sim.activations import RELU, make_activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.theory.infinite_width.layer import (
    Activations,
    Gradient,
    LayerWeights,
    Preactivations,
    activate,
    weigh,
    weight_gradient,
)
from heinit_sim.theory.infinite_width.quadrature import ORDERS, pair_average

Array = np.ndarray


def signal(variance: float, correlation: float, mean: float = 0.0) -> Preactivations:
    return Preactivations(np.array([math.log(variance)]), correlation, mean)


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
    np.testing.assert_allclose(seen.cosine, value / 1.7 / p2, rtol=0, atol=1e-9)
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
    for found, g in ((seen.cosine, np.tanh), (seen.slope_cosine, lambda u: 1 / np.cosh(u) ** 2)):
        expected = (weight * g(u1) * g(u2)).sum() / (weight * g(u1) ** 2).sum()
        # smooth and gone at the ends: the midpoint rule is exact but for rounding
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=0)
    share = (weight * np.tanh(u1)).sum() / math.sqrt((weight * np.tanh(u1) ** 2).sum())
    np.testing.assert_allclose(seen.mean_share, share, rtol=1e-9, atol=1e-12)


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
    np.testing.assert_allclose([seen.cosine, seen.slope_cosine], [value, slope], rtol=1e-9, atol=0)


def test_sines_too_fast_for_quadrature_are_not_guessed() -> None:
    seen = activate(make_activation("sin", {}), signal(1e4, 0.5))
    assert math.isnan(seen.cosine)
    assert math.isfinite(seen.ln_second[0])


def test_where_a_correlation_is_not_asked_for_none_is_worked_out() -> None:
    seen = activate(make_activation("tanh", {}), signal(1.0, math.nan))
    assert math.isnan(seen.cosine)
    assert math.isnan(seen.slope_cosine)


def activations(second: Array, cosine: float, mean_share: Array | float = 0.0) -> Activations:
    zero = np.zeros_like(second)
    along = np.zeros((ORDERS, *second.shape))
    return Activations(np.log(second), cosine, zero, zero + mean_share, zero, 1.0, zero, along)


def gradient(second: Array, cosine: float, mean_share: Array | float) -> Gradient:
    along = np.zeros((ORDERS, *second.shape))
    return Gradient(np.log(second), cosine, along, np.zeros_like(second) + mean_share)


def test_biases_are_shared_by_all_positions() -> None:
    seen = activations(np.array([0.5]), 0.3)
    found = weigh(seen, LayerWeights(math.log(2.0), 0.0, math.log(0.25), 0.7))
    np.testing.assert_allclose(np.exp(found.ln_variance), [2 * 0.5 + 0.25], rtol=1e-14, atol=0)
    covariance = 2 * 0.5 * 0.3 + 0.25
    np.testing.assert_allclose(found.correlation, covariance / 1.25, rtol=1e-14, atol=0)
    second = np.exp(found.ln_second)
    np.testing.assert_allclose(second, [1.25 + 0.7**2], rtol=1e-14, atol=0)


def test_the_weight_gradient_is_the_sum_over_pairs_of_positions() -> None:
    n, dd, hh, d_product, h_product = 5, 0.3, 2.0, 0.6, -0.1
    d_mean, h_mean = 0.4, -0.2
    seen = activations(np.array([hh]), h_product, h_mean)
    gradients = gradient(np.array([dd]), d_product, d_mean)
    found = weight_gradient(gradients, seen, Convolution((n,), 3, (1, 1)))
    pairs = [
        dd * hh * (1.0 if p == other else d_product * h_product)
        for p in range(n)
        for other in range(n)
    ]
    np.testing.assert_allclose(math.exp(found.ln_second), sum(pairs), rtol=1e-13, atol=0)
    mean = n * d_mean * math.sqrt(dd) * h_mean * math.sqrt(hh)
    np.testing.assert_allclose(found.mean_share, mean / math.sqrt(sum(pairs)), rtol=1e-13, atol=0)


def test_the_weight_gradient_with_zeros_beyond_the_edge_is_the_mean_over_taps() -> None:
    d, h = np.array([0.5, 1.0, 2.0, 0.1]), np.array([3.0, 0.2, 1.0, 0.7])
    d_mean, h_mean = np.array([0.1, -0.2, 0.5, 0.3]), np.array([0.6, -0.4, 0.2, -0.9])
    seen = activations(h, math.nan, h_mean)
    found = weight_gradient(gradient(d, 0.0, d_mean), seen, Convolution((4,), 3, (1, 1), "zero"))
    taps = [sum(d[p] * h[p + tap] for p in range(4) if 0 <= p + tap < 4) for tap in (-1, 0, 1)]
    np.testing.assert_allclose(math.exp(found.ln_second), sum(taps) / 3, rtol=1e-13, atol=0)
    d_mean, h_mean = d_mean * np.sqrt(d), h_mean * np.sqrt(h)
    means = [
        sum(d_mean[p] * h_mean[p + tap] for p in range(4) if 0 <= p + tap < 4) for tap in (-1, 0, 1)
    ]
    expected = sum(means) / 3 / math.sqrt(sum(taps) / 3)
    np.testing.assert_allclose(found.mean_share, expected, rtol=1e-13, atol=0)


# ----- windows of an image
