"""z over its size: over the units of an input (layer, rms), or of a channel over the batch (batch).

Over the units of an input both means and lengths are those of infinitely many, and gradients lose
the part along z and, of layer normalisation, along 1:

    layer  (z − E z)/√Var z      ∂ℓ/∂z = (g − E g − ẑ E[g ẑ])/√Var z
    rms    z/√E[z²]              ∂ℓ/∂z = (g − ẑ E[g ẑ])/√E[z²]

The length of all units is that of all positions together. Batch normalisation takes the variance of
each unit over N = inputs times positions, s² = E[z²] times 1 less the mean of all their cosines:
what it makes is taken for normal, which N numbers are but for 1/N. Back, as given z of a unit is
s ẑ with s² ~ χ²_{N−1}, independent of ẑ,

    batch  (g − ḡ − ẑ mean(g ẑ))/s       E[1/s²] = (N − 1)/(N − 3)/E[s²]

of ReLU layers 1/(1 − 1/π) each, where gradients of inputs have nothing in common.

Source of that factor: Yang et al. 2019, for infinitely many inputs.
"""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import Norm
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.positions import mean_over_positions, variance_over_units
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Law,
    Signal,
    along_shape,
    along_signal,
    centred,
    identity_along,
    orders,
)


class Batch(NamedTuple):
    """The inputs of a batch, beside one of them."""

    n_inputs: int
    alike: bool  # whether two of them are like any other two


class Normed(NamedTuple):
    """The result of a norm, and what it divides by."""

    after: Signal
    ln_divisor: FloatArray  # ln of the square


def forward(step: Norm, z: Signal, batch: Batch) -> Normed:
    """Second moment 1 over all units; of what is not known as well."""
    if step.kind == "batch":
        return _over_batch(step, z, batch)
    if step.kind == "rms":
        ln_total = mean_over_positions(z.ln_second)
        return Normed(_over(z, ln_total, z.ln_second, z.mean_share, z.cosine), ln_total)
    second, variance = (np.atleast_1d(moment) for moment in (z.ln_second, z.ln_variance))
    ln_total = variance_over_units(variance, second, np.atleast_1d(z.mean_share))
    ln_second, mean_share = z.ln_variance, np.zeros(np.shape(z.ln_second))[()]
    if np.ndim(z.ln_second) and z.law == "other":  # means of positions that are not alike
        means = z.mean_share * np.exp((z.ln_second - ln_total) / 2)
        means -= means.mean()
        squares = np.exp(z.ln_variance - ln_total) + means**2
        ln_second, mean_share = np.log(squares) + ln_total, means / np.sqrt(squares)
    after = _over(z, ln_total, ln_second, mean_share, centred(z.cosine, z.mean_share))
    return Normed(after, ln_total)


def _over(
    z: Signal, ln_total: FloatArray, ln_second: FloatArray, mean_share: FloatArray, cosine: float
) -> Signal:
    if np.isneginf(ln_total):  # no spread leaves zeros
        nothing = np.full(np.shape(ln_second), -np.inf)[()]
        return Signal(nothing, nothing, 0.0 * nothing, math.nan, math.nan, z.law)
    if np.isnan(ln_total) and np.ndim(ln_second) == 0:  # all alike: 1, whatever it was
        one = np.array(0.0)[()]
        share = mean_share if np.isfinite(mean_share) else np.array(math.nan)[()]
        return Signal(one, one + np.log1p(-(share**2)), share, math.nan, math.nan, z.law)
    ln_gap = z.ln_gap
    if np.ndim(ln_second) == 0:
        ln_gap += float(z.ln_second - ln_second)
    return Signal(ln_second - ln_total, z.ln_variance - ln_total, mean_share, cosine, ln_gap, z.law)


def _over_batch(step: Norm, z: Signal, batch: Batch) -> Normed:
    """Mean 0 and variance 1 of each unit; alike as little as N numbers of mean 0 are."""
    n, p = batch.n_inputs, step.positions
    if np.isneginf(z.ln_second).all() or z.ln_gap == -math.inf:
        nothing = np.full(np.shape(z.ln_second), -np.inf)[()]
        after = Signal(nothing, nothing, np.zeros(np.shape(nothing))[()], math.nan, math.nan, z.law)
        return Normed(after, np.array(-math.inf))
    spread = math.nan
    if np.ndim(z.ln_second) == 0 and (batch.alike or (n == 2 and p == 1)) and n > 1:
        spread = (n - 1) / n * math.exp(z.ln_gap)
        if p > 1:
            spread += (p - 1) / n / p * (1 - z.cosine)
    one = np.array(0.0)[()]
    if np.ndim(z.ln_second):  # what positions make of a channel's variance
        one = np.full(np.shape(z.ln_second), math.nan)
    cosine = 1 - (1 - z.cosine) / spread if p > 1 else math.nan
    ln_gap = math.nan
    if batch.alike and p == 1 and n > 1:
        ln_gap = math.log(n / (n - 1))
    elif spread > 0:
        ln_gap = z.ln_gap - math.log(spread)
    law: Law = "gaussian" if z.law == "gaussian" else "other"
    zero = np.zeros(np.shape(one))[()]
    after = Signal(one, one, zero, cosine, ln_gap, law)
    return Normed(after, z.ln_second + np.log(spread))


def back(step: Norm, gradient: Gradient, z: Signal, normed: Normed, batch: Batch) -> Gradient:
    """The gradient less its parts along ẑ and 1, over the size."""
    if np.isneginf(normed.ln_divisor).all():
        return gradient._replace(ln_second=np.full(np.shape(gradient.ln_second), -np.inf)[()])
    if step.kind == "batch":
        return _back_over_batch(gradient, z, normed, batch.n_inputs * step.positions)
    if z.law != "gaussian":
        lost = np.square(along_signal(gradient, normed.after))
        zero = np.zeros(np.shape(lost))[()]
        ln = gradient.ln_second - normed.ln_divisor + np.log1p(-lost)
        cosine, between = gradient.cosine, gradient.between
        if np.ndim(lost) == 0 and lost > 0:
            likeness = -math.expm1(normed.after.ln_gap)
            cosine = float((cosine - lost * normed.after.cosine) / (1 - lost))
            between = float((between - lost * likeness) / (1 - lost))
        tilt = (gradient.tilt - lost) / (1 - lost)
        return Gradient(ln, cosine, zero, zero, tilt, between)
    along, unit = gradient.along.copy(), identity_along(normed.after)[:2]
    removed = along[:2].copy()
    if step.kind == "rms":
        removed = unit * (along[:2] * unit).sum(axis=0)
    lost = np.square(removed).sum(axis=0)
    along[:2] -= removed
    rest = 1 - lost
    ln = gradient.ln_second - normed.ln_divisor + np.log(rest)
    cosine, rho = gradient.cosine, centred(z.cosine, z.mean_share)
    if np.ndim(lost) == 0 and lost > 0 and not math.isnan(rho):
        powers = np.array([1.0, rho])
        known = float((gradient.along[:2] * removed) @ powers)
        cosine = float((cosine - 2 * known + np.square(removed) @ powers) / rest)
    along /= np.sqrt(rest)
    between, rho = gradient.between, centred(-math.expm1(z.ln_gap), z.mean_share)
    if np.ndim(lost) == 0 and lost > 0 and not math.isnan(between):
        powers = np.array([1.0, rho])
        known = float((gradient.along[:2] * removed) @ powers)
        between = float((between - 2 * known + np.square(removed) @ powers) / rest)
    return Gradient(ln, cosine, along, along[0], np.square(along[1]), between)


def _back_over_batch(gradient: Gradient, z: Signal, normed: Normed, n: int) -> Gradient:
    """Take away the parts of a gradient that lie along a constant and along the numbers."""
    if z.law != "gaussian" or n <= 3 or np.ndim(z.ln_second):
        nothing = np.full(np.shape(z.ln_second), math.nan)[()]
        return Gradient(nothing, math.nan, np.full(along_shape(z), math.nan)[()], nothing, nothing)
    common = gradient.between + float(gradient.along[1]) ** 2 + gradient.bent
    rest = (1 - 2 / n) * max(1 - common, 0.0)  # of what is neither, all directions but these two
    if not rest:
        return gradient._replace(ln_second=np.array(-math.inf)[()])
    ln = gradient.ln_second - normed.ln_divisor + math.log((n - 1) / (n - 3) * rest)
    along = gradient.along * np.exp(normed.ln_divisor - z.ln_second) ** (orders(gradient.along) / 2)
    along[:2] = 0.0
    along /= math.sqrt(rest)
    zero = np.zeros(())[()]
    return Gradient(ln, -1 / (n - 1), along, zero, zero, -1 / (n - 1))
