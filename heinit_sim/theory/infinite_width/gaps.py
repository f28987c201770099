"""1 − cosine of two inputs, and behind an activation: all digits however close they come."""

import math
from functools import lru_cache

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.sampling import data_sets
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.signals import ln_of

# Pre-activation variances whose square root and features quadrature has room for.
_LEAST_Q, _LARGEST_Q = 1e-250, 1e250
_LARGEST_LN = 709.0
# Gaps below are a factor of this one: what a float has room for, and where the map is linear.
_LEAST_GAP = 1e-100
# Gaps, times q where it is above 1, below which E[a'²] tells what is left: kinks bend the map by
# the root of the gap, and differences of averages have lost as many digits.
_LINEAR = 1e-14
# Below this angle sin θ − θ cos θ is a series: two terms fewer than float64 could tell.
_SMALL_ANGLE = 0.01


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


def activated_ln_gap(activation: Activation, mean: float, ln_q: float, ln_gap: float) -> float:
    """Logarithm of `activated_gap`, at gaps of any size and with ln q."""
    q = _exp(ln_q)
    if ln_gap < math.log(_LEAST_GAP):
        least = activated_gap(activation, mean, q, _LEAST_GAP)
        return ln_of(least) - math.log(_LEAST_GAP) + ln_gap
    return ln_of(activated_gap(activation, mean, q, _exp(ln_gap)))


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
    if gap * max(q, 1.0) < _LINEAR and not _jumps(quadrature.shifted(activation, mean)):
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


def _exp(ln: float) -> float:
    """Return the exponential, infinite beyond float range."""
    return math.inf if ln > _LARGEST_LN else math.exp(ln)
