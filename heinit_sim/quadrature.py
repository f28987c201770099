"""Gaussian averages E[g(√q z)], z ~ N(0, 1), good to 1e-10 for any activation and any q.

But for the variance of an activation that is all but constant, a(0) ≠ 0 and q below 1e-12, which
rounding limits to 1e-16 of E[a]².
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation

Array = NDArray[np.float64]

# The normal density beyond ±10 holds 1e-23. Panels end at every unit of z, at every kink, and at
# powers of two of the pre-activation: an activation has its features at a pre-activation of about
# 1, wherever that lies on the scale of z.
END = 10.0
UNITS = np.arange(-END, END + 1)
POWERS = 2.0 ** np.arange(-3, 41)
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_TOGETHER = 256  # values of q at a time: their nodes stay in the cache
# √q over the period from which on a Gaussian, taken round, is uniform to 1e-17: e^−2(πx)² of it.
_WRAPPED = 1.42


class LayerMoments(NamedTuple):
    """Moments of a(f) and a'(f), f ~ N(0, q); each of the shape of q."""

    mean: Array  # E[a]
    second: Array  # E[a²]
    variance: Array  # E[(a − E[a])²]
    slope: Array  # E[a'²]


def about(activation: Activation, mean: float) -> Activation:
    """a(mean + ·), whose averages over N(0, q) are those of a over N(mean, q)."""
    if mean == 0:
        return activation
    features = np.concatenate([activation.kinks, [0.0], POWERS, -POWERS]) - mean

    def value(z: Array, out: Array) -> Array:
        return activation.value(z + mean, out)

    def derivative(z: Array) -> Array:
        return np.asarray(activation.derivative(z + mean), float)

    return Activation(value, derivative, kinks=tuple(features.tolist()), period=activation.period)


def average(g: Callable[[Array], Array], q: Array, kinks: tuple[float, ...] = ()) -> Array:
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
    averages: Array = np.vecdot(weights, g(np.sqrt(flat)[:, np.newaxis] * z))
    return averages.reshape(np.shape(q))


def layer_moments(activation: Activation, q: Array) -> LayerMoments:
    """What mean field needs of an activation at the pre-activation variances q.

    Not finite where a or its square is past float range.
    """
    flat = wrapped(activation, np.atleast_1d(np.asarray(q, float)).ravel())
    z, weights = _nodes(np.sqrt(flat), activation.kinks)
    f = np.sqrt(flat)[:, np.newaxis] * z
    a = activation.value(f, np.empty_like(f))
    with np.errstate(over="ignore", invalid="ignore"):  # of one's own, which may grow fast
        mean = np.vecdot(weights, a)
        moments = (
            mean,
            np.vecdot(weights, a**2),
            np.vecdot(weights, (a - mean[:, np.newaxis]) ** 2),
            np.vecdot(weights, np.asarray(activation.derivative(f), float) ** 2),
        )
    return LayerMoments(*(moment.reshape(np.shape(q)) for moment in moments))


def wrapped(activation: Activation, q: Array) -> Array:
    """The variances, none so large that averages of a periodic function no longer depend on it."""
    return np.minimum(q, (_WRAPPED * activation.period) ** 2)


def wrapped_pair(activation: Activation, q: float, apart: float) -> tuple[float, float]:
    """Variance and 1 − correlation of two pre-activations, likewise.

    Of their sum and of their difference, which are independent, each enters round a period.
    """
    most = 2 * (_WRAPPED * activation.period) ** 2
    along, across = min(q * (2 - apart), most), min(q * apart, most)
    return (along + across) / 2, 2 * across / (along + across)


def _nodes(root: Array, kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Nodes z and weights of E[·] for each √q, (n, n_nodes)."""
    features = np.concatenate([POWERS, -POWERS, kinks, [0.0]]) / root[:, np.newaxis]
    units = np.broadcast_to(UNITS, (len(root), len(UNITS)))
    return panels(np.concatenate([units, features], axis=1))


def panels(edges: Array) -> tuple[Array, Array]:
    """Gauss–Legendre nodes and weights of the normal average, (n, n_nodes), from panel edges."""
    edges = np.sort(np.clip(edges, -END, END), axis=1)
    middle, half = (edges[:, 1:] + edges[:, :-1]) / 2, (edges[:, 1:] - edges[:, :-1]) / 2
    z = (middle[..., np.newaxis] + half[..., np.newaxis] * _POINTS).reshape(len(edges), -1)
    weights = (half[..., np.newaxis] * _WEIGHTS).reshape(len(edges), -1)
    return z, weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def even_moments(activation: Activation, q: Array) -> tuple[Array, Array, Array]:
    """E[a²], E[a⁴]/E[a²]² and E[a⁶]/E[a²]³ at the pre-activation variances q, a vector."""
    moments = []
    q = wrapped(activation, q)
    for some in np.array_split(q, -(-len(q) // _TOGETHER) or 1):
        z, weights = _nodes(np.sqrt(some), activation.kinks)
        f = np.sqrt(some)[:, np.newaxis] * z
        a = activation.value(f, np.empty_like(f))
        with np.errstate(over="ignore", invalid="ignore"):  # as in `layer_moments`
            second = np.vecdot(weights, a**2)
            a2 = a**2 / second[:, np.newaxis]  # whose powers stay within range
            moments.append([second, np.vecdot(weights, a2**2), np.vecdot(weights, a2**3)])
    second, fourth, sixth = np.concatenate(moments, axis=1)
    return second, fourth, sixth
