"""One layer of infinitely many channels, in both passes, position by position.

    forward   weigh, then activate               Activations → Preactivations → Activations
    backward  activate_back, then weigh_back     Gradient → Gradient

Pre-activations are Gaussian over the channels. Moments have the shape (positions,) where zeros
beyond the edges tell the positions of an image apart, else (). Where all positions are alike, two
of them stand for all pairs, and what they have in common is carried as well:

    E[a(u₁) a(u₂)] and E[a'(u₁) a'(u₂)],  u₁, u₂ ~ N(0, q) of correlation ρ

For slopes 1 and α, with ± = (1 ± α)/2, these are +² ρ q + −² (2/π)(√(1−ρ²) + ρ asin ρ) q and
+² + −² (2/π) asin ρ.

Source: Cho & Saul 2009 for ReLU, E sgn sgn = (2/π) asin ρ; else by `quadrature`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width import quadrature

# Quadrature takes q itself, and needs room for its root, its square and its features.
_LN_RANGE = 600.0
_DIGITS = 13  # of ln q and ρ in which two signals are the same


class Preactivations(NamedTuple):
    """f_k, Gaussian over the channels."""

    ln_variance: FloatArray  # ln Var f
    correlation: float  # of two positions of a channel; NaN where not needed, or not known
    mean: float = 0.0  # E[f], the same of all units

    @property
    def ln_second(self) -> FloatArray:
        """E[f²], as a logarithm."""
        return np.logaddexp(self.ln_variance, ln_of(self.mean**2))


class Activations(NamedTuple):
    """h_k, what weights are given: a[f] of some f, a stream, or the inputs."""

    ln_second: FloatArray  # ln E[h²]
    cosine: float  # E[h(p) h(p')]/E[h²] of two positions; NaN as the correlation above
    ln_variance: FloatArray  # ln Var h
    mean_share: FloatArray  # E[h]/√E[h²]
    ln_slope: FloatArray  # ln E[a'²], by which the activation multiplies a squared gradient
    slope_cosine: float  # E[a'(u₁) a'(u₂)]/E[a'²] of two positions


class Gradient(NamedTuple):
    """∂ℓ/∂f_k or ∂ℓ/∂h_k."""

    ln_second: FloatArray  # ln of its mean square
    cosine: float  # E[g(p) g(p')]/E[g²] of two positions; 0 where they have nothing in common


class Weights(NamedTuple):
    """Weights and biases of one layer."""

    ln_forward: float  # ln of fan_in σ²_Ω
    ln_backward: float  # ln of fan_out σ²_Ω
    ln_bias_variance: float
    bias_mean: float
    windows: Convolution | None = None  # whose windows they see, if not all units


def ln_of(number: float) -> float:
    """Return the natural logarithm, −inf of 0."""
    return math.log(number) if number > 0 else -math.inf if number == 0 else math.nan


def weigh(h: Activations, weights: Weights) -> Preactivations:
    """q(p) = fan_in σ²_Ω (average of E[h²] over the window) + σ²_b, of f = β + Ω h."""
    ln_w = weights.ln_forward + window_means(h.ln_second, weights.windows)
    ln_q = np.logaddexp(ln_w, weights.ln_bias_variance)
    if math.isnan(h.cosine) or not np.isfinite(ln_q).all():
        return Preactivations(ln_q, math.nan, weights.bias_mean)
    shares = np.exp(np.append(ln_w, weights.ln_bias_variance) - ln_q)
    return Preactivations(ln_q, float(shares @ [h.cosine, 1.0]), weights.bias_mean)


def weigh_back(gradient: Gradient, weights: Weights) -> Gradient:
    """E[(∂ℓ/∂h)²] = fan_out σ²_Ω (average of E[(∂ℓ/∂f)²] over the window)."""
    ln = weights.ln_backward + window_means(gradient.ln_second, weights.windows)
    return Gradient(ln, gradient.cosine)


def activate(activation: Activation, f: Preactivations) -> Activations:
    """Moments of a[f] and a'[f]; NaN where quadrature would leave the range of a float."""
    alpha = activation.common_slope
    if alpha is not None and f.mean == 0:
        return _rectified(alpha, f)
    ln_variance = f.ln_variance.round(_DIGITS).tolist()
    if isinstance(ln_variance, list):
        ln_variance = tuple(ln_variance)
    correlation = None  # NaN would not be found again, being unequal to itself
    if not math.isnan(f.correlation):
        correlation = round(max(min(f.correlation, 1.0), -1.0), _DIGITS)
    return _by_quadrature(activation, f.mean, ln_variance, correlation)


def activate_back(gradient: Gradient, h: Activations) -> Gradient:
    """E[(∂ℓ/∂f)²] = E[a'²] E[(∂ℓ/∂h)²], h = a[f]."""
    cosine = gradient.cosine * h.slope_cosine if gradient.cosine else 0.0
    return Gradient(gradient.ln_second + h.ln_slope, cosine)


def weight_gradient(df: Gradient, h: Activations, convolution: Convolution | None) -> float:
    """E[(Σ_p ∂ℓ/∂f(p) h(p + δ))²], averaged over the taps δ, as a logarithm.

    Σ_p E[∂f(p)²] E[h(p + δ)²] over the positions within the image; and what gradients at other
    positions add where they are correlated, all positions being alike.

    Args:
        df: ∂ℓ/∂f.
        h: What the weights are given.
        convolution: What they are, if not fully connected.
    """
    products = df.ln_second + window_means(h.ln_second, convolution)
    total = products.item() if products.size == 1 else float(np.logaddexp.reduce(products))
    if convolution is None or products.size == convolution.positions:
        return total
    across = (convolution.positions - 1) * df.cosine * h.cosine if df.cosine else 0.0
    return total + math.log(convolution.positions) + math.log1p(across)


def _rectified(alpha: float, f: Preactivations) -> Activations:
    """Moments of slope 1 above zero and α below: those at variance 1, scaled."""
    unit = _unit_rectified(alpha, f.ln_variance.shape)
    cosine = slope_cosine = math.nan
    if not math.isnan(f.correlation):
        rho, p2 = max(min(f.correlation, 1.0), -1.0), (1 + alpha**2) / 2
        even, odd = ((1 - alpha) / 2) ** 2 * 2 / math.pi, ((1 + alpha) / 2) ** 2
        cosine = (odd * rho + even * (math.sqrt(1 - rho**2) + rho * math.asin(rho))) / p2
        slope_cosine = (odd + even * math.asin(rho)) / p2
    return Activations(
        f.ln_variance + unit.ln_second,
        cosine,
        f.ln_variance + unit.ln_variance,
        unit.mean_share,
        unit.ln_slope,
        slope_cosine,
    )


@lru_cache(64)
def _unit_rectified(alpha: float, shape: tuple[int, ...]) -> Activations:
    p2, mean = (1 + alpha**2) / 2, (1 - alpha) / math.sqrt(2 * math.pi)
    numbers = (math.log(p2), ln_of(p2 - mean**2), mean / math.sqrt(p2))
    ln_p2, ln_variance, mean_share = (np.full(shape, number)[()] for number in numbers)
    return Activations(ln_p2, math.nan, ln_variance, mean_share, ln_p2, math.nan)


@lru_cache(256)
def _by_quadrature(
    activation: Activation,
    mean: float,
    ln_variance: float | tuple[float, ...],
    correlation: float | None,
) -> Activations:
    """Moments of any activation; layers at the same signal are looked up."""
    unknown = np.full(np.shape(ln_variance), math.nan)[()]
    nothing = Activations(unknown, math.nan, unknown, unknown, unknown, math.nan)
    levels = np.unique(ln_variance) if isinstance(ln_variance, tuple) else np.array(ln_variance)
    if not (np.abs(levels) < _LN_RANGE).all():
        return nothing
    q = np.exp(levels)
    moments = quadrature.layer_moments(quadrature.about(activation, mean), q)
    if not np.isfinite(moments).all():
        return nothing
    with np.errstate(divide="ignore", invalid="ignore"):  # of units that are all off
        share = np.where(moments.second > 0, moments.mean / np.sqrt(moments.second), 0.0)
        second, variance, slope = np.log([moments.second, moments.variance, moments.slope])
    cosine = slope_cosine = math.nan
    # So large a sine is smooth nowhere.
    if correlation is not None and quadrature.wrapped(activation, q) == q:
        pair = (quadrature.shifted(activation, mean), q.item(), correlation)
        cosine = _ratio(quadrature.product_of_values(*pair), moments.second.item())
        slope_cosine = _ratio(quadrature.product_of_slopes(*pair), moments.slope.item())
    if levels.ndim:
        where = np.searchsorted(levels, ln_variance)
        second, variance, share, slope = (x[where] for x in (second, variance, share, slope))
    return Activations(second, cosine, variance, share[()], slope, slope_cosine)


def _ratio(product: float, second: float) -> float:
    return product / second if second > 0 else math.nan


def position_shape(convolution: Convolution | None) -> tuple[int, ...]:
    """Shape of the moments of a layer: (positions,) with zero padding, else () for all alike."""
    if convolution is None or convolution.padding == "circular":
        return ()
    return (convolution.positions,)


def window_means(ln: FloatArray, convolution: Convolution | None) -> FloatArray:
    """(1/taps) Σ_δ r(p + δ) of each position, as logarithms of r; both (kept positions,).

    It is its own adjoint: the windows of p in which p' is are those of p' in which p is.

    Args:
        ln: ln r(p) in the order of the image's positions.
        convolution: Whose windows; None averages nothing, and so does circular padding.
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


def mean_over_positions(ln: FloatArray) -> FloatArray:
    """The average of r(p) over the last axis, as logarithms of r; (…, positions) → (…)."""
    ln = np.atleast_1d(ln)
    average: FloatArray = np.logaddexp.reduce(ln, axis=-1) - np.log(ln.shape[-1])
    return average


def variance_over_units(
    ln_variance: FloatArray, ln_second: FloatArray, mean_share: FloatArray
) -> FloatArray:
    """Variance over all units, those of other positions included, as a logarithm.

    The average variance within a position and the variance of the means between them.

    Args:
        ln_variance: ln Var at each position, (…, positions).
        ln_second: ln E[h²] at each position, likewise.
        mean_share: E[h]/√E[h²] at each position, likewise.

    Returns:
        One number for each layer, (…).
    """
    within = mean_over_positions(ln_variance)
    shift = ln_second.max(axis=-1, keepdims=True)
    means = mean_share * np.exp((ln_second - shift) / 2)
    with np.errstate(divide="ignore"):  # of positions that are all alike
        between = shift[..., 0] + np.log(means.var(axis=-1))
    return np.where(np.isfinite(shift[..., 0]), np.logaddexp(within, between), within)
