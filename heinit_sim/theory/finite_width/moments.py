"""What closed forms predict for the measured quantities, in the same shape, as log10.

Gaussian weights, zero biases, least-squares loss, inputs x ~ N(0, I) or of given E‖x‖² and E‖x‖⁴,
and an activation of slope 1 above zero and α below. With z ~ N(0, 1), s the slope at z and a = s z:

    E[a] = (1−α)/√2π   E[s²] = E[a²] = p2 = (1+α²)/2   E[s⁴] = E[a⁴]/3 = p4 = (1+α⁴)/2

Everything is carried as a natural logarithm and every sum has positive terms only, so nothing
overflows or cancels at any depth.
"""

from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray


class InputNorms(NamedTuple):
    """What second moments need to know of the inputs."""

    second: float
    """E‖x‖²."""
    fourth: float
    """E‖x‖⁴."""
    zero: float = 0.0
    """P(x = 0): such an input leaves every slope at α."""


class _Slopes(NamedTuple):
    """Moments of a(z) and of its slope s(z), z ~ N(0, 1), for each hidden layer, (K,)."""

    a: FloatArray  # E[a]
    p2: FloatArray  # E[a²] = E[s²]
    a3: FloatArray  # E[a³]
    p4: FloatArray  # E[a⁴]/3 = E[s⁴]
    sa: FloatArray  # E[s a]


def _slope_moments(alpha: FloatArray) -> _Slopes:
    return _Slopes(
        a=(1 - alpha) / np.sqrt(2 * np.pi),
        p2=(1 + alpha**2) / 2,
        a3=(1 - alpha**3) * np.sqrt(2 / np.pi),
        p4=(1 + alpha**4) / 2,
        sa=(1 - alpha**2) / np.sqrt(2 * np.pi),
    )


def exact(
    condition: Condition, negative_slope: Slope, inputs: InputNorms | None = None
) -> dict[Measure, FloatArray]:
    """Exact means over networks and inputs at finite width, as log10, each of shape (K+1,).

    Second moments hold for any widths, outputs and target. Variances are closed for one input
    per network; for more inputs only where the layer's units are uncorrelated between inputs
    (h_0, f_0, and every forward layer of a linear network). NaN elsewhere.

    Args:
        condition: The network, its weight variances and its loss.
        negative_slope: α, the activation's slope below zero, of all hidden layers or of each.
        inputs: Moments of ‖x‖ if the inputs of a batch are not independent and standard normal. Of
            such inputs the variance over units is not known, nor is that of what it enters.

    Source: isotropy of Gaussian weights given the activations. With g_k = Σ_o f_K,o ∂f_K,o/∂h_k,
    E[g_k g_kᵀ | h_k] = A_k ‖h_k‖² I + B_k h_k h_kᵀ; for the target's part Σ_o y ∂f_K,o/∂h_k it is
    C_k I. The cross term is odd in Ω_K and vanishes.
    """
    alpha = np.broadcast_to(negative_slope, condition.depth)
    m = _slope_moments(alpha)
    ln_v = np.log(np.array(condition.weight_variances))
    fan_in, fan_out = (np.array(w, float) for w in (condition.widths[:-1], condition.widths[1:]))
    hidden = fan_out[:-1]  # D_{k+1} of the layers k = 0 … K−1, which an activation follows
    # ln 0 = -inf where a variance is exactly zero, NaN where that of the inputs is not known
    with np.errstate(divide="ignore", invalid="ignore"):
        ln_y2 = 2 * np.log(abs(condition.target))

        # Forward: ‖h‖², ‖h‖⁴, the variance V of h over its units, and ‖h‖² V.
        pair = 3 * hidden * m.p4 + hidden * (hidden - 1) * m.p2**2
        x = inputs or InputNorms(fan_in[0], fan_in[0] * (fan_in[0] + 2))
        norm2 = _chain(np.log(x.second), ln_v[:-1] + np.log(hidden * m.p2))
        norm4 = _chain(np.log(x.fourth), 2 * ln_v[:-1] + np.log(pair))
        unit = np.log1p(-1 / fan_in)
        known = 0.0 if inputs is None else np.nan
        var_h = unit + np.append(known, ln_v[:-1] + norm2[:-1] + np.log(m.p2 - m.a**2))
        mixed = 3 * m.p4 + (hidden - 1) * m.p2**2
        mixed -= 2 * m.a3 * m.a + (hidden - 2) * m.p2 * m.a**2
        norm2_var_h = unit + np.append(
            known + np.log(fan_in[0] + 2), 2 * ln_v[:-1] + norm4[:-1] + np.log(mixed)
        )

        # Backward: A, B, C of the docstring for the layers 0 … K.
        ln_a, ln_b, ln_c = _backward_coefficients(ln_v, fan_out, m)
        of_h, of_f = _shares_of_target(condition, alpha, ln_c, x.zero)
        grad_h = _add(ln_a + norm2, ln_y2 + ln_c + of_h)

        # Given h_k, the gradient δ = ∂ℓ/∂f_k has E[variance over its units] = W₁‖h_k‖² + W₀ and
        # E[(mean over its units)²] = R₁‖h_k‖² + R₀; the last entry is δ = 2 (f_K − y).
        unit_out = np.log1p(-1 / fan_out)
        diagonal = np.log(m.p4 + (hidden - 1) * m.p2**2) + ln_a[1:]
        w1 = ln_v + np.append(_add(diagonal, np.log(m.p4 - m.sa**2) + ln_b[1:]), 0.0) + unit_out
        crossed = np.log(m.p4 + (hidden - 1) * m.sa**2) + ln_b[1:]
        r1 = ln_v + np.append(_add(diagonal, crossed), 0.0) - np.log(fan_out)
        target = ln_y2 + np.log(m.p2) + ln_c[1:]
        w0 = np.append(target + unit_out[:-1], -np.inf)
        r0 = np.append(target - np.log(hidden), ln_y2)

        ln_4 = np.log(4.0)
        ln_fan_in = np.log(fan_in)
        second = {
            "preactivation": ln_v + norm2,
            "activation": norm2 - ln_fan_in,
            "grad_preactivation": ln_4 + _add(_add(w1, r1) + norm2, _add(w0, r0) + of_f),
            "grad_activation": ln_4 + _add(grad_h, ln_b + norm2 - ln_fan_in),
            "grad_weight": ln_4 + _add(_add(w1, r1) + norm4, _add(w0, r0) + norm2) - ln_fan_in,
        }
        one_input = {
            "preactivation": second["preactivation"] + unit_out,
            "activation": var_h,
            "grad_preactivation": ln_4 + _add(w1 + norm2, w0 + of_f),
            "grad_activation": ln_4 + _add(grad_h + unit, ln_b + var_h),
            "grad_weight": ln_4
            + _add(w1 + norm4 - ln_fan_in, w0 + norm2 - ln_fan_in, r1 + norm2_var_h, r0 + var_h),
        }
    variance = one_input
    if condition.n_inputs > 1:
        uncorrelated = np.logical_and.accumulate(np.append(True, alpha == 1.0))
        variance = {quantity: np.full_like(ln_v, np.nan) for quantity in second}
        for quantity, units in (("preactivation", fan_out), ("activation", fan_in)):
            pooled = known + second[quantity] + np.log1p(-1 / (units * condition.n_inputs))
            variance[quantity] = np.where(uncorrelated, pooled, np.nan)
    return _as_log10(second, variance)


def log_norm_spread(condition: Condition, negative_slope: Slope) -> float:
    """Variance over networks of ln ‖h_K‖², to first order in 1/width; its mean is minus half of it.

    The sum over the hidden layers of the relative variance of ‖h_{k+1}‖²/‖h_k‖², which is
    (3 p4/p2² − 1)/n for n units: 5/n for ReLU.

    Source: Hanin & Nica 2018.
    """
    m = _slope_moments(np.broadcast_to(negative_slope, condition.depth))
    return float(np.sum((3 * m.p4 / m.p2**2 - 1) / np.array(condition.widths[1:-1])))


def _shares_of_target(
    condition: Condition, alpha: FloatArray, ln_c: FloatArray, zero: float
) -> tuple[FloatArray, FloatArray]:
    """What is left of the target's part of ∂ℓ/∂h_k and ∂ℓ/∂f_k as h_k may be all zero, as ln.

    It is where x is, and behind a ReLU layer of n units with probability 2^−n. Then so is all that
    follows, whose slopes are α throughout, not 1 or α. ∂ℓ/∂f_K passes through none.
    """
    fan_out = np.array(condition.widths[1:], float)
    survives = np.where(alpha == 0.0, np.log1p(-(2.0 ** -fan_out[:-1])), 0.0)
    ln_alive = _chain(np.log1p(-zero), survives)
    ln_dead = np.log(-np.expm1(ln_alive))
    below, p2 = 2 * np.log(np.abs(alpha)), np.log((1 + alpha**2) / 2)
    steps = np.log(condition.weight_variances) + np.log(fan_out)
    ratio = _chain(steps[-1], (steps[:-1] + below)[::-1])[::-1] - ln_c
    of_f = _add(ln_alive[:-1], ln_dead[:-1] + below - p2 + ratio[1:])
    return _add(ln_alive, ln_dead + ratio), np.append(of_f, 0.0)


def _backward_coefficients(
    ln_v: FloatArray, fan_out: FloatArray, m: _Slopes
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithms of A_k, B_k, C_k for k = 0 … K, from the output back."""
    outputs = fan_out[-1]
    ln_a, ln_b, ln_c = (np.empty_like(ln_v) for _ in range(3))
    ln_a[-1] = np.log(outputs) + 2 * ln_v[-1]
    ln_b[-1] = np.log(outputs * (outputs + 1)) + 2 * ln_v[-1]
    ln_c[-1] = np.log(outputs) + ln_v[-1]
    for k in reversed(range(len(ln_v) - 1)):
        n = fan_out[k]
        p2, p4 = m.p2[k], m.p4[k]
        same, different = np.log(n * p4), n * (n - 1) * p2**2
        ln_a[k] = _add(np.log(n * p4 + different) + ln_a[k + 1], same + ln_b[k + 1])
        ln_b[k] = _add(np.log(2) + same + ln_a[k + 1], np.log(2 * n * p4 + different) + ln_b[k + 1])
        ln_c[k] = np.log(n * p2) + ln_c[k + 1] - ln_v[k]
        ln_a[k], ln_b[k], ln_c[k] = (c[k] + 2 * ln_v[k] for c in (ln_a, ln_b, ln_c))
    return ln_a, ln_b, ln_c


def _chain(start: float, steps: FloatArray) -> FloatArray:
    """Running sums: start, start + steps[0], start + steps[0] + steps[1], …."""
    return np.cumsum(np.append(start, steps))


def _add(*logarithms: FloatArray) -> FloatArray:
    """Logarithm of the sum of the numbers whose logarithms are given."""
    total = logarithms[0]
    for term in logarithms[1:]:
        total = np.logaddexp(total, term)
    return total


def _as_log10(
    second: dict[str, FloatArray], variance: dict[str, FloatArray]
) -> dict[Measure, FloatArray]:
    """(quantity, statistic) -> log10, from natural logarithms."""
    measures: dict[Measure, FloatArray] = {}
    for statistic, of in (("second_moment", second), ("variance", variance)):
        for quantity, ln in of.items():
            measures[quantity, statistic] = ln / np.log(10.0)  # type: ignore[index]  # names above
    return measures
