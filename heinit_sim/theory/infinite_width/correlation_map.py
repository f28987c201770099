"""The cosine of two inputs in each layer of an infinitely wide network: the correlation map.

    f_k: E[f f'] = fan_in σ²_k E[h h'] + σ²_b + c²          biases of variance σ²_b and mean c
    h_{k+1}: E[a(c + u₁) a(c + u₂)]                         u₁, u₂ ~ N(0, q_k), correlated as f_k is

each over the second moment of one input. What is carried is d = 1 − cosine, which keeps its digits
where inputs come to point the same way: that of f_k is d of h_k times the weights' share of E[f²].

Sources: Cho & Saul 2009 for ReLU; Poole et al. 2016, eq. 5; Schoenholz et al. 2017.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width.quadrature import (
    about,
    layer_moments,
    pair_average,
    smooth_gap,
    wrapped_pair,
)

_Behind = Callable[[int, float, float, float], float]

_LN10 = math.log(10.0)
# Pre-activation variances whose square root and features quadrature has room for.
_LEAST_Q, _LARGEST_Q = 1e-250, 1e250
_LARGEST_LN = 709.0
_ALIKE = ".13g"  # digits of q and d in which two layers are the same


@np.errstate(invalid="ignore")  # NaN is what is not known
def correlation_map(
    condition: Condition, activation: Activation, moments: Mapping[Measure, FloatArray]
) -> dict[Quantity, FloatArray]:
    """Cosine of two inputs in f_k and h_k, k = 0 … K, each of shape (K+1,).

    Of two inputs of the batch, or the two of a pair, in infinitely wide layers. NaN where it is not
    known: f_K, which is not wide; what is beyond float range; images that are not alike everywhere
    (zeros beyond their edges, but for positively homogeneous activations without biases); residual
    networks with biases.

    Args:
        condition: The network and its inputs.
        activation: a.
        moments: Its `mean_field`: log10 second moments of f_k and h_k.
    """
    depth = condition.depth
    of_f, of_h = np.full(depth + 1, np.nan), np.full(depth + 1, np.nan)
    if not _is_closed(condition, activation):
        return {"preactivation": of_f, "activation": of_h}
    ln_f, ln_h = (_LN10 * moments[q, "second_moment"] for q in ("preactivation", "activation"))
    ln_q = _LN10 * moments["preactivation", "variance"]
    means = condition.bias_means
    biases = np.array(condition.bias_variances) + np.square(means)
    with np.errstate(divide="ignore", invalid="ignore"):  # −inf without biases, or where f_k = 0
        shares = -np.expm1(np.log(biases) - ln_f)

    behind = _behind(activation)
    start = input_cosine(condition.inputs, condition.widths[0])
    of_h[0] = 1 - start
    for k in range(depth):
        if condition.residual and k > 0:
            of_f[k] = _of_branch(behind, activation, condition, k, _exp(ln_h[k]), of_h[k])
            kept = _exp(ln_h[k] - ln_h[k + 1]) * of_h[k]
            added = condition.residual.scale**2 * _exp(ln_f[k] - ln_h[k + 1])
            of_h[k + 1] = kept + added * of_f[k] if added > 0 else kept
        else:
            of_f[k] = shares[k] * (of_h[k] if ln_h[k] > -math.inf else 0.0)
            apart = of_f[k] * _exp(ln_f[k] - ln_q[k]) if means[k] else of_f[k]
            same = condition.residual is not None
            of_h[k + 1] = of_f[k] if same else behind(k, means[k], _exp(ln_q[k]), apart)
    return {"preactivation": 1 - of_f, "activation": np.append(start, 1 - of_h[1:])}


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


def _is_closed(condition: Condition, activation: Activation) -> bool:
    """Whether the cosine of one layer decides that of the next."""
    residual, convolution = condition.residual, condition.convolution
    free = not condition.has_biases
    if residual is not None and not (free and condition.lsuv is None):
        return False
    if convolution is None or convolution.padding == "circular":
        return True
    return residual is None and free and activation.negative_slope is not None


def _behind(activation: Activation) -> _Behind:
    """1 − cosine of a[c + u₁] and a[c + u₂] in layer k, from c, q and 1 − correlation of the u."""
    seen: dict[tuple[int, float, str, str], float] = {}

    def behind(k: int, mean: float, q: float, apart: float) -> float:
        layer = activation.layer(k)
        if layer.common_slope is not None and mean == 0:
            return _rectified(layer.common_slope, apart)
        if not _LEAST_Q < q < _LARGEST_Q or math.isnan(apart):
            return math.nan
        key = (k if activation.by_layer else 0, mean, f"{q:{_ALIKE}}", f"{apart:{_ALIKE}}")
        if key not in seen:
            seen[key] = _activated(layer, mean, q, min(apart, 2.0))
        return seen[key]

    return behind


def _rectified(alpha: float, apart: float) -> float:
    """The same of slope 1 above zero and α below, whatever q.

    With θ = acos c: d − κ (2/π) (sin θ − θ cos θ), κ = (1−α)²/(2 (1+α²)).
    """
    theta = 2 * math.asin(math.sqrt(min(apart, 2.0) / 2)) if apart == apart else math.nan
    bend = (1 - alpha) ** 2 / (1 + alpha**2) / math.pi
    return apart - bend * (math.sin(theta) - theta * math.cos(theta))


def _activated(activation: Activation, mean: float, q: float, apart: float) -> float:
    """E[(a(c + u₁) − a(c + u₂))²] / (2 E[a²])."""

    def value(u: FloatArray) -> FloatArray:
        return activation.value(u + mean, np.empty_like(u))

    second = float(layer_moments(about(activation, mean), np.array(q)).second)
    if not 0 < second < math.inf:
        return math.nan
    periodic = math.isfinite(activation.period)
    q, apart = wrapped_pair(activation, q, apart)
    smooth = periodic or not activation.kinks
    gap = smooth_gap(value, q, apart) if smooth else math.nan
    if math.isnan(gap):
        kinks = tuple(kink - mean for kink in activation.kinks)
        gap = second - pair_average(value, q, 1 - apart, kinks)
    return max(gap / second, 0.0)


def _of_branch(
    behind: _Behind, activation: Activation, condition: Condition, k: int, q: float, apart: float
) -> float:
    """1 − cosine of f_k = Ω a[z] or Ω″ a[Ω′ a[z]], z = h_k of variance q or h_k/√q."""
    residual = condition.residual
    if residual is None or residual.zero_last:
        return math.nan
    if residual.norm == "before":
        q = 1.0
    apart = behind(k, 0.0, q, apart)
    if residual.branch_layers == 1:
        return apart
    if residual.norm == "inside" or not _LEAST_Q < q < _LARGEST_Q:
        q = 1.0 if residual.norm == "inside" else math.nan
    else:
        second = float(layer_moments(activation.layer(k), np.array(q)).second)
        q = condition.fans[k][0] * condition.layers[k].weight_variance * second
    return behind(k, 0.0, q, apart)


def _exp(ln: float) -> float:
    """Its exponential; infinite beyond float range."""
    return math.inf if ln > _LARGEST_LN else math.exp(ln)
