"""Gaussian averages E[g(√q z)], z ~ N(0, 1), good to 1e-10 for any activation and any q.

But for the variance of an activation that is all but constant, a(0) ≠ 0 and q below 1e-12, which
rounding limits to 1e-16 of E[a]².
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.numerics import FloatArray

# The normal density beyond ±10 holds 1e-23. Panels end at every unit of z, at every kink, and at
# powers of two of the pre-activation: an activation has its features at a pre-activation of about
# 1, wherever that lies on the scale of z.
END = 10.0
UNITS = np.arange(-END, END + 1)
POWERS = 2.0 ** np.arange(-3, 41)
_RULE = np.polynomial.legendre.leggauss(12)
_COARSE_RULE = np.polynomial.legendre.leggauss(8)  # 1e-10 of a double average, in half the time
_TOGETHER = 256  # values of q at a time: their nodes stay in the cache
# √q over the period from which on a Gaussian, taken round, is uniform to 1e-17: e^−2(πx)² of it.
_WRAPPED = 1.42


class LayerMoments(NamedTuple):
    """Moments of a(f) and a'(f), f ~ N(0, q); each of the shape of q."""

    mean: FloatArray  # E[a]
    second: FloatArray  # E[a²]
    variance: FloatArray  # E[(a − E[a])²]
    slope: FloatArray  # E[a'²]


def shifted(activation: Activation, mean: float) -> Activation:
    """a(mean + ·), whose averages over N(0, q) are those of a over N(mean, q)."""
    if mean == 0:
        return activation
    mean = math.remainder(mean, activation.period)

    def value(z: FloatArray, out: FloatArray) -> FloatArray:
        return activation.value(z + mean, out)

    def derivative(z: FloatArray) -> FloatArray:
        return np.asarray(activation.derivative(z + mean), float)

    kinks = tuple(kink - mean for kink in activation.kinks)
    return Activation(value, derivative, kinks=kinks, period=activation.period)


def about(activation: Activation, mean: float) -> Activation:
    """a(mean + ·), with panels that end where its features are, as `layer_moments` takes it."""
    if mean == 0:
        return activation
    mean = math.remainder(mean, activation.period)
    features = np.concatenate([activation.kinks, [0.0], POWERS, -POWERS]) - mean
    return replace(shifted(activation, mean), kinks=tuple(features.tolist()))


def average(
    g: Callable[[FloatArray], FloatArray], q: FloatArray, kinks: tuple[float, ...] = ()
) -> FloatArray:
    """E[g(√q z)] over z ~ N(0, 1).

    Args:
        g: A function of the pre-activation, elementwise; smooth but for its kinks.
        q: Variances of the pre-activation, above 0, of any shape.
        kinks: Where g or a derivative of it jumps.

    Returns:
        The averages, in the shape of q.
    """
    flat = np.atleast_1d(np.asarray(q, float)).ravel()
    z, weights = _nodes(np.sqrt(flat), kinks)
    averages: FloatArray = np.vecdot(weights, g(np.sqrt(flat)[:, np.newaxis] * z))
    return averages.reshape(np.shape(q))


def layer_moments(activation: Activation, q: FloatArray) -> LayerMoments:
    """Moments of an activation and its slope at the pre-activation variances q.

    Not finite where a or its square is past float range.
    """
    weights, f, a = _values(activation, np.atleast_1d(np.asarray(q, float)).ravel())
    with np.errstate(over="ignore", invalid="ignore"):  # of one's own, which may grow fast
        mean = np.vecdot(weights, a)
        moments = (
            mean,
            np.vecdot(weights, a**2),
            np.vecdot(weights, (a - mean[:, np.newaxis]) ** 2),
            np.vecdot(weights, np.asarray(activation.derivative(f), float) ** 2),
        )
    return LayerMoments(*(moment.reshape(np.shape(q)) for moment in moments))


ORDERS = 24
"""Hermite polynomials of a a' that are kept: what a kink puts beyond them is 1e-3 of its mean
square."""


def along_moments(activation: Activation, q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """E[(a a')²] and E[a a' He_n(z)/√n!] for n below `ORDERS`, f = √q z, the latter (n, *q.shape).

    Not finite where they are past float range.
    """
    flat = np.atleast_1d(np.asarray(q, float)).ravel()
    weights, f, a = _values(activation, flat)
    z = f / np.sqrt(wrapped(activation, flat))[:, np.newaxis]
    with np.errstate(over="ignore", invalid="ignore"):  # as in `layer_moments`
        product = a * np.asarray(activation.derivative(f), float)
        second = np.vecdot(weights, product**2)
        weighted = weights * product
        before, hermite = np.zeros_like(z), np.ones_like(z)
        coefficients = [np.vecdot(weighted, hermite)]
        for n in range(1, ORDERS):
            after = (z * hermite - math.sqrt(n - 1) * before) / math.sqrt(n)
            before, hermite = hermite, after
            coefficients.append(np.vecdot(weighted, hermite))
    shape = np.shape(q)
    return second.reshape(shape), np.array(coefficients).reshape(ORDERS, *shape)


def wrapped(activation: Activation, q: FloatArray) -> FloatArray:
    """The variances, none so large that averages of a periodic function no longer depend on it."""
    return np.minimum(q, (_WRAPPED * activation.period) ** 2)


def wrapped_pair(activation: Activation, q: float, gap: float) -> tuple[float, float]:
    """Variance and 1 − correlation of two pre-activations that `wrapped` takes.

    Their sum and their difference are independent, and each enters round a period.
    """
    most = 2 * (_WRAPPED * activation.period) ** 2
    along, across = min(q * (2 - gap), most), min(q * gap, most)
    return (along + across) / 2, 2 * across / (along + across)


def _values(activation: Activation, q: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights of the average, pre-activations f and activations a[f], each (len(q), n_nodes)."""
    root = np.sqrt(wrapped(activation, q))
    z, weights = _nodes(root, activation.kinks)
    f = root[:, np.newaxis] * z
    return weights, f, activation.value(f, np.empty_like(f))


def _nodes(root: FloatArray, kinks: tuple[float, ...]) -> tuple[FloatArray, FloatArray]:
    """Nodes z and weights of E[·] for each √q, (n, n_nodes)."""
    features = np.concatenate([POWERS, -POWERS, kinks, [0.0]]) / root[:, np.newaxis]
    units = np.broadcast_to(UNITS, (len(root), len(UNITS)))
    return panels(np.concatenate([units, features], axis=1))


def panels(
    edges: FloatArray, rule: tuple[FloatArray, FloatArray] = _RULE
) -> tuple[FloatArray, FloatArray]:
    """Gauss–Legendre nodes and weights of the normal average, (n, n_nodes), from panel edges."""
    z, weights = _panels(edges, END, rule)
    return z, weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _panels(
    edges: FloatArray, end: float, rule: tuple[FloatArray, FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the integral from −end to end, (n, n_nodes)."""
    points, shares = rule
    edges = np.sort(np.clip(edges, -end, end), axis=1)
    middle, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    nodes = (middle[..., np.newaxis] + half[..., np.newaxis] * points).reshape(len(edges), -1)
    return nodes, (half[..., np.newaxis] * shares).reshape(len(edges), -1)


def even_moments(activation: Activation, q: FloatArray) -> tuple[FloatArray, ...]:
    """E[a²], E[a⁴]/E[a²]² and E[a⁶]/E[a²]³ at the pre-activation variances q, a vector."""
    moments = []
    for part in np.array_split(q, -(-len(q) // _TOGETHER) or 1):
        weights, _, a = _values(activation, part)
        with np.errstate(over="ignore", invalid="ignore"):  # as in `layer_moments`
            second = np.vecdot(weights, a**2)
            a2 = a**2 / second[:, np.newaxis]  # whose powers stay within range
            moments.append([second, np.vecdot(weights, a2**2), np.vecdot(weights, a2**3)])
    return tuple(np.concatenate(moments, axis=1))


_ROWS = 64  # inner integrals at a time: their nodes stay in the cache
_HALVES = (25, 50, 100, 200)  # steps to either side
_NARROW = 30.0  # q of which three of these may do
_AGREE = 1e-7  # relative
_NEGLIGIBLE = 1e-18  # weights of t


def pair_average(
    g: Callable[[FloatArray], FloatArray],
    q: float,
    correlation: float,
    kinks: tuple[float, ...] = (),
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
    powers = POWERS[root * 2 * END > POWERS]  # as far as two Gaussians reach
    features = np.concatenate([powers, -powers, kinks, [0.0]]) / root
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


def product_of_values(activation: Activation, q: float, correlation: float) -> float:
    """E[a(u₁) a(u₂)] over u₁, u₂ ~ N(0, q) of that correlation."""
    return pair_average(
        lambda u: activation.value(u, np.empty_like(u)), q, correlation, activation.kinks
    )


def product_of_slopes(activation: Activation, q: float, correlation: float) -> float:
    """E[a'(u₁) a'(u₂)] over u₁, u₂ ~ N(0, q) of that correlation, at kinks as well."""
    return pair_average(
        lambda u: np.asarray(activation.derivative(u), float), q, correlation, activation.kinks
    )


def smooth_gap(
    g: Callable[[FloatArray], FloatArray],
    q: float,
    gap: float,
    halves: tuple[int, ...] = _HALVES,
) -> float:
    """E[(g(u₁) − g(u₂))²]/2 = E[g(u₁)²] − E[g(u₁) g(u₂)] of a function without kinks.

    With d = 1 − c, u = √(q (2−d)/2) s ± √(q d/2) t of independent s and t: all digits of a small d
    are kept. The trapezoidal rule squares its error as its step is halved, so that two that agree
    to 1e-7 leave 1e-14. NaN where none do, as of a function that is all but a step.

    Args:
        g: A function of the pre-activation, elementwise.
        q: Variance of both, above 0.
        gap: d, from 0 to 2.
        halves: Steps to either side, the coarsest first.
    """
    along, across = np.sqrt(q * (2 - gap) / 2), np.sqrt(q * gap / 2)
    coarser = np.nan
    for n in halves:
        s, s_weights = _steps(n if along > across else math.ceil(n * along / across))
        t, t_weights = _steps(n if across > along else math.ceil(n * across / along))
        ahead = slice(len(t) // 2 + 1, None)  # even in t, and 0 at t = 0
        middle, reach = along * s[:, np.newaxis], across * t[ahead]
        squares = (g(middle + reach) - g(middle - reach)) ** 2
        difference = float(s_weights @ squares @ t_weights[ahead])
        if abs(difference - coarser) <= _AGREE * difference:
            return difference
        coarser = difference
    return np.nan


def _steps(n: int) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of the trapezoidal rule, n to either side, at least the fewest."""
    n = max(n, _HALVES[0])
    s = np.arange(-n, n + 1, dtype=float) * (END / n)
    weights: FloatArray = np.exp(-(s**2) / 2) * (END / n / np.sqrt(2 * np.pi))
    return s, weights


def kinked_gap(
    g: Callable[[FloatArray], FloatArray], q: float, gap: float, kinks: tuple[float, ...]
) -> float:
    """E[(g(u₁) − g(u₂))²]/2 of a function with kinks or jumps; u₁ and u₂ as in `smooth_gap`.

    For each t the panels of s end where u₁ or u₂ is at a kink. Those of t end where kinks of both
    meet, as the average over s has kinks there.

    Args:
        g: A function of the pre-activation, elementwise; smooth but for its kinks.
        q: Variance of both, above 0.
        gap: d, from 0 to 2.
        kinks: Where g or a derivative of it jumps.
    """
    if gap == 0:
        return 0.0
    along, across = max(np.sqrt(q * (2 - gap) / 2), 1e-100), np.sqrt(q * gap / 2)
    powers = POWERS[np.sqrt(q) * 2 * END > POWERS]
    features = np.concatenate([powers, -powers, kinks, [0.0]])
    apart = np.abs(np.subtract.outer(kinks, kinks)).ravel() / 2
    ends = [powers / across, apart / across, UNITS]
    if gap > 1:  # for t of a unit of s around it, a kink passes through the average over s
        ends.append((np.abs(kinks)[:, np.newaxis] + along * UNITS).ravel() / across)
    t, outer = panels(np.maximum(np.concatenate(ends), 0.0)[np.newaxis], _COARSE_RULE)
    t, outer = t[outer > _NEGLIGIBLE], outer[outer > _NEGLIGIBLE]
    total = 0.0
    for start in range(0, len(t), _ROWS):
        reach = across * t[start : start + _ROWS, np.newaxis]
        units = np.broadcast_to(UNITS, (len(reach), len(UNITS)))
        crossings = [(features - reach) / along, (features + reach) / along]
        s, weights = panels(np.concatenate([units, *crossings], axis=1), _COARSE_RULE)
        differences = g(along * s + reach) - g(along * s - reach)
        total += float(outer[start : start + _ROWS] @ np.vecdot(weights, differences**2))
    return total


# Panels of 8 nodes that end at x and 2x, of 12 at x and 4x, leave 3e-12 of a function with its
# features at 0; those that decay as e^−u² are as fast as that from 1 to 8.
_RADII = np.array([0.0, *4.0 ** np.arange(-6, -2), *2.0 ** np.arange(-4, 2), 3.5, 5.0, 7.0, END])
_RADIAL_POWERS = np.union1d(POWERS[1::2], [2.0, 8.0])
_EIGHTHS = np.arange(-2, 3) * (math.pi / 4)
_APART = 4.0  # a feature at x is the same of both where they are less than x/4 apart


def radial_gap(g: Callable[[FloatArray], FloatArray], q: float, gap: float) -> float:
    """E[(g(u₁) − g(u₂))²]/2 of a function with its kinks and features about 0; u as above.

    In polar coordinates: with sin β = √(d/2), u₁ = √q ρ sin(β − φ) and u₂ = −√q ρ sin(β + φ),
    averaged over φ from −π/2 to π/2 and over ρ of density ρ e^(−ρ²/2). Panels of φ end where u₁ or
    u₂ is at a feature; of ρ few are needed, as the average over φ depends on the logarithm of ρ.

    Args:
        g: A function of the pre-activation, elementwise; smooth but at 0.
        q: Variance of both, above 0.
        gap: d, from 0 to 2.
    """
    root, sine, cosine = math.sqrt(q), math.sqrt(gap / 2), math.sqrt((2 - gap) / 2)
    beta = math.atan2(sine, cosine)
    points, shares = _COARSE_RULE
    ends = _RADII[(_RADII == 0) | (_RADII >= 1) | (root * _RADII > POWERS[0])]
    total = 0.0
    for low, high in itertools.pairwise(ends.tolist()):
        rho = (high + low) / 2 + (high - low) / 2 * points
        outer = (high - low) / 2 * shares * rho * np.exp(-(rho**2) / 2)
        radius = root * rho[:, np.newaxis]
        powers = _RADIAL_POWERS[radius[-1] > _RADIAL_POWERS]
        angles = np.arcsin(np.minimum(powers / radius, 1.0))
        near, far = np.split(angles, [np.searchsorted(powers, _APART * sine * radius[-1, 0])], 1)
        first = beta + np.concatenate([near, np.zeros_like(radius), -near], axis=1)
        eighths = np.broadcast_to(_EIGHTHS, (len(rho), len(_EIGHTHS)))
        edges = np.concatenate(
            [eighths, far, -far, first, -first, math.pi - first, first - math.pi], axis=1
        )
        edges = np.sort(np.clip(edges, -math.pi / 2, math.pi / 2), axis=1)
        wide = (edges[:, 1:] > edges[:, :-1]).any(axis=0)  # most features lie out of reach
        phi, weights = _panels(edges[:, np.append(True, wide)], math.pi / 2, _RULE)
        middle, reach = radius * cosine * np.sin(phi), radius * sine * np.cos(phi)
        differences = g(middle + reach) - g(middle - reach)
        total += float(outer @ np.vecdot(weights, differences**2))
    return total / (2 * math.pi)


def value_gap(activation: Activation, mean: float, q: float, gap: float) -> float:
    """E[(a(c + u₁) − a(c + u₂))²]/2 for u₁, u₂ ~ N(0, q) of correlation 1 − gap, c the mean."""
    moved = shifted(activation, mean)

    def value(u: FloatArray) -> FloatArray:
        return moved.value(u, np.empty_like(u))

    return _gap(value, moved, q, gap, centred=mean == 0)


def slope_gap(activation: Activation, q: float, gap: float) -> float:
    """E[(a'(u₁) − a'(u₂))²]/2 for u₁, u₂ ~ N(0, q) of correlation 1 − gap, to all digits of it."""

    def derivative(u: FloatArray) -> FloatArray:
        return np.asarray(activation.derivative(u), float)

    return _gap(derivative, activation, q, gap, centred=True)


def _gap(
    g: Callable[[FloatArray], FloatArray],
    activation: Activation,
    q: float,
    gap: float,
    *,
    centred: bool,
) -> float:
    q, gap = wrapped_pair(activation, q, gap)
    radial = centred and not any(activation.kinks)
    found = np.nan
    if math.isfinite(activation.period) or not activation.kinks:
        halves = _HALVES[:3] if radial else _HALVES
        found = smooth_gap(g, q, gap, halves) if not radial or q < _NARROW else np.nan
    if found == found:
        return found
    return radial_gap(g, q, gap) if radial else kinked_gap(g, q, gap, activation.kinks)
