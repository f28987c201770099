"""Averages over two correlated Gaussian pre-activations, to 1e-10 at kinks and near c = ±1."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from heinit_sim.quadrature import average

Array = NDArray[np.float64]

# As for one Gaussian: the density beyond ±10 holds 1e-23, and an activation has its features at
# kinks and at powers of two of the pre-activation.
_END = 10.0
_UNITS = np.arange(-_END, _END + 1)
_POWERS = 2.0 ** np.arange(-3, 41)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
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
    edges = [_UNITS, features]
    if c != 0:
        smoothed = np.array([0.0, *kinks])[:, np.newaxis] / root / c + s / c * _UNITS
        edges += [features / c, smoothed.ravel()]
    z1, outer = _panels(np.concatenate(edges)[np.newaxis])
    z1, outer = z1[outer > 0], outer[outer > 0]
    inner = np.empty_like(z1)
    for start in range(0, len(z1), _ROWS):
        rows = z1[start : start + _ROWS, np.newaxis]
        units = np.broadcast_to(_UNITS, (len(rows), len(_UNITS)))
        z2, weights = _panels(np.concatenate([units, (features - c * rows) / s], axis=1))
        inner[start : start + _ROWS] = np.vecdot(weights, g(root * (c * rows + s * z2)))
    return float(np.vecdot(outer, g(root * z1) * inner))


def _features(root: float, kinks: tuple[float, ...]) -> Array:
    """Where g changes, on the scale of z, as far as two Gaussians reach."""
    powers = _POWERS[root * 2 * _END > _POWERS]
    return np.concatenate([powers, -powers, kinks, [0.0]]) / root


def _panels(edges: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights of the normal average, (n, n_nodes), from panel edges."""
    edges = np.sort(np.clip(edges, -_END, _END), axis=1)
    middle, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    z = (middle[..., np.newaxis] + half[..., np.newaxis] * _POINTS).reshape(len(edges), -1)
    weights = (half[..., np.newaxis] * _WEIGHTS).reshape(len(edges), -1)
    return z, weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
