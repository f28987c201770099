"""Units that are off or saturated in wide layers, and the directions that inputs still differ in.

Of a wide layer z, before an activation, the numbers of one unit are normal: of mean m and variance
q, any two inputs of one correlation c. Those at which |a'| is below 1 % of its largest make a set
S, intervals of the line, and

    P(z ∈ S) = ∫ φ(u) 1[m + √q u ∈ S] du                            a number is saturated
    P(z_1, …, z_N ∈ S) = ∫ φ(t) P(m + √q (√c t + √(1−c) u) ∈ S)^N dt       a unit is off

u ~ N(0, 1): given what they have in common, t, the inputs are independent. For ReLU S is z ≤ 0, and
the second an orthant probability.

Directions: f_k = Ω_k h_k of normal weights, D of them, takes the inner products G of the inputs
about their mean to G', with

    E (tr G')² = D² (tr G)² + 2 D tr G²,    E tr G'² = D (tr G)² + D (D + 1) tr G²

over σ⁴, so that r = E tr G²/E (tr G)² becomes ((D + 1) r + 1)/(D + 2 r). N normal inputs have
r = (D_0 + N)/(D_0 (N − 1) + 2); to first order in 1/D each layer adds 1/D to r.

Sources: Tong 1990, The multivariate normal distribution, sec. 8.2.5; moments of Wishart matrices by
Wick's theorem.
"""

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from heinit_sim.activations import activation_of, flat_slope
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.records import RATIOS, RatioMeasure
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.special_functions import cumulative
from heinit_sim.theory.assumptions import (
    has_exchangeable_inputs,
    has_normal_biases,
    linear_layers,
)
from heinit_sim.theory.infinite_width.gaps import input_gap
from heinit_sim.theory.infinite_width.mean_field import forward
from heinit_sim.theory.infinite_width.rows import Passed
from heinit_sim.theory.infinite_width.signals import Signal, ln_of, mean_of

Intervals = tuple[tuple[float, float], ...]

_BEYOND = 30.0  # where a slope is taken to go on as it is
_GRID = np.linspace(-_BEYOND, _BEYOND, 60_001)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_END = 12.0  # of the standard normal law
# Ends of panels about an edge of S, in widths √((1 − c)/c) of the step that P(z ∈ S) makes there;
# the N-th power of a step moves by √(2 ln N) of them.
_ABOUT_EDGE = np.array([-8.0, -5.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0])
_LEAST_SHARE = 1e-24  # of variance in common, or apart, below which there is none


@np.errstate(divide="ignore", invalid="ignore")  # NaN is what is not known
def unit_ratios(
    condition: Condition, moments: Mapping[Measure, FloatArray]
) -> dict[RatioMeasure, FloatArray]:
    """Shares of units and numbers, and participation ratios, each of shape (K+1,).

    Shares are those of infinitely wide layers, of h_1 … h_K. Participation ratios are known of
    linear networks of normal weights and inputs, else of h_0 and f_0 alone: one over the mean of
    their inverse, networks of long inputs counting more. NaN where nothing is known.

    Args:
        condition: The network and its inputs.
        moments: log10 second moments of its layers, as `mean_field` gives them.
    """
    ratios = {measure: np.full(condition.depth + 1, math.nan) for measure in RATIOS["units"]}
    if has_normal_biases(condition):
        passed = forward(condition, ln_of(input_gap(condition.inputs, condition.widths[0])))
        n_inputs = condition.n_inputs if has_exchangeable_inputs(condition) else None
        for k, layer in enumerate(passed[:-1]):
            if not math.isnan(moments["activation", "second_moment"][k + 1]):
                off, saturated = _layer_shares(layer, n_inputs)
                ratios["activation", "off_share"][k + 1] = off
                ratios["activation", "saturated_share"][k + 1] = saturated
    f, h = _participation(condition)
    ratios["preactivation", "participation_ratio"][: len(f)] = f
    ratios["activation", "participation_ratio"][: len(h)] = h
    return ratios


def _layer_shares(layer: Passed, n_inputs: int | None) -> tuple[float, float]:
    """P(unit is off) and P(number is saturated) over all activations of a row."""
    found = []
    for bound, z in zip(layer.way.steps, layer.signals, strict=False):
        if isinstance(bound.step, Activate):
            found.append(_shares(activation_of(bound.step), z, n_inputs))
    if len(set(found)) != 1:  # none, or activations of their own share of the units
        return math.nan, math.nan
    return found[0]


def _shares(activation: Activation, z: Signal, n_inputs: int | None) -> tuple[float, float]:
    flat = flat_intervals(activation)
    if flat is None or z.law != "gaussian" or np.ndim(z.ln_variance):
        return math.nan, math.nan
    ln_variance, mean = float(z.ln_variance), mean_of(z)
    std = math.exp(min(ln_variance / 2, 700.0))
    edges = [_standardised(edge, mean, std) for interval in flat for edge in interval]
    intervals = tuple(zip(edges[::2], edges[1::2], strict=True))
    if any(map(math.isnan, edges)):
        return math.nan, math.nan
    saturated = float(_probability(intervals, np.zeros(1), 1.0)[0])
    if n_inputs == 1:
        return saturated, saturated
    gap = math.exp(z.ln_gap + float(z.ln_second) - ln_variance)  # of z − m
    if n_inputs is None or math.isnan(gap):
        return math.nan, saturated
    return off_probability(intervals, gap, n_inputs), saturated


def _standardised(edge: float, mean: float, std: float) -> float:
    distance = edge - mean
    if std == 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / std


def off_probability(intervals: Intervals, gap: float, n_inputs: int) -> float:
    """Probability that N standard-normal numbers of one correlation are all in these intervals.

    Args:
        intervals: S, in ascending order.
        gap: 1 − c of any two of the numbers; above 1 for two numbers alone.
        n_inputs: N, two or more.

    Returns:
        NaN for a negative correlation of more than two numbers.
    """
    gap = min(max(gap, 0.0), 2.0)
    if gap > 1:
        return _opposed(intervals, gap) if n_inputs == 2 else math.nan
    if gap < _LEAST_SHARE:
        return float(_probability(intervals, np.zeros(1), 1.0)[0])
    if 1 - gap < _LEAST_SHARE:
        return float(_probability(intervals, np.zeros(1), 1.0)[0]) ** n_inputs
    common = math.sqrt(1 - gap)
    t, weights = _panels(intervals, 1 / common, math.sqrt(gap) / common)
    inside = _probability(intervals, common * t, math.sqrt(gap))
    return float(weights @ inside**n_inputs)


def _opposed(intervals: Intervals, gap: float) -> float:
    """The probability for two numbers of negative correlation, the second given the first."""
    correlation, std = 1 - gap, math.sqrt(gap * (2 - gap))
    t, weights = _panels(intervals, 1 / correlation, std / abs(correlation))
    within = np.zeros(len(t), bool)
    for low, high in intervals:
        within |= (t > low) & (t < high)
    with np.errstate(divide="ignore"):  # of numbers that are opposite
        second = _probability(intervals, correlation * t, std)
    return float(weights @ (within * second))


def _panels(intervals: Intervals, scale: float, width: float) -> tuple[FloatArray, FloatArray]:
    """Nodes and weights of ∫ φ(t) … dt, in panels that end where the integrand bends.

    Args:
        intervals: S.
        scale: The edges of S are at this factor of themselves.
        width: Of the steps at these edges.
    """
    edges = np.array([edge for interval in intervals for edge in interval])
    edges = edges[np.isfinite(edges)]
    about = (scale * edges[:, np.newaxis] + width * _ABOUT_EDGE).ravel()
    ends = np.concatenate([np.arange(-_END, _END + 1), edges, about])
    ends = np.unique(np.clip(ends, -_END, _END))
    halves = np.diff(ends) / 2
    t = ((ends[:-1] + halves)[:, np.newaxis] + halves[:, np.newaxis] * _NODES).ravel()
    weights = (halves[:, np.newaxis] * _WEIGHTS).ravel()
    return t, weights * np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)


def _probability(intervals: Intervals, mean: FloatArray, std: float) -> FloatArray:
    """P(mean + std u ∈ S), u ~ N(0, 1); differences are taken in the tail where they are small."""
    total = np.zeros_like(mean)
    for low, high in intervals:
        a, b = (low - mean) / std, (high - mean) / std
        above = a > 0
        a, b = np.where(above, -b, a), np.where(above, -a, b)
        total += cumulative(b) - cumulative(a)
    return np.minimum(total, 1.0)


@lru_cache(256)
def flat_intervals(activation: Activation) -> Intervals | None:
    """Where |a'| is below 1 % of its largest; None of a periodic function, which has no end."""
    if math.isfinite(activation.period):
        return None

    def is_flat(z: FloatArray) -> FloatArray:
        slopes = np.abs(np.asarray(activation.derivative(z), float))
        return np.asarray(slopes < flat_slope(activation), float)

    flat = is_flat(_GRID)
    changes = np.flatnonzero(np.diff(flat))
    low, high, before = _GRID[changes], _GRID[changes + 1], flat[changes]
    for _ in range(60):
        middle = (low + high) / 2
        left = is_flat(middle) == before
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    at_kinks = np.array(activation.kinks)
    if len(at_kinks):
        nearest = at_kinks[np.abs(high[:, np.newaxis] - at_kinks).argmin(axis=1)]
        high = np.where(np.abs(high - nearest) < 1e-9, nearest, high)
    edges = high.tolist()
    if flat[0]:
        edges = [-math.inf, *edges]
    if flat[-1]:
        edges = [*edges, math.inf]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _participation(condition: Condition) -> tuple[list[float], list[float]]:
    """Participation ratios of f_0, f_1, … and of h_0, h_1, …, as far as they are known."""
    n, count = condition.n_inputs - 1, linear_layers(condition)
    if n == 0 or count == 0 or condition.inputs.std == 0:
        return [], []
    widths = condition.widths
    inverse = (widths[0] + n + 1) / (widths[0] * n + 2)
    f, h = list[float](), [1 / inverse]
    for width in widths[1 : count + 1]:
        inverse = ((width + 1) * inverse + 1) / (width + 2 * inverse)
        f.append(1 / inverse)
        h.append(1 / inverse)
    return f, h[:count]
