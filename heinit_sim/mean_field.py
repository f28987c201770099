"""The infinite-width recursion of any activation: what textbooks predict, as log10.

    q_k = fan_in σ²_k E[a(√q_{k−1} z)²] + σ²_b      variance of f_k, z ~ N(0, 1)
    E[(∂ℓ/∂f_{k−1})²] = E[a'(√q_{k−1} z)²] · fan_out σ²_k E[(∂ℓ/∂f_k)²]

The gradient is taken to be independent of the activations.

Source: Prince (2023), eq. 7.10 and 7.21; He et al. 2015, eq. 9 and 13; for any activation
Poole et al. 2016, eq. 3, and Schoenholz et al. 2017, eq. 8.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation
from heinit_sim.quadrature import layer_moments
from heinit_sim.records import Condition, Measure

Array = NDArray[np.float64]

_LN10 = math.log(10.0)
# Quadrature takes q itself, and needs room for its root, its square and its features.
_LN_RANGE = 600.0


class _Layer(NamedTuple):
    """Natural logarithms of what one activation layer does at ln q."""

    second: float  # E[a²]
    variance: float  # Var a
    slope: float  # E[a'²]


def mean_field(condition: Condition, activation: Activation) -> dict[Measure, Array]:
    """Second moments and variances of infinitely wide layers, as log10, each of shape (K+1,).

    Variances over units are those of the second moment where the mean is zero. NaN where there is
    none: variances of the output layer, which is not wide, and, for an activation that is not
    homogeneous, layers beyond the range of a float.
    """
    ln_v = [math.log(v) for v in condition.weight_variances]
    ln_fan_in, ln_fan_out = (
        [math.log(w) for w in widths] for widths in (condition.widths[:-1], condition.widths[1:])
    )
    ln_b = _log(condition.bias_variance)
    seen: dict[tuple[int, float], _Layer] = {}

    h, f, layers = [0.0], [], []
    for k in range(condition.depth + 1):
        f.append(_add(ln_fan_in[k] + ln_v[k] + h[-1], ln_b))
        if k < condition.depth:
            key = (k if activation.by_layer else 0, f[-1])
            if key not in seen:
                seen[key] = _layer(activation.layer(k), f[-1])
            layers.append(seen[key])
            h.append(layers[-1].second)

    last = math.log(4.0) + _add(f[-1], 2 * _log(abs(condition.target)))
    dl_df, dl_dh = [last], []
    for k in range(condition.depth, -1, -1):
        dl_dh.append(ln_fan_out[k] + ln_v[k] + dl_df[-1])
        if k > 0:
            dl_df.append(layers[k - 1].slope + dl_dh[-1])

    inner = np.array([0.0] * condition.depth + [np.nan])  # f_K and ∂ℓ/∂f_K are not wide
    second = {
        "preactivation": np.array(f),
        "activation": np.array(h),
        "grad_preactivation": np.array(dl_df[::-1]),
        "grad_activation": np.array(dl_dh[::-1]),
    }
    second["grad_weight"] = second["grad_preactivation"] + second["activation"]
    variance = {
        **{quantity: moment + inner for quantity, moment in second.items()},
        "activation": np.array([0.0, *(layer.variance for layer in layers)]),
        "grad_activation": second["grad_activation"],
    }
    measures: dict[Measure, Array] = {}
    for quantity, moment in second.items():
        measures[quantity, "second_moment"] = moment / _LN10  # type: ignore[index]  # names above
        measures[quantity, "variance"] = variance[quantity] / _LN10  # type: ignore[index]  # too
    return measures


def _layer(activation: Activation, ln_q: float) -> _Layer:
    alpha = activation.common_slope
    if alpha is not None:
        p2 = (1 + alpha**2) / 2
        variance = p2 - (1 - alpha) ** 2 / (2 * math.pi)
        return _Layer(ln_q + _log(p2), ln_q + _log(variance), _log(p2))
    if not abs(ln_q) < _LN_RANGE:
        return _Layer(math.nan, math.nan, math.nan)
    moments = layer_moments(activation, np.array(math.exp(ln_q)))
    return _Layer(*(_log(float(m)) for m in (moments.second, moments.variance, moments.slope)))


def _log(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf


def _add(a: float, b: float) -> float:
    """Logarithm of the sum of two numbers whose logarithms are given."""
    high, low = max(a, b), min(a, b)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
