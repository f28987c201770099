"""The cosine of two inputs in each layer of an infinitely wide network: the correlation map.

    f_k: E[f f'] = fan_in σ²_k E[h h'] + σ²_b + c²          biases of variance σ²_b and mean c
    h_{k+1}: E[a(c + u₁) a(c + u₂)]                         u₁, u₂ ~ N(0, q_k), correlated as f_k is

each over the second moment of one input. What is carried is ln of the gap d = 1 − cosine, which
keeps its digits where inputs come to point the same way, at any depth: that of f_k − c is d of h_k
times the weights' share of Var f. The variance between n inputs is (n − 1)/n d E[z²].

Sources: Cho & Saul 2009 for ReLU; Poole et al. 2016, eq. 5; Schoenholz et al. 2017.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Residual
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.assumptions import has_cosines
from heinit_sim.theory.infinite_width import layer, quadrature

_LN10 = math.log(10.0)
# Pre-activation variances whose square root and features quadrature has room for.
_LEAST_Q, _LARGEST_Q = 1e-250, 1e250
_LARGEST_LN = 709.0
# Gaps below are a factor of this one: what a float has room for, and where the map is linear.
_LEAST_GAP = 1e-100
# Gaps, times q (ω² q of a sine) where it is above 1, below which E[a'²] tells what is left: kinks
# bend the map by the root of the gap, and differences of averages have lost as many digits.
_LINEAR = 1e-14
# Below this angle sin θ − θ cos θ is a series: two terms fewer than float64 could tell.
_SMALL_ANGLE = 0.01


@np.errstate(invalid="ignore")  # NaN is what is not known
def layer_cosines(
    condition: Condition, activation: Activation, moments: Mapping[Measure, FloatArray]
) -> dict[Quantity, FloatArray]:
    """Cosine of two inputs in f_k and h_k, k = 0 … K, each of shape (K+1,).

    The two are any of the batch, or a pair, in infinitely wide layers. NaN where it is not known:
    f_K, which is not wide; what is beyond float range; images that are not alike everywhere (zeros
    beyond their edges, but for positively homogeneous activations without biases); residual
    networks with biases.

    Args:
        condition: The network and its inputs.
        activation: a.
        moments: log10 second moments and variances of its layers, as `mean_field` gives them.
    """
    if not has_cosines(condition):
        unknown = np.full(condition.depth + 1, np.nan)
        return {"preactivation": unknown, "activation": unknown.copy()}
    gap = input_gap(condition.inputs, condition.widths[0])
    f, h = _ln_gaps(condition, activation, _lengths(condition, moments), gap)
    return {
        "preactivation": 1 - np.append(np.exp(f[:-1]), np.nan),
        "activation": 1 - np.append(gap, np.exp(h[1:])),
    }


@np.errstate(invalid="ignore")  # as above
def variances_between_inputs(
    condition: Condition, activation: Activation, moments: Mapping[Measure, FloatArray]
) -> dict[Measure, FloatArray]:
    """Mean over networks of the variance between inputs of f_k and h_k, as log10, (K+1,) each.

    That of n inputs is Σ E[(z − z')²]/(2 n²) over all pairs: (n − 1)/n d E[z²] where two of them
    are like any others, (d + n − 2)/n E[z²] with `pair` inputs, of which n − 2 are independent of
    each. It is exact for h_0 and f_0, and in all layers of a linear network; else that of
    infinitely wide layers before it, whatever the width of the layer itself: f_K has one. NaN for
    one input, and where cosines are not known; behind an average over positions as well.

    Args:
        condition: The network and its inputs.
        activation: a.
        moments: log10 second moments and variances of its layers, as `mean_field` gives them.
    """
    n, convolution = condition.n_inputs, condition.convolution
    ln_variances = np.full((2, condition.depth + 1), math.nan if n == 1 else -math.inf)
    lengths = _lengths(condition, moments)
    ln_seconds = np.array([lengths.ln_f, lengths.ln_h])
    gap = input_gap(condition.inputs, condition.widths[0])
    starts = [((n - 1) / n, gap)]
    if condition.inputs.distribution == "pair":
        starts = [(1 / n, gap), ((n - 2) / n, 1.0)]
    for share, start in starts if n > 1 else []:
        if share > 0:
            ln_gaps = np.array(_ln_gaps(condition, activation, lengths, start))
            ln_variances = np.logaddexp(ln_variances, ln_gaps + ln_seconds + math.log(share))
    if not has_cosines(condition):
        ln_variances[:, 1:] = math.nan
    elif convolution is not None and convolution.readout == "mean" and convolution.positions > 1:
        ln_variances[0, -1] = math.nan
    if n > 1:
        ln_variances[ln_seconds == -math.inf] = -math.inf
    f, h = ln_variances / _LN10
    return {("preactivation", BETWEEN_INPUTS): f, ("activation", BETWEEN_INPUTS): h}


class _Lengths(NamedTuple):
    """Natural logarithms, (K+1,)."""

    ln_f: FloatArray  # ln E[f_k²]
    ln_q: FloatArray  # ln Var f_k, that of wide layers; of f_K that of one unit over networks
    ln_h: FloatArray  # ln E[h_k²]
    ln_share: FloatArray  # of the weights' share of Var f_k


@np.errstate(divide="ignore")  # of what is 0
def _lengths(condition: Condition, moments: Mapping[Measure, FloatArray]) -> _Lengths:
    ln_f, ln_h = (_LN10 * moments[q, "second_moment"] for q in ("preactivation", "activation"))
    ln_q = _LN10 * moments["preactivation", "variance"]
    ln_q[-1] = ln_f[-1] + np.log1p(
        -np.exp(2 * layer.ln_of(abs(condition.bias_means[-1])) - ln_f[-1])
    )
    if condition.lsuv or (condition.convolution and condition.convolution.padding == "zero"):
        ln_share = np.log(-np.expm1(np.log(condition.bias_variances) - ln_q))
    else:
        fan_ins = [fan_in for fan_in, _ in condition.fans]
        ln_share = np.log(fan_ins) + np.log(condition.weight_variances) + ln_h - ln_q
    return _Lengths(ln_f, ln_q, ln_h, ln_share)


def _ln_gaps(
    condition: Condition, activation: Activation, lengths: _Lengths, start: float
) -> tuple[FloatArray, FloatArray]:
    """ln(1 − cosine) in f_0 … f_K and h_0 … h_K, of two inputs of that gap."""
    gaps = _plain_ln_gaps if condition.residual is None else _residual_ln_gaps
    f, h = gaps(condition, activation, lengths, layer.ln_of(start))
    last = _weighed_ln_gap(lengths, condition.depth, h[-1])
    f.append(last + lengths.ln_q[-1] - lengths.ln_f[-1])
    return np.array(f), np.array(h)


def _plain_ln_gaps(
    condition: Condition, activation: Activation, lengths: _Lengths, start: float
) -> tuple[list[float], list[float]]:
    """ln(1 − cosine) in f_0 … f_{K−1} and h_0 … h_K, each layer behind the one before."""
    means = condition.bias_means
    f, h = [], [start]
    for k in range(condition.depth):
        about_mean = _weighed_ln_gap(lengths, k, h[k])
        f.append(about_mean + lengths.ln_q[k] - lengths.ln_f[k])
        q = _exp(lengths.ln_q[k])
        h.append(_activated_ln_gap(activation.layer(k), means[k], q, about_mean))
    return f, h


def _residual_ln_gaps(
    condition: Condition, activation: Activation, lengths: _Lengths, start: float
) -> tuple[list[float], list[float]]:
    """ln(1 − cosine) in f_0 … f_{K−1} and h_0 … h_K: h_1 = f_0, then blocks add to the stream."""
    residual = condition.residual
    assert residual is not None  # `_ln_gaps` asks
    scales = condition.weight_scales
    f = [_weighed_ln_gap(lengths, 0, start)]
    h = [start, f[0]]
    for k in range(1, condition.depth):
        q = _exp(lengths.ln_h[k])
        f.append(_branch_ln_gap(residual, activation.layer(k), q, scales[k], h[k]))
        kept = h[k] + lengths.ln_h[k] - lengths.ln_h[k + 1]
        added = layer.ln_of(residual.scale**2) + lengths.ln_f[k] - lengths.ln_h[k + 1]
        h.append(float(np.logaddexp(kept, added + f[k])) if added > -math.inf else float(kept))
    return f, h


def _weighed_ln_gap(lengths: _Lengths, k: int, ln_gap: float) -> float:
    """ln(1 − correlation) of f_k = β + Ω h_k about its mean: biases are the same for all inputs."""
    if lengths.ln_h[k] == -math.inf:
        return -math.inf if lengths.ln_f[k] > -math.inf else math.nan
    return float(lengths.ln_share[k]) + ln_gap


def input_gap(inputs: Inputs, dim: int) -> float:
    """1 − E[⟨x, x'⟩] / E‖x‖² of two inputs of a batch, or of the two of a pair.

    NaN if all inputs are zero.
    """
    if inputs.distribution == "pair":
        return 1 - inputs.cosine
    if data_sets.is_data_set(inputs):  # two different examples, each pair of them as likely
        x = data_sets.normalised_rows(inputs)
        squares, about_mean = (float(np.vdot(z, z)) for z in (x, x - x.mean(axis=0)))
        return about_mean / squares * len(x) / (len(x) - 1) if squares > 0 else math.nan
    second = norm_moments(inputs, dim)[0] / dim
    return component_variance(inputs) / second if second > 0 else math.nan


def _activated_ln_gap(activation: Activation, mean: float, q: float, ln_gap: float) -> float:
    """Logarithm of `activated_gap`, at gaps of any size."""
    if ln_gap < math.log(_LEAST_GAP):
        least = activated_gap(activation, mean, q, _LEAST_GAP)
        return layer.ln_of(least) - math.log(_LEAST_GAP) + ln_gap
    return layer.ln_of(activated_gap(activation, mean, q, _exp(ln_gap)))


def activated_gap(activation: Activation, mean: float, q: float, gap: float) -> float:
    """1 − cosine of a[c + u₁] and a[c + u₂], u₁, u₂ ~ N(0, q).

    Args:
        activation: a of this layer.
        mean: c.
        q: Variance of u₁ and of u₂.
        gap: 1 − their correlation.
    """
    if activation.common_slope is not None and mean == 0:
        return _rectified_gap(activation.common_slope, gap)
    if not _LEAST_Q < q < _LARGEST_Q or math.isnan(gap):
        return math.nan
    # To 13 digits, so that layers that differ by rounding alone are looked up.
    q, gap = (float(f"{number:.13g}") for number in (q, min(gap, 2.0)))
    return _quadrature_gap(activation, mean, q, gap)


def _rectified_gap(alpha: float, gap: float) -> float:
    """1 − cosine behind slope 1 above zero and α below, whatever q.

    With θ = acos c: d − κ (2/π) (sin θ − θ cos θ), κ = (1−α)²/(2 (1+α²)).
    """
    theta = 2 * math.asin(math.sqrt(min(gap, 2.0) / 2)) if gap == gap else math.nan
    bend = (1 - alpha) ** 2 / (1 + alpha**2) / math.pi
    if theta < _SMALL_ANGLE:
        return gap - bend * theta**3 * (1 / 3 - theta**2 / 30 + theta**4 / 840)
    return gap - bend * (math.sin(theta) - theta * math.cos(theta))


@lru_cache(4096)
def _quadrature_gap(activation: Activation, mean: float, q: float, gap: float) -> float:
    """E[(a(c + u₁) − a(c + u₂))²] / (2 E[a²])."""
    moments = quadrature.layer_moments(quadrature.about(activation, mean), np.array(q))
    second = float(moments.second)
    if not 0 < second < math.inf:
        return math.nan
    turns = (2 * math.pi / activation.period) ** 2  # a sine bends as q times that
    if gap * max(q, q * turns, 1.0) < _LINEAR and not _jumps(quadrature.shifted(activation, mean)):
        return q * gap * float(moments.slope) / second
    return quadrature.value_gap(activation, mean, q, gap) / second


def _jumps(activation: Activation) -> bool:
    """Whether a itself jumps at a kink: by more than its slopes explain."""
    kinks = np.array(activation.kinks)
    apart = 1e-9 * np.maximum(np.abs(kinks), 1.0)
    sides = [kinks - apart, kinks + apart]
    slopes = sum(np.abs(np.asarray(activation.derivative(z), float)) for z in sides)
    steps = np.abs(np.subtract(*(activation.value(z, np.empty_like(z)) for z in sides)))
    return bool((steps > 4 * apart * np.maximum(slopes, 1.0)).any())


def _branch_ln_gap(
    residual: Residual, activation: Activation, q: float, scale: float, ln_gap: float
) -> float:
    """ln(1 − cosine) of f_k = Ω a[z] or Ω″ a[Ω′ a[z]], z = h_k of variance q or h_k/√q.

    `ln_gap` is that of h_k, `scale` fan_in σ²_Ω of the weights.
    """
    if residual.zero_last:
        return math.nan
    if residual.norm == "before":
        q = 1.0
    ln_gap = _activated_ln_gap(activation, 0.0, q, ln_gap)
    if residual.branch_layers == 1:
        return ln_gap
    if residual.norm == "inside":
        q = 1.0
    elif _LEAST_Q < q < _LARGEST_Q:
        q = scale * float(quadrature.layer_moments(activation, np.array(q)).second)
    else:
        q = math.nan
    return _activated_ln_gap(activation, 0.0, q, ln_gap)


def _exp(ln: float) -> float:
    """Return the exponential, infinite beyond float range."""
    return math.inf if ln > _LARGEST_LN else math.exp(ln)
