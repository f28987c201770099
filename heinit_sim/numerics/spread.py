"""Mean, its standard error, median and quantiles over networks, from one log10 per network."""

from dataclasses import dataclass

import numpy as np

from heinit_sim.numerics import FloatArray

LN10 = float(np.log(10.0))
_SHARES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Spread:
    """Statistics over networks of positive numbers s, in decades; each of shape (K+1,)."""

    mean: FloatArray
    """log10 of the arithmetic mean of s."""
    se: FloatArray
    """Standard error of `mean` in decades (delta method); NaN for one network or all-zero s."""
    median: FloatArray
    p05: FloatArray
    p95: FloatArray


def spread(log10_values: FloatArray) -> Spread:
    """Summarise log10 s over networks (axis 0), without leaving the logarithm.

    Args:
        log10_values: log10 s, shape (n_networks, K+1); -inf where s = 0.

    Returns:
        The spread over networks, each array of shape (K+1,).
    """
    n_networks = len(log10_values)
    largest = log10_values.max(axis=0)
    pivot = np.where(np.isneginf(largest), 0.0, largest)
    scaled = 10.0 ** (log10_values - pivot)
    mean = scaled.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log10_mean = pivot + np.log10(mean)
        if n_networks > 1:
            error = scaled.std(axis=0, ddof=1) / np.sqrt(n_networks) / mean / LN10
        else:
            error = np.full_like(mean, np.nan)
    p05, median, p95 = quantiles(log10_values)
    return Spread(log10_mean, error, median, p05, p95)


def variance_of_ln(log10_values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unbiased variance over networks of ln s, and its standard error.

    Args:
        log10_values: log10 s, (n_networks, K+1); networks with s = 0 are left out.

    Returns:
        Two arrays (K+1,); NaN where fewer than two networks are left.

    Source: Var S² = (μ₄ − σ⁴ (n−3)/(n−1))/n for n independent values of any law.
    """
    alive = np.isfinite(log10_values)
    n = alive.sum(axis=0).astype(float)
    n[n < 2] = np.nan
    ln = np.where(alive, log10_values, 0.0) * LN10
    deviation = np.where(alive, ln - ln.sum(axis=0) / n, 0.0)
    variance = (deviation**2).sum(axis=0) / (n - 1)
    fourth = (deviation**4).sum(axis=0) / n
    return variance, np.sqrt((fourth - variance**2 * (n - 3) / (n - 1)) / n)


def quantiles(log10_values: FloatArray) -> FloatArray:
    """The 5 % quantile, the median and the 95 % quantile over axis 0, interpolated; (3, K+1).

    Each is -inf as soon as its lower neighbour is.
    """
    dead = np.isneginf(log10_values)
    if not dead.any():
        found: FloatArray = np.quantile(log10_values, _SHARES, axis=0)
        return found
    lower = np.quantile(log10_values, _SHARES, axis=0, method="lower")
    finite = np.where(dead, np.finfo(float).min, log10_values)
    return np.where(np.isneginf(lower), -np.inf, np.quantile(finite, _SHARES, axis=0))
