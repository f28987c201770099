"""Averages over two correlated Gaussian pre-activations, to 1e-10 at kinks and near c = ±1."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from heinit_sim.quadrature import END, POWERS, UNITS, average, panels

Array = NDArray[np.float64]

_ROWS = 64  # inner integrals at a time: their nodes stay in the cache


def pair_average(
    g: Callable[[Array], Array], q: float, correlation: float, kinks: tuple[float, ...] = ()
) -> float:
    """E[g(u₁) g(u₂)] over u₁, u₂ ~ N(0, q) of that correlation.

    u₁ = √q z₁ and u₂ = √q (c z₁ + s z₂) with s = √(1−c²). The inner average over z₂ has its panels
    end at the kinks of g(u₂). It smooths each kink to a width of s/c in z₁: the outer panels are
    as fine as that around it, and end at the kinks of g(u₁).

    Args:
        g: A function of the pre-activation, elementwise; smooth but for its kinks.
        q: Variance of both, above 0.
        correlation: c, from −1 to 1.
        kinks: Where g or a derivative of it jumps.
    """
    root = np.sqrt(q)
    c, s = correlation, np.sqrt((1 - correlation) * (1 + correlation))
    if s == 0:
        both = (*kinks, *(-kink for kink in kinks))
        return float(average(lambda u: g(u) * g(c * u), np.array(q), both))
    features = _features(root, kinks)
    edges = [UNITS, features]
    if c != 0:
        smoothed = np.array([0.0, *kinks])[:, np.newaxis] / root / c + s / c * UNITS
        edges += [features / c, smoothed.ravel()]
    z1, outer = panels(np.concatenate(edges)[np.newaxis])
    z1, outer = z1[outer > 0], outer[outer > 0]
    inner = np.empty_like(z1)
    for start in range(0, len(z1), _ROWS):
        rows = z1[start : start + _ROWS, np.newaxis]
        units = np.broadcast_to(UNITS, (len(rows), len(UNITS)))
        z2, weights = panels(np.concatenate([units, (features - c * rows) / s], axis=1))
        inner[start : start + _ROWS] = np.vecdot(weights, g(root * (c * rows + s * z2)))
    return float(np.vecdot(outer, g(root * z1) * inner))


def _features(root: float, kinks: tuple[float, ...]) -> Array:
    """Where g changes, on the scale of z, as far as two Gaussians reach."""
    powers = POWERS[root * 2 * END > POWERS]
    return np.concatenate([powers, -powers, kinks, [0.0]]) / root
