"""Averages over two correlated Gaussian pre-activations, to 1e-10 at kinks and near c = ±1."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from heinit_sim.quadrature import END, POWERS, UNITS, average, panels

Array = NDArray[np.float64]

_ROWS = 64  # inner integrals at a time: their nodes stay in the cache
_HALVES = (25, 50, 100, 200)  # steps to either side
_AGREE = 1e-7  # relative


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


def smooth_gap(g: Callable[[Array], Array], q: float, apart: float) -> float:
    """E[(g(u₁) − g(u₂))²]/2 = E[g(u₁)²] − E[g(u₁) g(u₂)] of a function without kinks.

    With d = 1 − c, u = √(q (2−d)/2) s ± √(q d/2) t of independent s and t: all digits of a small d
    are kept. The trapezoidal rule squares its error as its step is halved, so that two that agree
    to 1e-7 leave 1e-14. NaN where none do, as of a function that is all but a step.

    Args:
        g: A function of the pre-activation, elementwise.
        q: Variance of both, above 0.
        apart: d, from 0 to 2.
    """
    along, across = np.sqrt(q * (2 - apart) / 2), np.sqrt(q * apart / 2)
    before = np.nan
    for n in _HALVES:
        s = np.arange(-n, n + 1) * (END / n)
        weights = np.exp(-(s**2) / 2) * (END / n / np.sqrt(2 * np.pi))
        middle, reach = along * s[:, np.newaxis], across * s[n:]  # even in t, and 0 at t = 0
        gap = float(weights @ (g(middle + reach) - g(middle - reach)) ** 2 @ weights[n:])
        if abs(gap - before) <= _AGREE * gap:
            return gap
        before = gap
    return float("nan")
