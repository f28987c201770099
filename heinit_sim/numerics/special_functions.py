"""The normal law in NumPy: its density, its distribution function, and erf."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.polynomial import chebyshev

from heinit_sim.numerics import FloatArray

# Below _SMALL erf is fitted itself, so that it keeps its digits near zero; beyond, exp(x²) erfc(x)
# is, in the variable (x − _CENTRE)/(x + _CENTRE), which maps 0 … ∞ to −1 … 1 (Schonfelder 1978).
_SMALL, _CENTRE = 1.0, 3.75
_FAR = 40.0  # exp(−x²) is zero from 27.3 on


def erf(x: FloatArray) -> FloatArray:
    """The error function (2/√π) ∫_0^x exp(−t²) dt, good to a few units in the last place."""
    size = np.abs(x)
    near = size < _SMALL
    inside = np.where(near, size, 0.0)
    small = inside * chebyshev.chebval(2 * inside**2 / _SMALL**2 - 1, _erf_series())
    result: FloatArray = np.copysign(np.where(near, small, 1.0 - _erfc_of(size)), x)
    return result


def cumulative(z: FloatArray) -> FloatArray:
    """Φ(z), the probability that a standard normal number is below z; relative in both tails."""
    upper = 0.5 * _erfc_of(np.abs(z) / math.sqrt(2.0))
    result: FloatArray = np.where(z < 0, upper, 1.0 - upper)
    return result


def density(z: FloatArray) -> FloatArray:
    """φ(z) = exp(−z²/2)/√2π."""
    result: FloatArray = np.exp(-0.5 * np.square(np.clip(z, -_FAR, _FAR))) / math.sqrt(2 * math.pi)
    return result


def _erfc_of(size: FloatArray) -> FloatArray:
    """Erfc(x) for x ≥ 0."""
    x = np.minimum(size, _FAR)
    result: FloatArray = np.exp(-(x**2)) * chebyshev.chebval(
        (x - _CENTRE) / (x + _CENTRE), _erfc_series()
    )
    return result


@cache
def _erf_series() -> FloatArray:
    """Chebyshev coefficients of erf(x)/x in x² on 0 … _SMALL."""

    def ratio(t: float) -> float:
        x = _SMALL * math.sqrt((t + 1) / 2)
        return math.erf(x) / x

    return _interpolated(ratio, 15)


@cache
def _erfc_series() -> FloatArray:
    """Chebyshev coefficients of exp(x²) erfc(x)."""

    def scaled(t: float) -> float:
        x = _CENTRE * (1 + t) / (1 - t)
        if x < 2:
            return math.exp(x**2) * math.erfc(x)
        fraction = x  # Laplace's continued fraction x + (1/2)/(x + 1/(x + (3/2)/(x + …)))
        for n in range(120, 0, -1):
            fraction = x + n / 2 / fraction
        return 1 / fraction / math.sqrt(math.pi)

    return _interpolated(scaled, 33)


def _interpolated(function: Callable[[float], float], count: int) -> FloatArray:
    nodes = chebyshev.chebpts1(count)
    return chebyshev.chebfit(nodes, np.array([function(t) for t in nodes.tolist()]), count - 1)


# The series below are good to 1e-16 from here on; smaller arguments are moved up to it.
_SHIFT = 12


def digamma(x: FloatArray) -> FloatArray:
    """ψ(x) = d ln Γ(x)/dx for x > 0, by recurrence and the asymptotic series.

    Source: Abramowitz & Stegun 6.3.5 and 6.3.18.
    """
    y = x + _SHIFT
    below = sum(1 / (x + j) for j in range(_SHIFT))
    z = 1 / y**2
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132)))))
    result: FloatArray = np.log(y) - 0.5 / y - series - below
    return result


def trigamma(x: FloatArray) -> FloatArray:
    """ψ'(x) for x > 0, likewise.

    Source: Abramowitz & Stegun 6.4.6 and 6.4.12.
    """
    y = x + _SHIFT
    above = sum(1 / (x + j) ** 2 for j in range(_SHIFT))
    z = 1 / y**2
    series = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66)))))
    result: FloatArray = (1 + 0.5 / y + series) / y + above
    return result
