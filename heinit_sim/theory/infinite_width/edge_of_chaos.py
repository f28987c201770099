"""Where the edge of chaos lies: χ₁ = 1, in the plane of σ²_w and σ²_b.

    q = σ²_w E[a(√q z)²] + σ²_b,   1 = σ²_w E[a'(√q z)²]

Given q, both are linear in σ²_w and σ²_b, so the line needs no solver: q runs along it.

Sources: Schoenholz et al. 2017; Hayou et al. 2019.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.theory.infinite_width.quadrature import average, layer_moments, wrapped

ALMOST_ZERO, ALMOST_INFINITE = 1e-30, 1e24
"""Stand for q = 0 and q = ∞: moments differ from their limits by a relative 1e-12 at most."""
STEPS = 8  # of a search for q, per factor of two
_ROUNDING = 1e-12
_GRID = 2.0 ** (np.arange(-40 * STEPS, 40 * STEPS + 1) / STEPS)


class CriticalLine(NamedTuple):
    """The points of the edge of chaos at given q*, each of the shape of q*."""

    weight_scale: FloatArray  # σ²_w
    bias_variance: FloatArray  # σ²_b; below 0 where no bias has that q*
    attracting: Mask  # whether the length map is drawn to q*


@dataclass(frozen=True)
class Edge:
    """Where χ₁ passes 1: points (σ²_w, σ²_b), each part (n, 2) with σ²_b ascending."""

    continuous: FloatArray
    """χ₁ = 1 at the q* that is reached: the critical line, or a single critical point."""
    leap: FloatArray
    """χ₁ jumps past 1, for q* leaps or diverges."""

    @property
    def points(self) -> FloatArray:
        """Both parts as one line; a leap lies below the critical line, but above a point."""
        parts = (self.leap, self.continuous)
        return np.concatenate(parts if len(self.continuous) > 1 else parts[::-1])


def length_slopes(activation: Activation, q: FloatArray) -> FloatArray:
    """Slope of E[a(√q z)²] in q, which is E[a a' f] / q with f = √q z, for q > 0."""

    def product(f: FloatArray) -> FloatArray:
        return activation.value(f, np.empty_like(f)) * activation.derivative(f) * f

    q = wrapped(activation, q)
    return average(product, q, activation.kinks) / q


def critical_line(activation: Activation, q: FloatArray) -> CriticalLine:
    """σ²_w = 1/E[a'(√q z)²] and σ²_b = q − σ²_w E[a(√q z)²], for q > 0.

    A fixed point attracts if the slope of the length map is at most 1 there.
    """
    moments = layer_moments(activation, q)
    scale = 1 / moments.slope
    attracting = scale * length_slopes(activation, q) <= 1 + _ROUNDING
    return CriticalLine(scale, q - scale * moments.second, attracting)


@cache
def critical_weight_variance(activation: Activation, bias_variance: float) -> float:
    """The σ²_w on the edge of chaos for that σ²_b.

    NaN where there is none: a rectifier has one at σ²_b = 0 only (with biases, q* diverges where
    χ₁ reaches 1), GELU, SiLU and Mish have none for small biases (their length map leaves the
    critical q*), softplus none at all.
    """
    slope = activation.common_slope
    if slope is not None:
        return 2 / (1 + slope**2) if bias_variance == 0 else np.nan
    if bias_variance == 0 and activation.value(np.zeros(1), np.empty(1))[0] == 0:
        small = critical_line(activation, np.array([ALMOST_ZERO, 2.0**-10]))
        return float(small.weight_scale[0]) if small.attracting[1] else np.nan

    def missing(q: FloatArray) -> FloatArray:
        return bias_variance - critical_line(activation, q).bias_variance

    octaves = _GRID[::STEPS]
    short = missing(octaves)
    falls = np.flatnonzero((short[:-1] >= 0) & (short[1:] < 0))
    if not falls.size:
        return np.nan
    q = crossing(missing, *octaves[falls[-1] : falls[-1] + 2])
    point = critical_line(activation, np.array(q))
    return float(point.weight_scale) if point.attracting else np.nan


def edge_of_chaos(activation: Activation, top: float) -> Edge:
    """The edge of chaos for σ²_b from 0 to `top`, for drawing."""
    if activation.common_slope is not None:
        rows = np.linspace(0, top, 2)
        leap = np.stack([chaos_onset(activation, rows), rows], axis=1)
        return Edge(leap[:1], leap)
    line = critical_line(activation, np.geomspace(1e-4, 1e8, 601))
    inside = line.attracting & (line.bias_variance > 0) & (line.bias_variance < top)
    points = np.stack([line.weight_scale[inside], line.bias_variance[inside]], axis=1)
    ends = np.array([(critical_weight_variance(activation, b), b) for b in (0.0, top)])
    points = np.concatenate([points, ends[np.isfinite(ends[:, 0])]])
    points = points[np.argsort(points[:, 1], kind="stable")]
    reach = points[0, 1] if len(points) else top
    rows = np.linspace(0, reach, 41) if reach > 0 else np.empty(0)
    return Edge(points, np.stack([chaos_onset(activation, rows), rows], axis=1))


def chaos_onset(activation: Activation, bias_variances: FloatArray) -> FloatArray:
    """The least σ²_w for which χ₁ ≥ 1 at the q* that inputs of unit variance reach.

    It is the critical line where there is one. Elsewhere χ₁ jumps, as q* leaps or diverges. Good
    to a few per cent there, for drawing.
    """
    slope = activation.common_slope
    if slope is not None:
        return np.full(len(bias_variances), 2 / (1 + slope**2))
    moments = layer_moments(activation, _GRID)
    onset = np.empty(len(bias_variances))
    for n, bias_variance in enumerate(bias_variances):
        low, high = 0.0, 1 / float(moments.slope.min())
        for _ in range(40):
            scale = (low + high) / 2
            grows = scale * moments.second + bias_variance > _GRID
            start = min(int(np.searchsorted(_GRID, scale + bias_variance)), len(_GRID) - 1)
            if grows[start]:
                turned = np.flatnonzero(~grows[start:])
                reached = start + turned[0] if turned.size else -1
            else:
                turned = np.flatnonzero(grows[:start])
                reached = turned[-1] if turned.size else 0
            chaotic = scale * moments.slope[reached] >= 1
            low, high = (low, scale) if chaotic else (scale, high)
        onset[n] = high
    return onset


def crossing(function: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    """Where a function, not below zero at `low`, falls below it; within a factor of two of low."""
    for _ in range(11):  # each narrows 32 times: 2^(1/32^11) is 1 to the last bit
        q = np.geomspace(low, high, 33)
        first = 1 + int(np.argmax(np.append(function(q[1:-1]) < 0, True)))
        low, high = float(q[first - 1]), float(q[first])
    return float(np.sqrt(low * high))
