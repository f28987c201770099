"""Weights: biases, windows and the gradients of weights, beside sums written out."""

import math

import numpy as np

from heinit_sim.experiment.steps import Weights, WeightSpec, Window
from heinit_sim.theory.infinite_width.quadrature import ORDERS
from heinit_sim.theory.infinite_width.signals import Gradient, Signal
from heinit_sim.theory.infinite_width.steps.weights import WeightLaw, forward, gradient_of

Array = np.ndarray


def activations(second: Array, cosine: float, mean_share: Array | float = 0.0) -> Signal:
    zero = np.zeros_like(second)[()]
    return Signal(np.log(second), zero, zero + mean_share, cosine)


def kernel(window: Window) -> Weights:
    return Weights(WeightSpec(1.0), window.positions, window.positions, window)


def gradient(second: Array, cosine: float, mean_share: Array | float) -> Gradient:
    along = np.zeros((ORDERS, *second.shape))
    zero = np.zeros_like(second)[()]
    return Gradient(np.log(second), cosine, along, zero + mean_share, zero)


def test_biases_are_shared_by_all_positions() -> None:
    seen = activations(np.array(0.5), 0.3)
    law = WeightLaw(math.log(2.0), 0.0, math.log(0.25), 0.7, Window((4,), 3))
    found = forward(seen, law)
    np.testing.assert_allclose(np.exp(found.ln_variance), 2 * 0.5 + 0.25, rtol=1e-14, atol=0)
    second = np.exp(found.ln_second)
    np.testing.assert_allclose(second, 1.25 + 0.7**2, rtol=1e-14, atol=0)
    covariance = 2 * 0.5 * 0.3 + 0.25
    np.testing.assert_allclose(found.cosine * second, covariance + 0.7**2, rtol=1e-14, atol=0)


def test_the_weight_gradient_is_the_sum_over_pairs_of_positions() -> None:
    n, dd, hh, d_product, h_product = 5, 0.3, 2.0, 0.6, -0.1
    d_mean, h_mean = 0.4, -0.2
    seen = activations(np.array(hh), h_product, h_mean)
    gradients = gradient(np.array(dd), d_product, d_mean)
    found = gradient_of(gradients, seen, kernel(Window((n,), 3)))
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
    found = gradient_of(gradient(d, 0.0, d_mean), seen, kernel(Window((4,), 3, "zero")))
    taps = [sum(d[p] * h[p + tap] for p in range(4) if 0 <= p + tap < 4) for tap in (-1, 0, 1)]
    np.testing.assert_allclose(math.exp(found.ln_second), sum(taps) / 3, rtol=1e-13, atol=0)
    d_mean, h_mean = d_mean * np.sqrt(d), h_mean * np.sqrt(h)
    means = [
        sum(d_mean[p] * h_mean[p + tap] for p in range(4) if 0 <= p + tap < 4) for tap in (-1, 0, 1)
    ]
    expected = sum(means) / 3 / math.sqrt(sum(taps) / 3)
    np.testing.assert_allclose(found.mean_share, expected, rtol=1e-13, atol=0)
