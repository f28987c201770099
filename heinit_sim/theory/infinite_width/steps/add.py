"""α · (what entered) + s · z, z behind weights of its own, and both ways back.

Given what entered, He_n of the sum is on average He_n of it by the nth power of their correlation.
The gradients of both ways have in common what they have along what entered.
"""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import Add
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Law,
    Signal,
    along_shape,
    centred,
    ln_of,
    orders,
    series,
    unknown,
)


class _Part(NamedTuple):
    """One of the two that are added, times its factor."""

    factor: float
    ln_second: FloatArray
    ln_variance: FloatArray
    mean_share: FloatArray
    cosine: float
    ln_gap: float
    law: Law


def forward(step: Add, entered: Signal, z: Signal, *, fresh: bool) -> Signal:
    """E[(α h + s z)²] = α² E[h²] + s² E[z²] + 2 α s E[h] E[z].

    Args:
        step: α and s.
        entered: h.
        z: What the branch has made of it.
        fresh: Whether weights of the branch make z independent of h; else nothing is known of both.
    """
    parts = [_part(step.skip, entered), _part(step.scale, z)]
    if not fresh and step.scale and step.skip:
        return unknown(entered)
    top = np.maximum(*(part.ln_second for part in parts))
    top = np.where(np.isneginf(top), 0.0, top)[()]
    shares = [np.exp(part.ln_second - top) for part in parts]
    means = [
        np.sign(part.factor) * part.mean_share * np.sqrt(share)
        for part, share in zip(parts, shares, strict=True)
    ]
    mean = means[0] + means[1]
    ln_variance = np.logaddexp(parts[0].ln_variance, parts[1].ln_variance)
    ln_mean = 2 * np.log(np.abs(mean)) + top
    ln_second = np.logaddexp(ln_variance, ln_mean)
    mean_share = np.where(mean == 0, 0.0, np.sign(mean) * np.exp((ln_mean - ln_second) / 2))[()]
    cosine = ln_gap = math.nan
    if np.ndim(ln_second) == 0:
        over = math.exp(top - ln_second) if ln_second > -math.inf else math.nan
        cosines = (s * p.cosine for s, p in zip(shares, parts, strict=True) if s > 0)
        cosine = float(sum(cosines) + 2 * means[0] * means[1]) * over
        gaps = [p.ln_second + p.ln_gap for p in parts if p.ln_second > -math.inf]
        ln_gap = float(np.logaddexp.reduce(gaps) - ln_second) if gaps else math.nan
    laws = {part.law for part in parts if part.factor}
    return Signal(ln_second, ln_variance, mean_share, cosine, ln_gap, _law(laws, mean))


def _part(factor: float, z: Signal) -> _Part:
    if factor == 0:  # nothing, whatever is not known of it
        nothing = np.full(np.shape(z.ln_second), -np.inf)[()]
        return _Part(0.0, nothing, nothing, np.zeros(np.shape(nothing))[()], 0.0, 0.0, z.law)
    ln = 2 * ln_of(abs(factor))
    return _Part(factor, z.ln_second + ln, z.ln_variance + ln, *z[2:])


def _law(laws: set[Law], mean: FloatArray) -> Law:
    if laws <= {"gaussian"}:
        return "gaussian"
    return "symmetric" if "other" not in laws and not np.any(mean) else "other"


def split(
    step: Add, gradient: Gradient, total: Signal, entered: Signal, z: Signal
) -> tuple[Gradient, Gradient]:
    """α ∂ℓ/∂total as a gradient of what entered, and s ∂ℓ/∂total as one of the branch."""
    ways = ((step.skip, entered, z), (step.scale, z, entered))
    skip, branch = (_way(factor, gradient, total, *pair) for factor, *pair in ways)
    return skip, branch


def _way(factor: float, gradient: Gradient, total: Signal, z: Signal, other: Signal) -> Gradient:
    sign, ln = np.sign(factor), gradient.ln_second + 2 * ln_of(abs(factor))
    if factor == 0:
        shape = along_shape(z)
        zero = np.zeros(np.shape(gradient.ln_second))[()]
        return Gradient(zero - np.inf, gradient.cosine, np.zeros(shape)[()], zero, zero, 0.0)
    kept = 2 * ln_of(abs(factor)) + z.ln_second - total.ln_second
    if total.law == "gaussian":
        kept = np.exp(2 * ln_of(abs(factor)) + z.ln_variance - total.ln_variance)
        correlations = sign * np.sqrt(kept)
        along = sign * gradient.along * correlations ** orders(gradient.along)
        return gradient._replace(ln_second=ln, along=along, mean_share=along[0])
    kept = np.exp(kept)  # of E[total²]
    mean_share = sign * gradient.mean_share
    linear = gradient.along * np.sqrt(kept)  # about what is added to it
    if z.law == "gaussian":
        along = np.zeros(along_shape(z))
        along[0] = mean_share
        along[1] = linear * np.sqrt(np.maximum(1 - np.square(z.mean_share), 0.0))
    else:
        rest = total.mean_share - sign * z.mean_share * np.sqrt(kept)  # α E[h]/√E[total²]
        along = linear + sign * gradient.along * rest * z.mean_share
    return Gradient(ln, gradient.cosine, along, mean_share, gradient.tilt * kept, gradient.between)


def join(one: Gradient, other: Gradient, z: Signal) -> Gradient:
    """The sum of two gradients of z, independent of each other but for what z decides of both."""
    if np.all(np.isneginf(other.ln_second)):
        return one
    if np.all(np.isneginf(one.ln_second)):
        return other
    gaussian = z.law == "gaussian"
    ln = np.logaddexp(one.ln_second, other.ln_second)
    parts = [np.exp((g.ln_second - ln) / 2) for g in (one, other)]
    across = 2 * parts[0] * parts[1]
    products = one.along * other.along
    factor = 1 + across * (products.sum(axis=0) if gaussian else products)
    root = np.sqrt(factor)
    along = (parts[0] * one.along + parts[1] * other.along) / root
    mean_share = (parts[0] * one.mean_share + parts[1] * other.mean_share) / root
    squares = zip(parts, (one, other), strict=True)
    tilt = along**2 if gaussian else products * across / factor
    if not gaussian:
        tilt = tilt + sum(part**2 * g.tilt for part, g in squares) / factor
    cosine, between = one.cosine, math.nan
    if np.ndim(ln) == 0:  # of positions that are not alike no cosine is known
        pairs = (centred(z.cosine, z.mean_share), z.cosine)
        cosine = _shared(one, other, (one.cosine, other.cosine), pairs, gaussian=gaussian)
        likeness = -math.expm1(z.ln_gap)
        pairs = (centred(likeness, z.mean_share), likeness)
        between = _shared(one, other, (one.between, other.between), pairs, gaussian=gaussian)
    return Gradient(ln + np.log(factor), cosine, along, mean_share, tilt, between)


def _shared(
    one: Gradient,
    other: Gradient,
    cosines: tuple[float, float],
    pairs: tuple[float, float],
    *,
    gaussian: bool,
) -> float:
    """Cosine of the sum at two places, from those of both and that of z, about its mean and not."""
    ln = float(np.logaddexp(one.ln_second, other.ln_second))
    parts = [math.exp((float(g.ln_second) - ln) / 2) for g in (one, other)]
    shared = parts[0] ** 2 * cosines[0]
    if parts[1] > 0:  # a branch of zeros has no cosine
        shared += parts[1] ** 2 * cosines[1]
    across, products = 2 * parts[0] * parts[1], one.along * other.along
    if not math.isnan(pairs[0]):
        known = series(one.along, other.along, pairs[0]) if gaussian else products * pairs[1]
        shared += across * float(known)
    return shared / float(1 + across * (products.sum(axis=0) if gaussian else products))
