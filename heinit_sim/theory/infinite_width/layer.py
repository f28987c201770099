"""One layer of infinitely many channels, in both passes, position by position.

    forward   weigh, then activate               Activations → Preactivations → Activations
    backward  activate_back, then weigh_back     Gradient → Gradient

∂ℓ/∂h_k has a part along h_k: given h_k and f_k = Ω h_k, a column of Ωᵀδ is h_k (f_kᵀδ)/‖h_k‖² and a
part independent of h_k, of variance σ² ‖δ‖². As D → ∞, and D_o with it,

    ∂ℓ/∂h_k = c h_k + √u z       c = fan_out σ² E[f δ]/q,  u = fan_out σ² E[δ²],  δ = ∂ℓ/∂f_k
    ∂ℓ/∂f_{k−1} = c a a' + √u z a'   at f_{k−1}

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
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.positions import signed_window_means, window_means

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
    along_second: FloatArray  # E[(a a')²]/(E[a²] E[a'²])
    along: FloatArray  # E[a a' He_n(z)/√n!]/√(E[a²] E[a'²]), (n, …), z = (f − E f)/√Var f


class Gradient(NamedTuple):
    """∂ℓ/∂f_k or ∂ℓ/∂h_k."""

    ln_second: FloatArray  # ln of its mean square
    cosine: float  # E[g(p) g(p')]/E[g²] of two positions; 0 where they have nothing in common
    along: FloatArray  # E[g h]/√(E[g²] E[h²]); of ∂ℓ/∂f its E[g He_n(z)/√n!]/√E[g²], as above
    mean_share: FloatArray  # E[g]/√E[g²]


class WeightGradient(NamedTuple):
    """∂ℓ/∂Ω_k of one input."""

    ln_second: float  # ln of its mean square
    mean_share: float  # its mean over its root mean square


class LayerWeights(NamedTuple):
    """Weights and biases of one layer."""

    ln_forward: float  # ln of fan_in σ²_Ω
    ln_backward: float  # ln of fan_out σ²_Ω
    ln_bias_variance: float
    bias_mean: float
    windows: Convolution | None = None  # whose windows they see, if not all units
    rows: float = 0.0  # what orthogonal rows or columns take of the part that is not along h


def ln_of(number: float) -> float:
    """Return the natural logarithm, −inf of 0."""
    return math.log(number) if number > 0 else -math.inf if number == 0 else math.nan


def weigh(h: Activations, weights: LayerWeights) -> Preactivations:
    """q(p) = fan_in σ²_Ω (average of E[h²] over the window) + σ²_b, of f = β + Ω h."""
    ln_w = weights.ln_forward + window_means(h.ln_second, weights.windows)
    ln_q = np.logaddexp(ln_w, weights.ln_bias_variance)
    if math.isnan(h.cosine) or not np.isfinite(ln_q).all():
        return Preactivations(ln_q, math.nan, weights.bias_mean)
    shares = np.exp(np.append(ln_w, weights.ln_bias_variance) - ln_q)
    return Preactivations(ln_q, float(shares @ [h.cosine, 1.0]), weights.bias_mean)


def from_loss(ln_second: float, share: float) -> Gradient:
    """∂ℓ/∂f_K: all that the backward pass knows of the loss.

    Args:
        ln_second: ln E[(∂ℓ/∂f_K)²] of each output.
        share: E[(f_K − E f_K) ∂ℓ/∂f_K] over the roots of both mean squares; 0 of a gradient that is
            independent of the network.
    """
    along = np.zeros(quadrature.ORDERS)
    along[1] = share
    return Gradient(np.array(ln_second), 0.0, along, np.array(0.0))


def weigh_back(df: Gradient, f: Preactivations, h: Activations, weights: LayerWeights) -> Gradient:
    """∂ℓ/∂h = c h + √u z, window by window.

    u = fan_out σ²_Ω (average of E[(∂ℓ/∂f)²] over the window), and c the same of E[f ∂ℓ/∂f]/q, by
    which the mean loss depends on q. Orthogonal weights keep the length of ∂ℓ/∂f, so that what is
    along h is not elsewhere.
    """
    ln_u = weights.ln_backward + window_means(df.ln_second, weights.windows)
    ln_slope = np.log(np.abs(df.along[1])) + (df.ln_second - f.ln_variance) / 2
    sign, ln_slope = signed_window_means(np.sign(df.along[1]), ln_slope, weights.windows)
    ln_along = 2 * (weights.ln_backward + ln_slope) + h.ln_second
    ln_along = np.where(np.isfinite(ln_along), ln_along, -np.inf)  # of f or a gradient that is 0
    ln = np.logaddexp(ln_u, ln_along + ln_of(1 - weights.rows))
    share = np.where(np.isneginf(ln_along), 0.0, np.exp((ln_along - ln) / 2))
    along, cosine = (sign * share)[()], df.cosine
    if along.ndim == 0 and not math.isnan(h.cosine):
        cosine = float(along**2 * h.cosine + (1 - along**2) * df.cosine)
    return Gradient(ln[()], cosine, along, along * h.mean_share)


def activate(activation: Activation, f: Preactivations) -> Activations:
    """Moments of a[f] and a'[f]; NaN where quadrature would leave the range of a float."""
    alpha = activation.common_slope
    if alpha is not None and f.mean == 0:
        return _rectified(alpha, f)
    ln_variance = _key(f.ln_variance.tolist())
    correlation = None  # NaN would not be found again, being unequal to itself
    if not math.isnan(f.correlation):
        correlation = round(max(min(f.correlation, 1.0), -1.0), _DIGITS)
    return _by_quadrature(activation, f.mean, ln_variance, correlation)


def _key(ln_variance: float | list[float]) -> float | tuple[float, ...]:
    if isinstance(ln_variance, list):
        return tuple(round(number, _DIGITS) for number in ln_variance)
    return round(ln_variance, _DIGITS)


def activate_back(gradient: Gradient, h: Activations, f: Preactivations) -> Gradient:
    """E[(∂ℓ/∂f)²] = c² E[(a a')²] + u E[a'²] of ∂ℓ/∂h = c h + √u z, h = a[f]."""
    squared = gradient.along**2
    factor = 1 + squared * (h.along_second - 1)
    along = gradient.along * h.along / np.sqrt(factor)
    ln = gradient.ln_second + h.ln_slope + np.log(factor)
    cosine = gradient.cosine * h.slope_cosine if gradient.cosine else 0.0
    if np.ndim(squared) == 0 and squared > 0 and not math.isnan(f.correlation):
        apart = gradient.cosine - squared * h.cosine
        cosine = float(squared * _series(h.along, h.along, f.correlation) + apart * h.slope_cosine)
        cosine /= float(factor)
    return Gradient(ln, cosine, along, along[0])


def add(skip: Gradient, f: Preactivations, branch: Gradient, kept: FloatArray) -> Gradient:
    """∂ℓ/∂h_k of a stream: what it is handed from h_{k+1}, and what the branch adds.

    Args:
        skip: ∂ℓ/∂h_{k+1}.
        f: h_k.
        branch: What has come through the branch.
        kept: √(Var h_k/Var h_{k+1}): given h_k, He_n of h_{k+1} is on average He_n of h_k by its
            nth power.
    """
    known = skip.along * kept ** _orders(skip.along)
    ln = np.logaddexp(skip.ln_second, branch.ln_second)
    parts = [np.exp((g.ln_second - ln) / 2) for g in (skip, branch)]
    across = 2 * parts[0] * parts[1]
    factor = 1 + across * (known * branch.along).sum(axis=0)
    along = (parts[0] * known + parts[1] * branch.along) / np.sqrt(factor)
    if np.ndim(ln):  # of positions that are not alike no cosine is known
        return Gradient(ln + np.log(factor), skip.cosine, along, along[0])
    shared = float(parts[0]) ** 2 * skip.cosine
    if parts[1] > 0:  # a branch of zeros has no cosine
        shared += float(parts[1]) ** 2 * branch.cosine
    if not math.isnan(f.correlation):
        shared += float(across) * _series(known, branch.along, f.correlation)
    return Gradient(ln + np.log(factor), shared / float(factor), along, along[0])


def of_branch(gradient: Gradient, share: FloatArray, scale: float) -> Gradient:
    """∂ℓ/∂f = s ∂ℓ/∂h of h + s f, of whose variance s f has that share."""
    orders = _orders(gradient.along)
    signs = np.sign(scale) ** (orders + 1)
    along = signs * gradient.along * np.sqrt(share) ** orders
    ln = gradient.ln_second + ln_of(scale**2)
    return Gradient(ln, gradient.cosine, along, along[0])


def activate_normalised(activation: Activation, f: Preactivations) -> Activations:
    """a[f] where f is held at mean 0 and variance 1, so that no gradient is along either."""
    h = activate(activation, f)
    mean, length = h.along[:2]
    along = h.along.copy()
    along[:2] = 0.0
    return h._replace(along=along, along_second=h.along_second - mean**2 - length**2)


def weight_gradient(
    df: Gradient, h: Activations, convolution: Convolution | None
) -> WeightGradient:
    """E[(Σ_p ∂ℓ/∂f(p) h(p + δ))²], averaged over the taps δ, and the mean of it.

    Σ_p E[∂f(p)²] E[h(p + δ)²] over the positions within the image; and what gradients at other
    positions add where they are correlated, all positions being alike.

    Args:
        df: ∂ℓ/∂f.
        h: What the weights are given.
        convolution: What they are, if not fully connected.
    """
    products = df.ln_second + window_means(h.ln_second, convolution)
    ln = products.item() if products.size == 1 else float(np.logaddexp.reduce(products))
    alike = 1
    if convolution is not None and products.size != convolution.positions:
        alike = convolution.positions
        across = (alike - 1) * df.cosine * h.cosine if df.cosine else 0.0
        ln += math.log(alike) + math.log1p(across)
    ln_means = np.log(np.abs(h.mean_share)) + h.ln_second / 2
    signs, ln_means = signed_window_means(np.sign(h.mean_share), ln_means, convolution)
    means = df.mean_share * signs * np.exp(ln_means + df.ln_second / 2 - ln / 2)
    return WeightGradient(ln, float(alike * np.sum(means)) if ln > -math.inf else 0.0)


def mean_of(one: WeightGradient, other: WeightGradient) -> WeightGradient:
    """Both together, of as many weights each."""
    ln = float(np.logaddexp(one.ln_second, other.ln_second)) - math.log(2)
    shares = (g.mean_share * math.exp((g.ln_second - ln) / 2) / 2 for g in (one, other))
    return WeightGradient(ln, sum(shares))


def _orders(along: FloatArray) -> NDArray[np.int64]:
    return np.arange(len(along)).reshape(-1, *[1] * (along.ndim - 1))


def _series(along: FloatArray, other: FloatArray, correlation: float) -> float:
    """E[g(z₁) g'(z₂)] for normal z₁, z₂ of that correlation, from Hermite coefficients."""
    return float((along * other) @ correlation ** np.arange(len(along)))


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
        unit.along_second,
        unit.along,
    )


@lru_cache(64)
def _unit_rectified(alpha: float, shape: tuple[int, ...]) -> Activations:
    p2, mean = (1 + alpha**2) / 2, (1 - alpha) / math.sqrt(2 * math.pi)
    numbers = (math.log(p2), ln_of(p2 - mean**2), mean / math.sqrt(p2))
    ln_p2, ln_variance, mean_share = (np.full(shape, number)[()] for number in numbers)
    rectifier = make_activation("prelu", {"negative_slope": alpha})
    second, along = (m / p2 for m in quadrature.along_moments(rectifier, np.ones(shape)))
    return Activations(
        ln_p2, math.nan, ln_variance, mean_share, ln_p2, math.nan, second / p2, along
    )


@lru_cache(256)
def _by_quadrature(
    activation: Activation,
    mean: float,
    ln_variance: float | tuple[float, ...],
    correlation: float | None,
) -> Activations:
    """Moments of any activation; layers at the same signal are looked up."""
    unknown = np.full(np.shape(ln_variance), math.nan)[()]
    unknowns = np.full((quadrature.ORDERS, *np.shape(ln_variance)), math.nan)
    nothing = Activations(unknown, math.nan, unknown, unknown, unknown, math.nan, unknown, unknowns)
    levels = np.unique(ln_variance) if isinstance(ln_variance, tuple) else np.array(ln_variance)
    if not (np.abs(levels) < _LN_RANGE).all():
        return nothing
    q = np.exp(levels)
    centred = quadrature.about(activation, mean)
    moments = quadrature.layer_moments(centred, q)
    if not np.isfinite(moments).all():
        return nothing
    along_second, along = quadrature.along_moments(centred, q)
    with np.errstate(divide="ignore", invalid="ignore"):  # of units that are all off
        share = np.where(moments.second > 0, moments.mean / np.sqrt(moments.second), 0.0)
        second, variance, slope = np.log([moments.second, moments.variance, moments.slope])
        root = np.sqrt(moments.second) * np.sqrt(moments.slope)
        along_second = np.where(root > 0, along_second / root / root, 1.0)[()]
        along = np.where(root > 0, along / root, 0.0)
    cosine = slope_cosine = math.nan
    # So large a sine is smooth nowhere.
    if correlation is not None and quadrature.wrapped(activation, q) == q:
        pair = (quadrature.shifted(activation, mean), q.item(), correlation)
        cosine = _ratio(quadrature.product_of_values(*pair), moments.second.item())
        slope_cosine = _ratio(quadrature.product_of_slopes(*pair), moments.slope.item())
    if levels.ndim:
        where = np.searchsorted(levels, ln_variance)
        second, variance, share, slope = (x[where] for x in (second, variance, share, slope))
        along_second, along = along_second[where], along[:, where]
    return Activations(
        second, cosine, variance, share[()], slope, slope_cosine, along_second, along
    )


def _ratio(product: float, second: float) -> float:
    return product / second if second > 0 else math.nan
