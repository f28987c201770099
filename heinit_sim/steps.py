"""What one layer does to a norm, given all before it: ratios whose law is known exactly.

For one input of a network with Gaussian weights, n = D_{k+1} units, q = σ²_k ‖h_k‖² + σ²_b:

    ‖f_k‖²/q                                      ~ χ²_n
    ‖h_{k+1}‖²/q                                  ~ Σ_n a(√q z)²/q, z ~ N(0, 1)
    (‖∂ℓ/∂h_k‖² − c²/‖h_k‖²)/(σ²_k ‖∂ℓ/∂f_k‖²)      ~ χ²_{D_k − 1}
    (‖∂ℓ/∂f_{k−1}‖² − c²/‖h_k‖²)/(σ²_k ‖∂ℓ/∂f_k‖²)  ~ χ²_{m − 1}, m ~ Bin(D_k, ½), for ReLU

with c = ⟨∂ℓ/∂h_k, h_k⟩ = 2ℓ. The first two hold for any activation; the others for a positively
homogeneous one, zero biases and y = 0, and are independent over layers and networks. For another
slope below zero the last has a known mean only. Averaged over a batch, the first two keep their
mean, and their spread can but shrink.

Source: Gaussian weights given the activations; Euler's identity for c. See `chain`.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation
from heinit_sim.quadrature import even_moments
from heinit_sim.records import (
    INPUT_0,
    Condition,
    ConditionResult,
    Measure,
    Quantity,
    Statistic,
)

Array = NDArray[np.float64]


class Steps(NamedTuple):
    """Ratios of one quantity over networks and layers; NaN where a network is dead."""

    quantity: Quantity
    statistic: Statistic
    layers: NDArray[np.int64]
    """The layers of the quantity, (n_layers,)."""
    ratio: Array
    """(n_networks, n_layers)."""
    mean: Array
    """What the ratio is on average; of the shape of `ratio` or (n_layers,)."""
    variance: Array | None
    """Its variance, or None where it is not known."""
    third: Array | None
    """Its third cumulant, or None likewise."""


def iter_steps(
    result: ConditionResult, activation: Activation, slope: float | None
) -> Iterator[Steps]:
    """Yield what can be tested of a condition.

    Args:
        result: What its networks showed.
        activation: Its activation.
        slope: α where it is positively homogeneous and without biases, else None.
    """
    statistics: tuple[Statistic, ...] = (INPUT_0,)
    if result.condition.n_inputs > 1:
        statistics = (INPUT_0, "second_moment")
    for statistic in statistics:
        ln = _ln_norms(result.condition, result.networks, statistic)
        yield from _forward(result.condition, ln, statistic, activation, slope)
        if slope is not None and result.condition.target == 0.0 and statistic == INPUT_0:
            yield from _backward(result.condition, ln, slope)


def _ln_norms(
    condition: Condition, networks: Mapping[Measure, Array], statistic: Statistic
) -> dict[Quantity, Array]:
    """Quantity -> ln of the squared norms, (n_networks, K+1)."""
    fan_in, fan_out = condition.widths[:-1], condition.widths[1:]
    units: dict[Quantity, tuple[int, ...]] = {
        "preactivation": fan_out,
        "activation": fan_in,
        "grad_preactivation": fan_out,
        "grad_activation": fan_in,
    }
    ln10 = np.log(10.0)
    return {q: ln10 * networks[q, statistic] + np.log(n) for q, n in units.items()}


def _forward(
    condition: Condition,
    ln: Mapping[Quantity, Array],
    statistic: Statistic,
    activation: Activation,
    slope: float | None,
) -> Iterator[Steps]:
    with np.errstate(divide="ignore", invalid="ignore"):
        ln_b = np.log(condition.bias_variance)
        ln_q = np.logaddexp(np.log(condition.weight_variances) + ln["activation"], ln_b)
        ratio_f = np.exp(ln["preactivation"] - ln_q)  # NaN behind a dead layer
        ratio_h = np.exp(ln["activation"][:, 1:] - ln_q[:, :-1])
    n = np.array(condition.widths[1:], float)
    layers = np.arange(len(n))
    yield Steps("preactivation", statistic, layers, ratio_f, n, 2 * n, 8 * n)
    hidden = n[:-1]
    if slope is not None:
        p2, p4, p6 = ((1 + slope**power) / 2 for power in (2, 4, 6))
        second, fourth, sixth = p2, 3 * p4, 15 * p6
    elif statistic == INPUT_0:
        q = np.exp(ln_q[:, :-1])
        moments = even_moments(activation, q.ravel())
        second, fourth, sixth = (
            moment.reshape(q.shape) / q**power
            for power, moment in zip((1, 2, 3), moments, strict=True)
        )
    else:
        return
    third = sixth - 3 * second * fourth + 2 * second**3
    yield Steps(
        "activation",
        statistic,
        layers[1:],
        ratio_h,
        hidden * second,
        hidden * (fourth - second**2),
        hidden * third,
    )


def _backward(condition: Condition, ln: Mapping[Quantity, Array], slope: float) -> Iterator[Steps]:
    widths = np.array(condition.widths, float)
    layers = np.arange(condition.depth + 1)
    with np.errstate(invalid="ignore"):  # -inf − -inf: a dead network has no ratios
        ln_across = np.log(condition.weight_variances) + ln["grad_preactivation"]
        ln_c = np.log(2.0) + ln["preactivation"][:, -1:]
        along = np.exp(2 * ln_c - ln["activation"] - ln_across)
        ratio_h = np.exp(ln["grad_activation"] - ln_across) - along
        ratio_f = np.exp(ln["grad_preactivation"][:, :-1] - ln_across[:, 1:])
    n = widths[:-1] - 1
    yield Steps("grad_activation", INPUT_0, layers, ratio_h, n, 2 * n, 8 * n)
    if slope == 0.0:
        mean, variance, third = _mixture(widths[1:-1])
        ratio = ratio_f - along[:, 1:]
        yield Steps("grad_preactivation", INPUT_0, layers[:-1], ratio, mean, variance, third)
    elif abs(slope) != 1.0:  # whose slopes leave the norm as it is
        # With cos² the share of the positive units in ‖h_k‖², the gradient along h_k keeps
        # cos² + α² sin² of its square, the direction that turns one part into the other the rest.
        s = np.exp(ln["preactivation"][:, :-1] - ln["activation"][:, 1:])  # ‖f_{k−1}‖²/‖h_k‖²
        cos2 = (1 - slope**2 * s) / (1 - slope**2)
        kept = cos2 + slope**2 * (1 - cos2)
        turned = 1 + slope**2 - kept
        mean = (widths[1:-1] / 2 - 1) * (1 + slope**2)
        ratio = ratio_f - along[:, 1:] * kept - turned
        yield Steps("grad_preactivation", INPUT_0, layers[:-1], ratio, mean, None, None)


def _mixture(n: Array) -> tuple[Array, Array, Array]:
    """First three cumulants of χ²_{m−1}, m ~ Bin(n, ½) given m ≥ 1.

    Given its degrees of freedom χ²_ν has the cumulants ν, 2ν, 8ν; total cumulance adds those of ν.
    """
    alive = 1 - 2.0**-n
    m1, m2, m3 = n / 2, n * (n + 1) / 4, n**2 * (n + 3) / 8
    m1, m2, m3 = m1 / alive, m2 / alive, m3 / alive
    variance = m2 - m1**2
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    nu = m1 - 1
    return nu, 2 * nu + variance, 8 * nu + 6 * variance + third
