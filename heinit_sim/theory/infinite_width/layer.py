"""What one layer of infinitely many channels does to a Gaussian signal, position by position.

Of two positions of one channel, where all are alike, it carries the correlation as well:

    E[a(u₁) a(u₂)] and E[a'(u₁) a'(u₂)],  u₁, u₂ ~ N(0, q) of correlation ρ

For slopes 1 and α, with ± = (1 ± α)/2, these are +² ρ q + −² (2/π)(√(1−ρ²) + ρ asin ρ) q and
+² + −² (2/π) asin ρ.

Source: Cho & Saul 2009 for ReLU, E sgn sgn = (2/π) asin ρ; else by quadrature (`pairs`).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.quadrature import about, layer_moments, pair_average, wrapped

# Quadrature takes q itself, and needs room for its root, its square and its features.
_LN_RANGE = 600.0


class Signal(NamedTuple):
    """Pre-activations, Gaussian over the channels."""

    ln_variance: FloatArray
    """(kept positions,)."""
    correlation: float
    """Of two positions of a channel; NaN where it is not needed, or not known."""
    mean: float = 0.0
    """Of all units."""

    @property
    def ln_second(self) -> FloatArray:
        """E[f²], as a logarithm."""
        return np.logaddexp(self.ln_variance, ln_of(self.mean**2))

    @property
    def product(self) -> float:
        """E[f(p) f(p')]/E[f²] of two positions."""
        share = math.exp(ln_of(self.mean**2) - self.ln_second[0]) if self.mean else 0.0
        return self.correlation * (1 - share) + share


class Seen(NamedTuple):
    """What weights are given: a[f] of some signal f, or the inputs."""

    ln_second: FloatArray
    """ln E[h²], (kept positions,)."""
    product: float
    """E[h(p) h(p')]/E[h²] of two positions; NaN as above."""
    ln_variance: FloatArray
    mean_share: FloatArray
    """E[h]/√E[h²]."""
    ln_slope: FloatArray
    """ln of what the squared gradient is multiplied by on the way back through it, E[a'²]."""
    slope_product: float
    """E[a'(u₁) a'(u₂)]/E[a'²] of two positions."""


class Through(NamedTuple):
    """Weights and biases of one layer."""

    ln_forward: float
    """ln of fan_in σ²_Ω."""
    ln_backward: float
    """ln of fan_out σ²_Ω."""
    ln_bias_variance: float
    bias_mean: float
    windows: Convolution | None = None
    """Whose windows they see, if not all units; of weights in the centre alone, of one position."""


def ln_of(number: float) -> float:
    """Its logarithm, −inf of 0."""
    return math.log(number) if number > 0 else -math.inf if number == 0 else math.nan


def weigh(seen: Seen, by: Through) -> Signal:
    """q(p) = fan_in σ²_Ω (average of E[h²] over the window) + σ²_b, of f = β + Ω h."""
    ln_w = by.ln_forward + window_means(seen.ln_second, by.windows)
    ln_q = np.logaddexp(ln_w, by.ln_bias_variance)
    if math.isnan(seen.product) or not math.isfinite(ln_q[0]):
        return Signal(ln_q, math.nan, by.bias_mean)
    shares = np.exp([ln_w[0] - ln_q[0], by.ln_bias_variance - ln_q[0]])
    return Signal(ln_q, float(shares @ [seen.product, 1.0]), by.bias_mean)


def normalised(signal: Signal) -> tuple[Signal, float]:
    """The signal less its mean and over its standard deviation, and ln of its variance.

    Both are over all units of the layer, those of all positions together.
    """
    ln_total = mean_over_positions(signal.ln_variance)
    return Signal(signal.ln_variance - ln_total, signal.correlation), ln_total


def activate(activation: Activation, signal: Signal) -> Seen:
    """Moments of a[f] and a'[f]; NaN where quadrature would leave the range of a float."""
    alpha = activation.common_slope
    if alpha is not None and signal.mean == 0:
        return _homogeneous(alpha, signal)
    unique, where = np.unique(signal.ln_variance.round(12), return_inverse=True)
    unknown = np.full_like(signal.ln_variance, np.nan)
    if not (np.abs(unique) < _LN_RANGE).all():
        return Seen(unknown, math.nan, unknown, unknown, unknown, math.nan)
    q = np.exp(unique)
    shifted = about(activation, signal.mean)
    moments = layer_moments(shifted, q)
    if not np.isfinite(moments).all():
        return Seen(unknown, math.nan, unknown, unknown, unknown, math.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # of units that are all off
        share = np.nan_to_num(moments.mean / np.sqrt(moments.second))
        second, variance, slope = np.log([moments.second, moments.variance, moments.slope])
    products = (math.nan, math.nan)
    if not math.isnan(signal.correlation):
        rho = max(min(signal.correlation, 1.0), -1.0)
        products = _products(activation, signal.mean, float(q[0]), round(rho, 12))
    return Seen(
        second[where], products[0], variance[where], share[where], slope[where], products[1]
    )


def weight_gradient(
    ln_df: FloatArray, product: float, seen: Seen, convolution: Convolution | None
) -> float:
    """E[(Σ_p ∂ℓ/∂f(p) h(p + δ))²], averaged over the taps δ, as a logarithm.

    Σ_p E[∂f(p)²] E[h(p + δ)²] over the positions within the image; and what gradients at other
    positions add where they are correlated, all positions being alike.

    Args:
        ln_df: ln E[(∂ℓ/∂f)²], (kept positions,).
        product: E[∂f(p) ∂f(p')]/E[∂f²] of two positions.
        seen: What the weights are given.
        convolution: What they are, if not fully connected.
    """
    total = float(np.logaddexp.reduce(ln_df + window_means(seen.ln_second, convolution)))
    if convolution is None or len(ln_df) == convolution.positions:
        return total
    across = 0.0 if product == 0 else (convolution.positions - 1) * product * seen.product
    return total + math.log(convolution.positions) + math.log1p(across)


def _homogeneous(alpha: float, signal: Signal) -> Seen:
    p2, mean = (1 + alpha**2) / 2, (1 - alpha) / math.sqrt(2 * math.pi)
    rho = signal.correlation
    even, odd = ((1 - alpha) / 2) ** 2 * 2 / math.pi, ((1 + alpha) / 2) ** 2
    product = odd * rho + even * (math.sqrt(1 - min(rho**2, 1.0)) + rho * _asin(rho))
    zero = np.zeros_like(signal.ln_variance)
    return Seen(
        signal.ln_variance + math.log(p2),
        product / p2,
        signal.ln_variance + ln_of(p2 - mean**2),
        zero + mean / math.sqrt(p2),
        zero + math.log(p2),
        (odd + even * _asin(rho)) / p2,
    )


def _asin(rho: float) -> float:
    return math.nan if math.isnan(rho) else math.asin(max(min(rho, 1.0), -1.0))


@lru_cache(256)
def _products(activation: Activation, mean: float, q: float, rho: float) -> tuple[float, float]:
    """Those of a and a' at two positions, over what they are at one."""
    if wrapped(activation, np.array([q]))[0] < q:  # of so large a sine nothing is smooth
        return math.nan, math.nan
    kinks = tuple(kink - mean for kink in activation.kinks)
    shifted = about(activation, mean)
    moments = layer_moments(shifted, np.array(q))

    def value(u: FloatArray) -> FloatArray:
        return shifted.value(u, np.empty_like(u))

    def slope(u: FloatArray) -> FloatArray:
        return np.asarray(shifted.derivative(u), float)

    def ratio(g: Callable[[FloatArray], FloatArray], second: FloatArray) -> float:
        return pair_average(g, q, rho, kinks) / float(second) if second > 0 else math.nan

    return ratio(value, moments.second), ratio(slope, moments.slope)


def kept_positions(convolution: Convolution | None) -> int:
    """Positions that have second moments of their own: all of them with zero padding, else one."""
    if convolution is None or convolution.padding == "circular":
        return 1
    return convolution.positions


def window_means(ln: FloatArray, convolution: Convolution | None) -> FloatArray:
    """(1/taps) Σ_δ r(p + δ) of each position, as logarithms of r; both (kept positions,).

    Args:
        ln: ln r(p) in the order of the image's positions.
        convolution: Whose windows; None averages nothing, and so does circular padding.

    It is its own adjoint: the windows of p in which p' is are those of p' in which p is.
    """
    if convolution is None or convolution.padding == "circular":
        return ln
    shift = ln.max()
    if not np.isfinite(shift):
        return np.full_like(ln, shift)
    image = np.exp(ln - shift).reshape(convolution.image)
    for axis, n in enumerate(convolution.image):
        near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) <= convolution.kernel // 2
        image = np.moveaxis(np.tensordot(near.astype(float), image, (1, axis)), 0, axis)
    averages: FloatArray = shift + np.log(image.ravel() / convolution.taps)
    return averages


def mean_over_positions(ln: FloatArray) -> float:
    """The average of r(p), as logarithms of r."""
    return float(np.logaddexp.reduce(ln) - np.log(len(ln)))


def variance_over_units(
    ln_variance: FloatArray, ln_second: FloatArray, mean_share: FloatArray
) -> float:
    """Variance over all units, those of other positions included, as a logarithm.

    The average variance within a position and the variance of the means between them.

    Args:
        ln_variance: ln Var at each position.
        ln_second: ln E[h²] at each position.
        mean_share: E[h]/√E[h²] at each position.
    """
    within = mean_over_positions(ln_variance)
    shift = ln_second.max()
    if len(ln_second) == 1 or not np.isfinite(shift):
        return within
    means = mean_share * np.exp((ln_second - shift) / 2)
    with np.errstate(divide="ignore"):  # of positions that are all alike
        return float(np.logaddexp(within, shift + np.log(means.var())))
