"""Exact means over networks by closed forms, for every measured quantity and layer, as log10.

Gaussian weights, zero biases, least squares or a probe, inputs x ~ N(0, I) or of given E‖x‖² and
E‖x‖⁴, and an activation of slope 1 above zero and α below. With z ~ N(0, 1), s the slope at z and
a = s z:

    E[a] = (1−α)/√2π   E[s²] = E[a²] = p2 = (1+α²)/2   E[s⁴] = E[a⁴]/3 = p4 = (1+α⁴)/2

Everything is carried as a natural logarithm and every sum has positive terms only, so nothing
overflows or cancels at any depth.
"""

from functools import reduce
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition, Loss
from heinit_sim.numerics import FloatArray


class InputNorms(NamedTuple):
    """Moments of ‖x‖, all that second moments need to know of the inputs."""

    second: float  # E‖x‖²
    fourth: float  # E‖x‖⁴
    zero: float = 0.0  # P(x = 0): such an input leaves every slope at α


class SlopeMoments(NamedTuple):
    """Moments of a(z) and of its slope s(z), z ~ N(0, 1), for each hidden layer, (K,)."""

    a: FloatArray  # E[a]
    p2: FloatArray  # E[a²] = E[s²]
    a3: FloatArray  # E[a³]
    p4: FloatArray  # E[a⁴]/3 = E[s⁴]
    sa: FloatArray  # E[s a]


class _Network(NamedTuple):
    """A network as the closed forms take it."""

    ln_v: FloatArray  # ln σ²_k, (K+1,)
    fan_in: FloatArray  # D_k, (K+1,)
    fan_out: FloatArray  # D_{k+1}, (K+1,)
    alpha: FloatArray  # slopes below zero, (K,)
    hidden: FloatArray  # D_{k+1} where an activation follows, (K,)
    slope: SlopeMoments


class _ForwardMoments(NamedTuple):
    """Natural logarithms of expectations over networks and inputs, for h_0 … h_K, (K+1,)."""

    norm2: FloatArray  # E‖h‖²
    norm4: FloatArray  # E‖h‖⁴
    variance: FloatArray  # E[V], V the variance of h over its units, for one input
    norm2_variance: FloatArray  # E[‖h‖² V], likewise


# ln 0 = -inf where a variance is exactly zero, NaN where that of the inputs is not known
@np.errstate(divide="ignore", invalid="ignore")
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
    C_k I. The cross term is odd in Ω_K and vanishes. The gradient of a probe is such a part alone,
    Σ_o p_o ∂f_K,o/∂h_k: a_K = D_o σ²_K, b_K = 0 and no factor of ‖h_k‖², which is the textbook's.
    """
    dim, n_inputs = condition.widths[0], condition.n_inputs
    x = inputs or InputNorms(float(dim), float(dim * (dim + 2)))  # x ~ N(0, I)
    alpha = np.broadcast_to(negative_slope, condition.depth)
    widths, ln_v = np.array(condition.widths, float), np.log(condition.weight_variances)
    fan_in, fan_out = widths[:-1], widths[1:]
    network = _Network(ln_v, fan_in, fan_out, alpha, fan_out[:-1], slope_moments(alpha))
    h = _forward_moments(network, x, independent=inputs is None)
    gradients, gradient_variances = _gradient_moments(network, h, condition.loss, x.zero)
    ln_f, ln_h = ln_v + h.norm2, h.norm2 - np.log(fan_in)
    second: dict[Quantity, FloatArray] = {"preactivation": ln_f, "activation": ln_h, **gradients}
    if n_inputs == 1:
        ln_variance = ln_f + np.log1p(-1 / fan_out)
        variance = {"preactivation": ln_variance, "activation": h.variance, **gradient_variances}
    else:  # closed as far as all is linear from the input on
        linear = np.append(inputs is None, alpha == 1.0)
        unknown = np.where(np.logical_and.accumulate(linear), 0.0, np.nan)
        variance = {quantity: np.full_like(ln_v, np.nan) for quantity in second}
        units: dict[Quantity, FloatArray] = {"preactivation": fan_out, "activation": fan_in}
        for quantity, n in units.items():
            variance[quantity] = second[quantity] + np.log1p(-1 / (n * n_inputs)) + unknown
    measures: dict[Measure, FloatArray] = {}
    for quantity, ln in second.items():
        measures[quantity, "second_moment"] = ln / np.log(10.0)
        measures[quantity, "variance"] = variance[quantity] / np.log(10.0)
    return measures


def log_norm_spread(condition: Condition, negative_slope: Slope) -> float:
    """Variance over networks of ln ‖h_K‖², to first order in 1/width; its mean is minus half of it.

    The sum over the hidden layers of the relative variance of ‖h_{k+1}‖²/‖h_k‖², which is
    (3 p4/p2² − 1)/n for n units: 5/n for ReLU.

    Source: Hanin & Nica 2018.
    """
    m = slope_moments(np.broadcast_to(negative_slope, condition.depth))
    return float(np.sum((3 * m.p4 / m.p2**2 - 1) / np.array(condition.widths[1:-1])))


def _forward_moments(network: _Network, x: InputNorms, *, independent: bool) -> _ForwardMoments:
    """Forward pass; V of the inputs is known if their components are `independent` and N(0, 1)."""
    ln_v, fan_in, hidden, m = network.ln_v, network.fan_in, network.hidden, network.slope
    pair = 3 * hidden * m.p4 + hidden * (hidden - 1) * m.p2**2
    norm2 = _chain(np.log(x.second), ln_v[:-1] + np.log(hidden * m.p2))
    norm4 = _chain(np.log(x.fourth), 2 * ln_v[:-1] + np.log(pair))
    centred = np.log1p(-1 / fan_in)
    known = 0.0 if independent else np.nan
    variance = centred + np.append(known, ln_v[:-1] + norm2[:-1] + np.log(m.p2 - m.a**2))
    mixed = 3 * m.p4 + (hidden - 1) * m.p2**2
    mixed -= 2 * m.a3 * m.a + (hidden - 2) * m.p2 * m.a**2
    norm2_variance = centred + np.append(
        known + np.log(fan_in[0] + 2), 2 * ln_v[:-1] + norm4[:-1] + np.log(mixed)
    )
    return _ForwardMoments(norm2, norm4, variance, norm2_variance)


def _coefficients(network: _Network) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Logarithms of A_k, B_k and C_k in `exact` for k = 0 … K, from the output back."""
    ln_v, fan_out, m = network.ln_v, network.fan_out, network.slope
    outputs = fan_out[-1]
    ln_a, ln_b, ln_c = (np.empty_like(ln_v) for _ in range(3))
    ln_a[-1] = np.log(outputs) + 2 * ln_v[-1]
    ln_b[-1] = np.log(outputs * (outputs + 1)) + 2 * ln_v[-1]
    ln_c[-1] = np.log(outputs) + ln_v[-1]
    for k in reversed(range(len(ln_v) - 1)):
        n, p2, p4 = fan_out[k], m.p2[k], m.p4[k]
        alike, different = np.log(n * p4), n * (n - 1) * p2**2
        across = _add(np.log(n * p4 + different) + ln_a[k + 1], alike + ln_b[k + 1])
        along = np.log(2 * n * p4 + different) + ln_b[k + 1]
        ln_a[k] = across + 2 * ln_v[k]
        ln_b[k] = _add(np.log(2) + alike + ln_a[k + 1], along) + 2 * ln_v[k]
        ln_c[k] = np.log(n * p2) + ln_c[k + 1] - ln_v[k] + 2 * ln_v[k]
    return ln_a, ln_b, ln_c


def _gradient_moments(
    network: _Network, h: _ForwardMoments, loss: Loss, zero: float
) -> tuple[dict[Quantity, FloatArray], dict[Quantity, FloatArray]]:
    """Second moments of gradients and their variances over units for one input, both as ln.

    Given h_k, δ = (∂ℓ/∂f_k)/2 has E[variance over its units] = W₁ ‖h_k‖² + W₀ and
    E[(mean over its units)²] = R₁ ‖h_k‖² + R₀. The last of each is that of δ = f_K − y, or of a
    probe's δ = p/2; what a layer holds of y or p is W₀ and R₀.
    """
    probes = loss.name == "probe"
    ln_part = -np.log(4.0) if probes else 2 * np.log(abs(loss.target))  # ln E[p²/4], or ln y²
    ln_follows = -np.inf if probes else 0.0  # whether there is a part f_K
    ln_v, fan_out, hidden, m = network.ln_v, network.fan_out, network.hidden, network.slope
    ln_fan_in, ln4 = np.log(network.fan_in), np.log(4.0)
    ln_whole_a, ln_whole_b, ln_whole_c = _coefficients(network)
    coefficients = ln_whole_a + ln_follows, ln_whole_b + ln_follows, ln_whole_c
    left_of_h, left_of_f = _target_left(network, coefficients[2], zero)
    ln_a, ln_b, ln_c = (ln[1:] for ln in coefficients)
    centred = np.log1p(-1 / fan_out)
    diagonal = np.log(m.p4 + (hidden - 1) * m.p2**2) + ln_a
    crossed = np.log(m.p4 + (hidden - 1) * m.sa**2) + ln_b
    of_part = ln_part + np.log(m.p2) + ln_c
    w1 = ln_v + np.append(_add(diagonal, np.log(m.p4 - m.sa**2) + ln_b), ln_follows) + centred
    w0 = np.append(of_part + centred[:-1], ln_part + centred[-1] if probes else -np.inf)
    r1 = ln_v + np.append(_add(diagonal, crossed), ln_follows) - np.log(fan_out)
    r0 = np.append(of_part - np.log(hidden), ln_part - np.log(fan_out[-1]) * probes)
    # E[(∂ℓ/∂h_k)²]/4 of each unit: an isotropic part, A ‖h_k‖² and that of y or p, and B along h_k.
    across = _add(coefficients[0] + h.norm2, ln_part + coefficients[2] + left_of_h)
    along = coefficients[1]
    given_h, given_none = _add(w1, r1), _add(w0, r0)
    second: dict[Quantity, FloatArray] = {
        "grad_preactivation": ln4 + _add(given_h + h.norm2, given_none + left_of_f),
        "grad_activation": ln4 + _add(across, along + h.norm2 - ln_fan_in),
        "grad_weight": ln4 + _add(given_h + h.norm4, given_none + h.norm2) - ln_fan_in,
    }
    within = (w1 + h.norm4 - ln_fan_in, w0 + h.norm2 - ln_fan_in)
    across_variance = across + np.log1p(-1 / network.fan_in)
    variance: dict[Quantity, FloatArray] = {
        "grad_preactivation": ln4 + _add(w1 + h.norm2, w0 + left_of_f),
        "grad_activation": ln4 + _add(across_variance, along + h.variance),
        "grad_weight": ln4 + _add(*within, r1 + h.norm2_variance, r0 + h.variance),
    }
    return second, variance


def _target_left(network: _Network, ln_c: FloatArray, zero: float) -> tuple[FloatArray, FloatArray]:
    """Share left of the target's part of ∂ℓ/∂h_k and ∂ℓ/∂f_k as h_k may be all zero, as ln.

    It is where x is, and behind a ReLU layer of n units with probability 2^−n. Then so is all that
    follows, whose slopes are α throughout, not 1 or α. ∂ℓ/∂f_K passes through none.
    """
    alpha, fan_out = network.alpha, network.fan_out
    survives = np.where(alpha == 0.0, np.log1p(-(2.0**-network.hidden)), 0.0)
    ln_alive = _chain(np.log1p(-zero), survives)
    ln_dead = np.log(-np.expm1(ln_alive))
    below, p2 = 2 * np.log(np.abs(alpha)), np.log((1 + alpha**2) / 2)
    steps = network.ln_v + np.log(fan_out)
    ratio = _chain(steps[-1], (steps[:-1] + below)[::-1])[::-1] - ln_c
    of_f = _add(ln_alive[:-1], ln_dead[:-1] + below - p2 + ratio[1:])
    return _add(ln_alive, ln_dead + ratio), np.append(of_f, 0.0)


def slope_moments(alpha: FloatArray) -> SlopeMoments:
    """Moments of activations of slope 1 above zero and α below, one of each for each α."""
    return SlopeMoments(
        a=(1 - alpha) / np.sqrt(2 * np.pi),
        p2=(1 + alpha**2) / 2,
        a3=(1 - alpha**3) * np.sqrt(2 / np.pi),
        p4=(1 + alpha**4) / 2,
        sa=(1 - alpha**2) / np.sqrt(2 * np.pi),
    )


def _chain(start: float, steps: FloatArray) -> FloatArray:
    """Running sums: start, start + steps[0], start + steps[0] + steps[1], …."""
    return np.cumsum(np.append(start, steps))


def _add(*logarithms: FloatArray) -> FloatArray:
    """Logarithm of the sum of the numbers whose logarithms are given."""
    return reduce(np.logaddexp, logarithms)
