"""What many networks say: mean, its error, median and quantiles, from one log10 per network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LN10 = float(np.log(10.0))


@dataclass(frozen=True)
class Spread:
    """Statistics over networks of positive numbers s, in decades; each of shape (K+1,)."""

    mean: Array
    """log10 of the arithmetic mean of s."""
    se: Array
    """Standard error of `mean` in decades (delta method); NaN for one network or all-zero s."""
    median: Array
    p05: Array
    p95: Array


def spread(log10_values: Array) -> Spread:
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
    median, p05, p95 = (_quantile(log10_values, q) for q in (0.5, 0.05, 0.95))
    return Spread(log10_mean, error, median, p05, p95)


def _quantile(log10_values: Array, q: float) -> Array:
    """Linear-interpolation quantile over axis 0; -inf as soon as its lower neighbour is."""
    lower = np.quantile(log10_values, q, axis=0, method="lower")
    finite = np.where(np.isneginf(log10_values), np.finfo(float).min, log10_values)
    quantile: Array = np.where(np.isneginf(lower), -np.inf, np.quantile(finite, q, axis=0))
    return quantile
