"""The exact law of ln ‖h_k‖² over networks: its mean and variance, layer by layer."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.special_functions import digamma, trigamma
from heinit_sim.sampling.data_sets import is_data_set, log_norms


class LogLaw(NamedTuple):
    """Mean and variance of ln r for a layer of n units, r = ‖h_{k+1}‖² / (σ²_k ‖h_k‖²)."""

    mean: float
    variance: float


_UNKNOWN = LogLaw(np.nan, np.nan)


@lru_cache(maxsize=1024)
def relu_law(n_units: int) -> LogLaw:
    """The law of a ReLU layer: r ~ χ²_m with m ~ Bin(n, ½), given that a unit is on.

    Source: E ln χ²_m = ψ(m/2) + ln 2 and Var ln χ²_m = ψ'(m/2); Hanin & Nica 2018.
    """
    m = np.arange(1, n_units + 1)
    ln_ways = np.cumsum(np.log((n_units - m + 1) / m))
    weights = np.exp(ln_ways - ln_ways.max())
    weights /= weights.sum()
    ln_chi2 = digamma(m / 2) + np.log(2.0)
    mean = float(weights @ ln_chi2)
    return LogLaw(mean, float(weights @ (trigamma(m / 2) + (ln_chi2 - mean) ** 2)))


def linear_law(n_units: int) -> LogLaw:
    """The law of a layer whose slopes are all of size 1: r ~ χ²_n."""
    half = np.array([n_units / 2])
    return LogLaw(float(digamma(half)[0] + np.log(2.0)), float(trigamma(half)[0]))


def input_law(inputs: Inputs, dim: int) -> LogLaw:
    """Mean and variance of ln ‖x‖² over inputs that are not all zero.

    x ~ N(0, s² I), alone or in pairs; constant inputs; data sets. NaN for others, which have no
    such closed form.
    """
    if is_data_set(inputs):
        ln = log_norms(inputs)
        alive = ln[np.isfinite(ln)]
        return LogLaw(float(alive.mean()), float(alive.var())) if len(alive) else _UNKNOWN
    if inputs.distribution == "constant" and inputs.mean:
        return LogLaw(float(np.log(dim) + 2 * np.log(abs(inputs.mean))), 0.0)
    unscaled = inputs.normalisation != "none"
    normal = inputs.distribution in ("standard_normal", "normal", "pair")
    if normal and (unscaled or inputs.mean == 0.0):
        law = linear_law(dim)
        return LogLaw(law.mean + (0.0 if unscaled else 2 * np.log(inputs.std)), law.variance)
    return _UNKNOWN


def log_law(condition: Condition, negative_slope: Slope) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of ln (‖h_k‖²/D_k) over networks that are alive, k = 0 … K.

    For one input per network. NaN for inputs of which `input_law` knows nothing, and behind layers
    whose slope is not 0 or ±1, for which no closed form is known.

    Returns:
        Two arrays of shape (K+1,), in natural logarithms.
    """
    widths = condition.widths
    alpha = np.broadcast_to(negative_slope, condition.depth).tolist()
    steps = [_law(slope, n) for slope, n in zip(alpha, widths[1:-1], strict=True)]
    with np.errstate(divide="ignore"):  # weights of 0
        means = np.log(condition.weight_variances[:-1]) + [step.mean for step in steps]
    first = input_law(condition.inputs, widths[0])
    mean = np.cumsum([first.mean, *means]) - np.log(widths[:-1])
    return mean, np.cumsum([first.variance, *(step.variance for step in steps)])


def _law(slope: float, n_units: int) -> LogLaw:
    if slope == 0.0:
        return relu_law(n_units)
    return linear_law(n_units) if abs(slope) == 1.0 else _UNKNOWN
