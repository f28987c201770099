"""The infinite-width recursion of any activation: what textbooks predict, as log10.

    q_k = fan_in σ²_k E[a(√q_{k−1} z)²] + σ²_b      variance of f_k, z ~ N(0, 1)
    E[f_k²] = q_k + c²                              biases of mean c; then √q z is c + √q z
    E[(∂ℓ/∂f_{k−1})²] = E[a'(√q_{k−1} z)²] · fan_out σ²_k E[(∂ℓ/∂f_k)²]

It begins with q_0 = σ²_0 E‖x‖² + σ²_b, as if all inputs were equally long: those of a wide input
layer with independent components are, those of a data set are not.
The gradient is taken to be independent of the activations.

Source: Prince (2023), eq. 7.10 and 7.21; He et al. 2015, eq. 9 and 13; for any activation
Poole et al. 2016, eq. 3, and Schoenholz et al. 2017, eq. 8.
"""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width.mean_field import wide_network
from heinit_sim.theory.infinite_width.quadrature import about, layer_moments, pair_average

_LN10 = math.log(10.0)
# Quadrature takes q itself, and needs room for its root, its square and its features.
_LN_RANGE = 600.0


class _Layer(NamedTuple):
    """Natural logarithms of what one activation layer does at ln q."""

    second: float  # E[a²]
    variance: float  # Var a
    slope: float  # E[a'²]


def mean_field(condition: Condition, activation: Activation) -> dict[Measure, FloatArray]:
    """Second moments and variances of infinitely wide layers, as log10, each of shape (K+1,).

    Variances over units are those of the second moment where the mean is zero. NaN where there is
    none: variances of the output layer, which is not wide, and, for an activation that is not
    homogeneous, layers beyond the range of a float. See `wide_networks` for convolutions and
    residual blocks.
    """
    if condition.lsuv:
        ln_v = [math.log(v) for v in lsuv_variances(condition, activation)]
    else:
        ln_v = [math.log(v) for v in condition.weight_variances]
    if condition.convolution or condition.residual:
        return wide_network(condition, activation, ln_v)
    ln_fan_in, ln_fan_out = (
        [math.log(w) for w in widths] for widths in (condition.widths[:-1], condition.widths[1:])
    )
    ln_b = list(map(_log, condition.bias_variances or [0.0] * len(ln_v)))
    means = condition.biases or (0.0,) * len(ln_v)
    seen: dict[tuple[int, float, float], _Layer] = {}

    x_variance = component_variance(condition.inputs)
    x_second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]
    h, f, layers = [_log(x_second)], [], []  # E[h_k²], Var f_k
    for k in range(condition.depth + 1):
        f.append(_add(ln_fan_in[k] + ln_v[k] + h[-1], ln_b[k]))
        if k < condition.depth:
            key = (k if activation.by_layer else 0, means[k], f[-1])
            if key not in seen:
                seen[key] = _layer(about(activation.layer(k), means[k]), f[-1])
            layers.append(seen[key])
            h.append(layers[-1].second)

    last = math.log(4.0) + _add(f[-1], 2 * _log(abs(means[-1] - condition.target)))
    dl_df, dl_dh = [last], []
    for k in range(condition.depth, -1, -1):
        dl_dh.append(ln_fan_out[k] + ln_v[k] + dl_df[-1])
        if k > 0:
            dl_df.append(layers[k - 1].slope + dl_dh[-1])

    inner = np.array([0.0] * condition.depth + [np.nan])  # f_K and ∂ℓ/∂f_K are not wide
    offsets = [2 * _log(abs(mean)) for mean in means]
    second = {
        "preactivation": np.array(list(map(_add, f, offsets))),
        "activation": np.array(h),
        "grad_preactivation": np.array(dl_df[::-1]),
        "grad_activation": np.array(dl_dh[::-1]),
    }
    second["grad_weight"] = second["grad_preactivation"] + second["activation"]
    variance = {
        **{quantity: moment + inner for quantity, moment in second.items()},
        "preactivation": np.array(f) + inner,
        "activation": np.array([_log(x_variance), *(layer.variance for layer in layers)]),
        "grad_activation": second["grad_activation"],
    }
    measures: dict[Measure, FloatArray] = {}
    for quantity, moment in second.items():
        measures[quantity, "second_moment"] = moment / _LN10  # type: ignore[index]  # names above
        measures[quantity, "variance"] = variance[quantity] / _LN10  # type: ignore[index]  # too
    return measures


def lsuv_variances(condition: Condition, activation: Activation) -> list[float]:
    """σ²_k of the layers 0 … K that make Var f_k = 1 over units and inputs; NaN where none does.

    Of a wide layer that is (1 − σ²_b)/(D_k E[h_k²]). The output layer is not wide: what its units
    have in common over the inputs is lost to the variance, so that E[f_K²] is more than 1. That
    takes the correlation of two inputs, c → E[a(u₁) a(u₂)] + σ²_b from c = 0 of independent ones;
    the variance over networks of Var f_K itself is left out. Circular convolutions whose output
    layer sees all positions are as layers of their fans; of other ones, and of residual blocks,
    it is not known.
    """
    convolution, fans = condition.convolution, condition.fans
    joined = (convolution.padding, convolution.readout) if convolution else None
    if condition.residual or joined not in (None, ("circular", "flatten")):
        return [math.nan] * len(fans)
    bias_variances = condition.bias_variances or (0.0,) * len(condition.weight_variances)
    means = condition.biases or (0.0,) * len(bias_variances)
    outputs = condition.widths[-1]
    seen: dict[tuple[int, float, float], float] = {}
    found = []
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]  # E[h_k²]
    product = second - component_variance(condition.inputs)  # E[h_k h_k'] of independent inputs
    for k, bias_variance in enumerate(bias_variances[:-1]):
        found.append(_unless(1 - bias_variance, fans[k][0] * second))
        share = product / second if second > 0 else math.nan
        correlation = (1 - bias_variance) * share + bias_variance
        layer = activation.layer(k)
        second = float(layer_moments(about(layer, means[k]), np.array(1.0)).second)
        key = (k if activation.by_layer else 0, means[k], round(correlation, 12))
        if key not in seen and bias_variance < 1 and not math.isnan(share):
            seen[key] = _product(layer, means[k], min(correlation, 1.0))
        product = seen.get(key, math.nan)
    share = product / second if second > 0 else math.nan
    common = (1 + (condition.n_inputs - 1) * share) / condition.n_inputs / outputs
    room = 1 - bias_variances[-1] * (1 - 1 / outputs)
    if condition.n_inputs * outputs == 1:  # a single number has no variance: it stays as it is
        return [*found, condition.weight_variances[-1]]
    return [*found, _unless(room, fans[-1][0] * second * (1 - common))]


def _unless(room: float, by: float) -> float:
    return room / by if room > 0 and by > 0 else math.nan


def _product(activation: Activation, mean: float, correlation: float) -> float:
    """E[a(c + u₁) a(c + u₂)], u₁, u₂ ~ N(0, 1) of that correlation."""

    def value(u: FloatArray) -> FloatArray:
        return activation.value(u + mean, np.empty_like(u))

    kinks = tuple(kink - mean for kink in activation.kinks)
    return pair_average(value, 1.0, correlation, kinks)


def _layer(activation: Activation, ln_q: float) -> _Layer:
    alpha = activation.common_slope
    if alpha is not None:
        p2 = (1 + alpha**2) / 2
        variance = p2 - (1 - alpha) ** 2 / (2 * math.pi)
        return _Layer(ln_q + _log(p2), ln_q + _log(variance), _log(p2))
    if not abs(ln_q) < _LN_RANGE:
        return _Layer(math.nan, math.nan, math.nan)
    moments = layer_moments(activation, np.array(math.exp(ln_q)))
    if not np.isfinite(moments).all():
        return _Layer(math.nan, math.nan, math.nan)
    return _Layer(*(_log(float(m)) for m in (moments.second, moments.variance, moments.slope)))


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf


def _add(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers whose logarithms are given."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
