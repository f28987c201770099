"""Order or chaos: how far a signal and the likeness of two signals reach into a wide network.

    length map       q → σ²_w E[a(√q z)²] + σ²_b                       z ~ N(0, 1)
    correlation map  c → (σ²_w E[a(u₁) a(u₂)] + σ²_b) / q*             u₁, u₂ ~ N(0, q*), corr. c

σ²_w = fan_in σ²_Ω, σ²_b the variance of the biases, q the variance of the pre-activations.

Sources: Poole et al. 2016; Schoenholz et al. 2017; Hayou et al. 2019.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np

from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.steps import Add
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import norm_moments
from heinit_sim.theory.assumptions import has_mean_phase, why_no_growth, why_no_phase
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.edge_of_chaos import (
    ALMOST_INFINITE,
    ALMOST_ZERO,
    STEPS,
    critical_weight_variance,
    crossing,
    length_slopes,
)
from heinit_sim.theory.infinite_width.mean_field import mean_field

Word = Literal["ordered", "critical", "chaotic"]

_LARGEST, _SMALLEST = 1e12, 1e-13  # q* beyond them is reported as ∞ and 0
_TIE = 1e-13  # relative: what the quadrature leaves of a fixed point
_LEAST_GAP = 1e-12  # of 1 − c*, for a start
_NEWTON = 1e-6  # a relative step that leaves an error of its square
_ROOTS, _ROOT_WEIGHTS = np.polynomial.legendre.leggauss(12)
_ROOTS, _ROOT_WEIGHTS = (_ROOTS + 1) / 2, _ROOT_WEIGHTS * (_ROOTS + 1) / 2  # ∫₀¹ f(t) dt, of √t
_CRITICAL = 1e-9  # χ₁ − 1 that counts as none: ten times what the quadrature promises


@dataclass(frozen=True)
class Phase:
    """Where a network lies with respect to the edge of chaos."""

    q: float
    """q*: the variance of the pre-activations in deep layers; 0 or infinity where they end so."""
    chi1: float
    """χ₁ = σ²_w E[a'(√q* z)²]: by what a squared gradient grows per layer, on its way back."""
    word: Word
    """ordered: χ₁ < 1, critical: χ₁ = 1, chaotic: χ₁ > 1. It speaks of gradients only: where q* is
    infinite, signals diverge all the same, e.g. of a critical ReLU network with biases."""
    xi_q: float
    """ξ_q in layers: a deviation from q* falls to 1/e; NaN if it grows, or if q* is infinite."""
    xi_c: float
    """ξ_c in layers: the same for the correlation of two inputs and c*; NaN if q* is 0 or infinite,
    where χ₁ is not the slope of a map of correlations."""
    c: float
    """c*: correlation of any two different inputs in deep layers; NaN if q* is 0 or infinite, or if
    every correlation stays as it is."""
    repels: float
    """Variance that the layers keep, and that those above and below it move away from; NaN if there
    is none on the way. Where it is q* itself, no signal of a finite network stays there."""
    critical_weight_variance: float
    """The σ²_w of the edge of chaos at the same σ²_b; NaN where there is none."""


@cache
def phase(activation: Activation, weight_scale: float, bias_variance: float, q0: float) -> Phase:
    """Fixed points, depth scales and phase of an infinitely wide network.

    Args:
        activation: a.
        weight_scale: σ²_w = fan_in σ²_Ω, above 0; the same in every layer.
        bias_variance: σ²_b, at least 0.
        q0: Variance of the first layer's pre-activations, above 0; decides which q* is reached.
    """
    q = length_fixed_point(activation, weight_scale, bias_variance, q0)
    chi1, length_slope = (weight_scale * slope for slope in _slopes(activation, q))
    c, excess = math.nan, math.nan
    if 0 < q < math.inf:
        c, excess = _correlation(activation, weight_scale, q, chi1)
    return Phase(
        q=q,
        chi1=chi1,
        word=_word(chi1),
        xi_q=_depth_scale(length_slope - 1 if math.isfinite(q) else math.nan),
        xi_c=_depth_scale(excess),
        c=c,
        repels=repelling_length(activation, weight_scale, bias_variance, q0),
        critical_weight_variance=critical_weight_variance(activation, bias_variance),
    )


class Growth(NamedTuple):
    """How blocks that add make signals grow, as log10 of factors of a mean square per unit."""

    blocks: int
    """Hidden layers from the first that adds on, or from layer 1 on where none does."""
    forward: tuple[float, float, float]
    """E[h²] in the first block, in the last, and over all of them; NaN where it is not known."""
    backward: tuple[float, float, float]
    """E[(∂ℓ/∂h)²] on its way back through the same, ∂ℓ/∂f_K independent of the network."""


def condition_growth(condition: Condition) -> Growth:
    """Growth over the blocks of a condition's network, whatever these are made of.

    Raises:
        ConfigError: Weights have a mean, or biases are uniform.
    """
    reason = why_no_growth(condition)
    if reason:
        raise ConfigError([reason])
    hidden = condition.layers[:-1]
    adds = (k for k, row in enumerate(hidden) if any(isinstance(step, Add) for step in row))
    blocks = condition.depth - next(adds, 1)
    moments = mean_field(condition, independent=True)
    forward, backward = (
        moments[quantity, "second_moment"][condition.depth - blocks :]
        for quantity in ("activation", "grad_activation")
    )
    return Growth(blocks, _grown(forward), _grown(-backward))


def _grown(log10: FloatArray) -> tuple[float, float, float]:
    """Decades that the first step adds, the last, and all together."""
    if len(log10) < 2:
        return math.nan, math.nan, math.nan
    with np.errstate(invalid="ignore"):  # from zeros to zeros
        first, last, whole = log10[[1, -1, -1]] - log10[[0, -2, 0]]
    return float(first), float(last), float(whole)


def condition_phase(condition: Condition, activation: Activation) -> Phase | None:
    """Phase of a condition's network, or None where it has no one σ²_w or σ²_b."""
    weight_scale = condition_weight_scale(condition, activation)
    bias_variance = condition_bias_variance(condition)
    if weight_scale is None or bias_variance is None:
        return None
    x_squared, _ = norm_moments(condition.inputs, condition.widths[0])
    q0 = condition.specs[0].weight_variance * x_squared
    q0 *= condition.fans[0][0] / condition.widths[0]  # a kernel sees a part of the image
    q0 += condition.specs[0].bias_variance
    return phase(activation, weight_scale, bias_variance, q0)


def length_fixed_point(
    activation: Activation, weight_scale: float, bias_variance: float, q0: float
) -> float:
    """q* = lim of q → σ²_w E[a(√q z)²] + σ²_b from q0; 0 or infinity where it ends so.

    E[a(√q z)²] grows with q for every activation here, so the limit is the next fixed point in
    the direction of the first step, found as fast where the map itself creeps.
    """
    alpha = activation.common_slope
    if alpha is not None:  # the map is linear
        factor = weight_scale * (1 + alpha**2) / 2
        if abs(factor - 1) <= _TIE * 10:
            return q0 if bias_variance == 0 else math.inf
        return bias_variance / (1 - factor) if factor < 1 else math.inf

    growth = _growth(activation, weight_scale, bias_variance)
    q0 = min(max(q0, 1e-100), 1e100)  # where squares stay within float range
    first = float(growth(np.array(q0)))
    if abs(first) <= _TIE:
        return q0
    at_zero = float(activation.value(np.zeros(1), np.empty(1))[0])
    least = weight_scale * at_zero**2 + bias_variance  # the map's value at 0
    end = _LARGEST if first > 0 else least / 2 or _SMALLEST
    found = _turn(growth, q0, end, math.copysign(1, first))
    if math.isnan(found):
        return math.inf if first > 0 else 0.0
    return found


def repelling_length(
    activation: Activation, weight_scale: float, bias_variance: float, q0: float
) -> float:
    """The fixed point of the length map that q0 is, or next to q0, and that q moves away from.

    Signals above and below it end elsewhere. NaN where there is none but 0.
    """
    if activation.common_slope is not None:
        return math.nan
    growth = _growth(activation, weight_scale, bias_variance)
    q0 = min(max(q0, 1e-100), 1e100)
    first = float(growth(np.array(q0)))
    if abs(first) <= _TIE:
        slope = weight_scale * float(length_slopes(activation, np.array(q0)))
        return q0 if slope > 1 else math.nan
    end = _SMALLEST if first > 0 else _LARGEST
    return _turn(growth, q0, end, -math.copysign(1, first))


def _growth(
    activation: Activation, weight_scale: float, bias_variance: float
) -> Callable[[FloatArray], FloatArray]:
    """By how much the length map makes q longer, relative to q."""

    def growth(q: FloatArray) -> FloatArray:
        second = quadrature.layer_moments(activation, q).second
        with np.errstate(over="ignore"):  # infinite growth is growth
            relative: FloatArray = (weight_scale * second + bias_variance) / q - 1
        return relative

    return growth


def _turn(
    growth: Callable[[FloatArray], FloatArray], q0: float, end: float, direction: float
) -> float:
    """Where growth changes its sign first, from q0 up (+1) or down (−1) to an end; NaN if nowhere.

    It is bracketed on a geometric grid. Two such places within 9 % may be overlooked.
    """
    steps = max(0, math.ceil(direction * STEPS * math.log2(end / q0)))
    grid = q0 * 2.0 ** (direction * np.arange(steps + 1) / STEPS)
    values = growth(grid)
    sign = math.copysign(1, values[0])
    turned = np.flatnonzero(sign * values < -_TIE)
    if not turned.size:
        return math.nan
    low, high = sorted(grid[turned[0] - 1 : turned[0] + 1].tolist())
    falls = sign * direction > 0  # from growth below the fixed point to none above it
    return crossing(growth if falls else lambda q: -growth(q), low, high)


def _slopes(activation: Activation, q: float) -> tuple[float, float]:
    """E[a'(√q z)²] and d E[a(√q z)²] / dq, at 0 and infinity as well."""
    alpha = activation.common_slope
    if alpha is not None:
        half = (1 + alpha**2) / 2
        return half, half
    at = np.array(min(max(q, ALMOST_ZERO), ALMOST_INFINITE))
    slope = float(quadrature.layer_moments(activation, at).slope)
    return slope, float(length_slopes(activation, at))


def _correlation(
    activation: Activation, weight_scale: float, q: float, chi1: float
) -> tuple[float, float]:
    """c*, and the slope of the correlation map there less 1, for a finite q* > 0.

    At q* = 0 there is neither: a smooth activation is linear there, and what angles are left stay;
    a rectifier's signals grow alike, but by a power of the depth; both whatever χ₁ < 1 may be.

    On 0 … 1 the map is a power series with terms ≥ 0 only, hence convex, and 1 is a fixed point
    of slope χ₁. So 1 attracts for χ₁ ≤ 1; else there is one other fixed point. What is sought is
    d = 1 − c*, by what it loses, whose digits are all kept however close to the edge it lies:

        map: d → d (χ₁ − loss(d)),  loss(d) = ∫₀¹ l(d t) dt,  l(d) = σ²_w E[(a'(u₁) − a'(u₂))²]/2

    of slope χ₁ − l(d). Newton's method finds loss = χ₁ − 1, in logarithms of both. Near the edge
    the loss grows as d for smooth a, hence 1 − c* ∝ χ₁ − 1, and with kinks as √d, hence
    1 − c* ∝ (χ₁ − 1)².
    """
    excess = chi1 - 1
    if _word(chi1) != "chaotic":
        unchanged = activation.common_slope == 1 and _word(chi1) == "critical"
        return (math.nan if unchanged else 1.0), excess
    gap = _LEAST_GAP
    for _ in range(60):
        lost = weight_scale * quadrature.slope_gap(activation, q, gap)
        parts = [quadrature.slope_gap(activation, q, gap * root**2) for root in _ROOTS]
        loss = weight_scale * float(_ROOT_WEIGHTS @ parts)
        step = math.log(excess / loss) * loss / (lost - loss)
        step = min(step, -math.log(gap))  # d = 1 where angles become right ones
        gap *= math.exp(step)
        if abs(step) < _NEWTON:
            break
    return 1 - gap, excess - weight_scale * quadrature.slope_gap(activation, q, gap)


def _word(chi1: float) -> Word:
    if abs(chi1 - 1) <= _CRITICAL:
        return "critical"
    return "ordered" if chi1 < 1 else "chaotic"


def _depth_scale(excess: float) -> float:
    """ξ = −1/ln(1 + excess) of a slope: infinite at 1, NaN beyond, where nothing decays."""
    if abs(excess) <= _CRITICAL:
        return math.inf
    if not -1 < excess < 0:
        return 0.0 if excess == -1 else math.nan
    return -1 / math.log1p(excess)


def condition_weight_scale(condition: Condition, activation: Activation) -> float | None:
    """σ²_w = fan_in σ²_k of the layers between hidden layers, k = 1 … K−1.

    Phases are of networks whose σ²_w is the same in all layers. Where it differs, its geometric
    mean is taken for a positively homogeneous activation without biases, whose second moments it
    keeps over the whole depth; for all others, and past float range, there is no phase, and
    None. A network of one hidden layer has no such layer: the one behind it stands for it.

    Raises:
        ConfigError: Layers differ in their activation, biases have a mean, blocks add to what
            enters them, or positions differ in how much of a kernel they see.
    """
    reason = why_no_phase(condition)
    if reason:
        raise ConfigError([reason])
    if condition.lsuv:
        return None
    layers = slice(1, max(condition.depth, 2))
    scales = np.array(condition.weight_scales[layers])
    if not np.isfinite(scales).all():
        return None
    uneven = np.ptp(scales) > _TIE * scales.max()
    if uneven and not has_mean_phase(condition):
        return None
    return float(scales[0] * np.exp(np.mean(np.log(scales / scales[0]))))


def condition_bias_variance(condition: Condition) -> float | None:
    """σ²_b of the same layers; None where it differs."""
    variances = set(condition.bias_variances[1 : max(condition.depth, 2)])
    return variances.pop() if len(variances) == 1 else None
