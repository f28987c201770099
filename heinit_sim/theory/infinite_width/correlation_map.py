"""The cosine of two inputs in each layer of an infinitely wide network: the correlation map.

    f_k: E[f f'] = fan_in σ²_k E[h h'] + σ²_b + c²          biases of variance σ²_b and mean c
    h_{k+1}: E[a(c + u₁) a(c + u₂)]                         u₁, u₂ ~ N(0, q_k), correlated as f_k is

each over the second moment of one input. What is carried is the gap d = 1 − cosine, which keeps
its digits where inputs come to point the same way: that of f_k − c is d of h_k times the weights'
share of Var f.

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
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.assumptions import has_cosines
from heinit_sim.theory.infinite_width import quadrature

_LN10 = math.log(10.0)
# Pre-activation variances whose square root and features quadrature has room for.
_LEAST_Q, _LARGEST_Q = 1e-250, 1e250
_LARGEST_LN = 709.0


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
    start = input_cosine(condition.inputs, condition.widths[0])
    if not has_cosines(condition):
        unknown = np.full(condition.depth + 1, np.nan)
        return {"preactivation": unknown, "activation": unknown.copy()}
    ln_f, ln_h = (_LN10 * moments[q, "second_moment"] for q in ("preactivation", "activation"))
    ln_q = _LN10 * moments["preactivation", "variance"]
    with np.errstate(divide="ignore"):  # −inf without biases, or where f_k does not vary
        shares = -np.expm1(np.log(condition.bias_variances) - ln_q)
    lengths = _Lengths(ln_f, ln_q, ln_h, shares)
    gaps = _plain_gaps if condition.residual is None else _residual_gaps
    f, h = gaps(condition, activation, lengths, 1 - start)
    return {
        "preactivation": 1 - np.append(f, np.nan),
        "activation": np.append(start, 1 - np.array(h[1:])),
    }


class _Lengths(NamedTuple):
    """Natural logarithms, (K+1,), and the weights' share of Var f_k."""

    ln_f: FloatArray  # ln E[f_k²]
    ln_q: FloatArray  # ln Var f_k
    ln_h: FloatArray  # ln E[h_k²]
    weight_share: FloatArray


def _plain_gaps(
    condition: Condition, activation: Activation, lengths: _Lengths, start: float
) -> tuple[list[float], list[float]]:
    """1 − cosine in f_0 … f_{K−1} and h_0 … h_K, each layer behind the one before."""
    means = condition.bias_means
    f, h = [], [start]
    for k in range(condition.depth):
        about_mean = _weighed_gap(lengths, k, h[k])
        f.append(about_mean * _exp(lengths.ln_q[k] - lengths.ln_f[k]))
        h.append(activated_gap(activation.layer(k), means[k], _exp(lengths.ln_q[k]), about_mean))
    return f, h


def _residual_gaps(
    condition: Condition, activation: Activation, lengths: _Lengths, start: float
) -> tuple[list[float], list[float]]:
    """1 − cosine in f_0 … f_{K−1} and h_0 … h_K: h_1 = f_0, then each block adds to its stream."""
    residual = condition.residual
    assert residual is not None  # `layer_cosines` asks
    fan_ins = [fan_in for fan_in, _ in condition.fans]
    scales = np.multiply(fan_ins, condition.weight_variances).tolist()
    f = [_weighed_gap(lengths, 0, start)]
    h = [start, f[0]]
    for k in range(1, condition.depth):
        q = _exp(lengths.ln_h[k])
        f.append(_branch_gap(residual, activation.layer(k), q, scales[k], h[k]))
        kept = _exp(lengths.ln_h[k] - lengths.ln_h[k + 1])
        added = residual.scale**2 * _exp(lengths.ln_f[k] - lengths.ln_h[k + 1])
        h.append(kept * h[k] + (added * f[k] if added > 0 else 0.0))
    return f, h


def _weighed_gap(lengths: _Lengths, k: int, gap: float) -> float:
    """1 − correlation of f_k = β + Ω h_k about its mean: biases are the same for both inputs."""
    if lengths.ln_h[k] == -math.inf:
        return 0.0 if lengths.ln_f[k] > -math.inf else math.nan
    return float(lengths.weight_share[k]) * gap


def input_cosine(inputs: Inputs, dim: int) -> float:
    """E[⟨x, x'⟩] / E‖x‖² of two inputs of a batch, or of the two of a pair; NaN if all are zero."""
    if inputs.distribution == "pair":
        return inputs.cosine
    if data_sets.is_data_set(inputs):  # two different examples, each pair of them as likely
        x = data_sets.normalised(inputs)
        total, squares = x.sum(axis=0), float(np.vdot(x, x))
        between = (float(total @ total) - squares) / (len(x) - 1)
        return between / squares if squares > 0 else math.nan
    second = norm_moments(inputs, dim)[0] / dim
    return 1 - component_variance(inputs) / second if second > 0 else math.nan


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
    return gap - bend * (math.sin(theta) - theta * math.cos(theta))


@lru_cache(4096)
def _quadrature_gap(activation: Activation, mean: float, q: float, gap: float) -> float:
    """E[(a(c + u₁) − a(c + u₂))²] / (2 E[a²])."""
    second = float(quadrature.layer_moments(quadrature.about(activation, mean), np.array(q)).second)
    if not 0 < second < math.inf:
        return math.nan
    activation = quadrature.shifted(activation, mean)
    q, gap = quadrature.wrapped_pair(activation, q, gap)
    difference = math.nan
    if math.isfinite(activation.period) or not activation.kinks:
        difference = quadrature.smooth_gap(lambda u: activation.value(u, np.empty_like(u)), q, gap)
    if math.isnan(difference):
        difference = second - quadrature.product_of_values(activation, q, 1 - gap)
    return max(difference / second, 0.0)


def _branch_gap(
    residual: Residual, activation: Activation, q: float, scale: float, gap: float
) -> float:
    """1 − cosine of f_k = Ω a[z] or Ω″ a[Ω′ a[z]], z = h_k of variance q or h_k/√q.

    `gap` is 1 − cosine of h_k, `scale` fan_in σ²_Ω of the weights.
    """
    if residual.zero_last:
        return math.nan
    if residual.norm == "before":
        q = 1.0
    gap = activated_gap(activation, 0.0, q, gap)
    if residual.branch_layers == 1:
        return gap
    if residual.norm == "inside":
        q = 1.0
    elif _LEAST_Q < q < _LARGEST_Q:
        q = scale * float(quadrature.layer_moments(activation, np.array(q)).second)
    else:
        q = math.nan
    return activated_gap(activation, 0.0, q, gap)


def _exp(ln: float) -> float:
    """Return the exponential, infinite beyond float range."""
    return math.inf if ln > _LARGEST_LN else math.exp(ln)
