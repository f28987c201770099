"""a[z], elementwise, at two positions and of two inputs.

    ∂ℓ/∂z = c a a' + √u w a'       of ∂ℓ/∂a = c a + √u w

z must be Gaussian over the channels. Where all positions are alike, two of them stand for all
pairs:

    E[a(u₁) a(u₂)] and E[a'(u₁) a'(u₂)],  u₁, u₂ ~ N(0, q) of correlation ρ

For slopes 1 and α, with ± = (1 ± α)/2, these are +² ρ q + −² (2/π)(√(1−ρ²) + ρ asin ρ) q and
+² + −² (2/π) asin ρ. Of such slopes one input's moments are known wherever signs are as often +
as −.

Source: Cho & Saul 2009 for ReLU, E sgn sgn = (2/π) asin ρ; else by `quadrature`.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.gaps import activated_ln_gap
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Signal,
    centred,
    ln_of,
    mean_of,
    series,
    unknown,
)

# Quadrature takes q itself, and needs room for its root, its square and its features.
_LN_RANGE = 600.0
_DIGITS = 13  # of ln q and ρ in which two signals are the same


class Activated(NamedTuple):
    """a[z], and what its gradient is multiplied by."""

    after: Signal
    ln_slope: FloatArray  # ln E[a'²], by which a squared gradient is multiplied
    slope_cosine: float  # E[a'(u₁) a'(u₂)]/E[a'²] of two positions
    along_second: FloatArray  # E[(a a')²]/(E[a²] E[a'²])
    along: FloatArray  # E[a a' He_n(ζ)/√n!]/√(E[a²] E[a'²]), (n, …), ζ = (z − E z)/√Var z


def forward(activation: Activation, z: Signal) -> Activated:
    """Moments of a[z] and a'[z]; NaN where quadrature would leave the range of a float."""
    alpha = activation.common_slope
    if z.law == "other":
        return _unknown(z)
    if z.law == "symmetric":
        return _symmetric(alpha, z) if alpha is not None else _unknown(z)
    mean = mean_of(z)
    if alpha is not None and mean == 0:
        activated = _rectified(alpha, z)
    else:
        ln_variance = z.ln_variance.tolist()
        key = tuple(map(_key, ln_variance)) if np.ndim(z.ln_variance) else _key(ln_variance)
        correlation = None  # NaN would not be found again, being unequal to itself
        if not math.isnan(z.cosine):
            rho = centred(z.cosine, z.mean_share)
            correlation = round(max(min(rho, 1.0), -1.0), _DIGITS)
        activated = _by_quadrature(activation, mean, key, correlation)
    if math.isnan(z.ln_gap):
        return activated
    ln_q, about_mean = math.nan, z.ln_gap
    if np.ndim(z.ln_variance) == 0:
        ln_q = float(z.ln_variance)
        about_mean += float(z.ln_second) - ln_q
    ln_gap = activated_ln_gap(activation, mean, ln_q, about_mean)
    return activated._replace(after=activated.after._replace(ln_gap=ln_gap))


def _key(ln_variance: float) -> float:
    return round(ln_variance, _DIGITS)


def back(activation: Activation, gradient: Gradient, activated: Activated, z: Signal) -> Gradient:
    """E[(∂ℓ/∂z)²] = c² E[(a a')²] + u E[a'²] of ∂ℓ/∂a = c a + √u w."""
    squared = np.square(gradient.along)
    factor = 1 + gradient.tilt * (activated.along_second - 1)
    along = gradient.along * activated.along / np.sqrt(factor)
    ln = gradient.ln_second + activated.ln_slope + np.log(factor)
    cosine = float(gradient.cosine * activated.slope_cosine) if gradient.cosine else 0.0
    if z.law != "gaussian":
        mean_share = np.where(along == 0, 0.0, math.nan)[()]  # of a size that is not known
        tilt = gradient.tilt * activated.along_second / factor
        return Gradient(ln, cosine, along, mean_share, tilt)
    rho = centred(z.cosine, z.mean_share)
    if np.ndim(squared) == 0 and squared > 0 and not math.isnan(rho):
        apart = gradient.cosine - squared * activated.after.cosine
        known = squared * series(activated.along, activated.along, rho)
        cosine = float((known + apart * activated.slope_cosine) / factor)
    between, bent = math.nan, 0.0
    if np.ndim(squared) == 0 and not math.isnan(gradient.between):
        apart = gradient.between - squared * -math.expm1(activated.after.ln_gap)
        rho = centred(-math.expm1(z.ln_gap), z.mean_share)
        slope, tilted = slope_products(activation, mean_of(z), float(z.ln_variance), rho)
        known = squared * (series(activated.along, activated.along, rho) if squared else 0.0)
        between = float((known + apart * slope) / factor)
        bent = float(apart * tilted / factor)
    return Gradient(ln, cosine, along, along[0], squared, between, bent)


def slope_products(
    activation: Activation, mean: float, ln_variance: float, correlation: float
) -> tuple[float, float]:
    """E[a'(u₁) a'(u₂)] and E[a'(u₁) ζ]², each over E[a'²]; ζ of variance 1."""
    alpha = activation.common_slope
    if alpha is not None and mean == 0:
        p2, rho = (1 + alpha**2) / 2, max(min(correlation, 1.0), -1.0)
        even, odd = ((1 - alpha) / 2) ** 2 * 2 / math.pi, ((1 + alpha) / 2) ** 2
        return (odd + even * math.asin(rho)) / p2, (1 - alpha) ** 2 / (2 * math.pi) / p2
    if not abs(ln_variance) < _LN_RANGE or math.isnan(correlation):
        return math.nan, math.nan
    return _slope_products(
        activation, mean, _key(ln_variance), round(max(min(correlation, 1.0), -1.0), _DIGITS)
    )


@lru_cache(256)
def _slope_products(
    activation: Activation, mean: float, ln_variance: float, correlation: float
) -> tuple[float, float]:
    q = np.array(math.exp(ln_variance))
    if quadrature.wrapped(activation, q) != q:
        return math.nan, math.nan
    moved = quadrature.shifted(activation, mean)
    slope = float(quadrature.layer_moments(quadrature.about(activation, mean), q).slope)
    tilted = quadrature.average(
        lambda u: np.asarray(moved.derivative(u), float) * u, q, moved.kinks
    ) / math.sqrt(q)
    product = quadrature.product_of_slopes(moved, float(q), correlation)
    return _ratio(product, slope), _ratio(float(tilted) ** 2, slope)


def _unknown(z: Signal) -> Activated:
    after = unknown(z)
    nothing = after.ln_second
    along = np.full((quadrature.ORDERS, *np.shape(nothing)), math.nan)
    return Activated(after, nothing, math.nan, nothing, along if z.law == "gaussian" else nothing)


def _symmetric(alpha: float, z: Signal) -> Activated:
    """Slope 1 above zero and α below, each taken by half of E[z²]."""
    p2, p4 = (1 + alpha**2) / 2, (1 + alpha**4) / 2
    one = np.ones(np.shape(z.ln_second))[()]
    after = unknown(z)._replace(ln_second=z.ln_second + math.log(p2))
    return Activated(after, one * math.log(p2), math.nan, one * (p4 / p2**2), one)


def _rectified(alpha: float, z: Signal) -> Activated:
    """Moments of slope 1 above zero and α below: those at variance 1, scaled."""
    unit = _unit_rectified(alpha, np.shape(z.ln_variance))
    cosine = slope_cosine = math.nan
    if not math.isnan(z.cosine):
        rho, p2 = max(min(z.cosine, 1.0), -1.0), (1 + alpha**2) / 2
        even, odd = ((1 - alpha) / 2) ** 2 * 2 / math.pi, ((1 + alpha) / 2) ** 2
        cosine = (odd * rho + even * (math.sqrt(1 - rho**2) + rho * math.asin(rho))) / p2
        slope_cosine = (odd + even * math.asin(rho)) / p2
    ln_second, ln_variance = (
        z.ln_variance + moment for moment in (unit.after.ln_second, unit.after.ln_variance)
    )
    after = Signal(ln_second, ln_variance, unit.after.mean_share, cosine)
    return unit._replace(after=after, slope_cosine=slope_cosine)


@lru_cache(64)
def _unit_rectified(alpha: float, shape: tuple[int, ...]) -> Activated:
    p2, mean = (1 + alpha**2) / 2, (1 - alpha) / math.sqrt(2 * math.pi)
    numbers = (math.log(p2), ln_of(p2 - mean**2), mean / math.sqrt(p2))
    ln_p2, ln_variance, mean_share = (np.full(shape, number)[()] for number in numbers)
    rectifier = make_activation("prelu", {"negative_slope": alpha})
    second, along = (m / p2 for m in quadrature.along_moments(rectifier, np.ones(shape)))
    after = Signal(ln_p2, ln_variance, mean_share, math.nan)
    return Activated(after, ln_p2, math.nan, second / p2, along)


@lru_cache(4096)
def _by_quadrature(
    activation: Activation,
    mean: float,
    ln_variance: float | tuple[float, ...],
    correlation: float | None,
) -> Activated:
    """Moments of any activation; layers at the same signal are looked up."""
    zero = np.zeros(np.shape(ln_variance))[()]
    nothing = _unknown(Signal(zero, zero, zero, math.nan, law="gaussian"))
    levels = np.unique(ln_variance) if isinstance(ln_variance, tuple) else np.array(ln_variance)
    if not (np.abs(levels) < _LN_RANGE).all():
        return nothing
    q = np.exp(levels)
    about_mean = quadrature.about(activation, mean)
    moments = quadrature.layer_moments(about_mean, q)
    if not np.isfinite(moments).all():
        return nothing
    along_second, along = quadrature.along_moments(about_mean, q)
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
    after = Signal(second, variance, share[()], cosine)
    return Activated(after, slope, slope_cosine, along_second, along)


def _ratio(product: float, second: float) -> float:
    return product / second if second > 0 else math.nan
