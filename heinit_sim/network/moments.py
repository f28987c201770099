"""One second moment and one variance per network and layer, as log10.

Both are taken over the units of a layer and the inputs of the batch, the variance about their
common mean (ddof 0). They are put together from means and variances over the units of one input
at a time, so that nothing ever cancels: a layer whose elements are equal has variance 0. The
variance between inputs is over these alone, about the mean of each unit, averaged over the units.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.quantities import INPUT_0, Statistic
from heinit_sim.experiment.steps import Window
from heinit_sim.network.convolution import iter_weight_gradients
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Exponents, Scaled, rescaled

# Below this ratio of variance to squared mean, E[z²] − E[z]² would lose more than three digits.
_CANCELS = 1e-3
# Squared norms beyond this, or its inverse, leave their columns too little room for products of two
# squares; mantissas that are carried with exponents stay inside by themselves.
_LARGEST_SQUARE = 2.0**300
_LOG10_2 = float(np.log10(2.0))


class UnitMoments(NamedTuple):
    """Mean μ × 2^e and variance V × 4^e over the units of a layer, for each input."""

    mean: FloatArray
    """μ, (..., n_inputs)."""
    variance: FloatArray
    """V, (..., n_inputs), ddof 0."""
    exponent: Exponents
    """e, (...)."""


def unit_moments(z: Scaled) -> UnitMoments:
    """Mean and variance over the units (axis -2) of one layer."""
    return _moments_of(z, _squares(z))


def squarable(z: Scaled, *, plain: bool) -> tuple[Scaled, UnitMoments]:
    """A layer with all squares inside float range, and its moments.

    Args:
        z: The layer.
        plain: Whether it is held as plain floats, of any magnitude; a mantissa that is carried with
            its exponent stays inside by itself.
    """
    squares = _squares(z)
    if not plain:
        return z, _moments_of(z, squares)
    squared_norms = squares.sum(axis=-1)
    if squared_norms.min() > 1 / _LARGEST_SQUARE and squared_norms.max() < _LARGEST_SQUARE:
        return z, _moments_of(z, squares)
    z = rescaled(z)
    return z, unit_moments(z)


def _squares(z: Scaled) -> FloatArray:
    """Sum of the squares of the units, (..., n_inputs)."""
    squares: FloatArray = np.einsum("...un,...un->...n", z.mantissa, z.mantissa)
    return squares


def _moments_of(z: Scaled, squares: FloatArray) -> UnitMoments:
    n_units = z.mantissa.shape[-2]
    mean = _average(n_units) @ z.mantissa
    squared = mean**2
    variance = squares / n_units - squared
    cancels = variance < _CANCELS * squared
    if cancels.any():
        _recentre(mean, variance, z.mantissa.swapaxes(-1, -2), cancels)
    return UnitMoments(mean, variance, z.exponent)


def kernel_moments(
    dl_df: Scaled, h: Scaled, window: Window, total: FloatArray | None = None
) -> UnitMoments:
    """Mean and variance of ∂ℓ/∂Ω over all weights of one convolution, for each input.

    Args:
        dl_df: ∂ℓ/∂f, (..., c_out · positions that come out, n_inputs).
        h: What enters the layer, (..., c_in · positions, n_inputs).
        window: The convolution's image, kernel, padding, stride and groups.
        total: Takes the sum of ∂ℓ/∂Ω over the inputs, (networks · groups, weights of a group), if
            it is given, full of zeros.
    """
    *leading, _, n_inputs = h.mantissa.shape
    mean, variance = np.empty((2, math.prod(leading) * window.groups, n_inputs))
    for networks, inputs, dl_dw in iter_weight_gradients(dl_df.mantissa, h.mantissa, window):
        row = np.full(dl_dw.shape[-1], 1.0 / dl_dw.shape[-1])
        weights = dl_dw.reshape(*dl_dw.shape[:2], -1)
        average = (dl_dw @ row).mean(axis=-1)
        spread = np.vecdot(weights, weights) / weights.shape[-1] - average**2
        _recentre(average, spread, weights, spread < _CANCELS * average**2)
        mean[networks, inputs], variance[networks, inputs] = average, spread
        if total is not None:
            total[networks] += np.ones(weights.shape[1]) @ weights
    shape = (*leading, window.groups, n_inputs)
    mean, variance = mean.reshape(shape), variance.reshape(shape)
    if window.groups > 1:
        variance = variance.mean(axis=-2, keepdims=True) + mean.var(axis=-2, keepdims=True)
        mean = mean.mean(axis=-2, keepdims=True)
    return UnitMoments(mean[..., 0, :], variance[..., 0, :], dl_df.exponent + h.exponent)


def along_layers(layers: Sequence[UnitMoments]) -> UnitMoments:
    """The moments of several layers along a new first axis."""
    return UnitMoments(*map(np.array, zip(*layers, strict=True)))  # np.stack takes twice as long


def outer_moments(a: UnitMoments, b: UnitMoments) -> UnitMoments:
    """Moments over all pairs (i, j) of a_i b_j, without forming the outer product.

    V(ab) = V(a) V(b) + V(a) E(b)² + V(b) E(a)², exact because every pair occurs once.
    """
    return UnitMoments(
        a.mean * b.mean,
        a.variance * b.variance + a.variance * b.mean**2 + b.variance * a.mean**2,
        a.exponent + b.exponent,
    )


def pooled_moments(parts: Sequence[tuple[UnitMoments, int]]) -> UnitMoments:
    """Moments over the elements of several arrays together, each given with their number."""
    if len(parts) == 1:
        return parts[0][0]
    each, counts = zip(*parts, strict=True)
    exponent = np.max([part.exponent for part in each], axis=0)
    shifts = [(part.exponent - exponent)[..., np.newaxis] for part in each]
    means = np.array([np.ldexp(z.mean, e) for z, e in zip(each, shifts, strict=True)])
    within = np.array([np.ldexp(z.variance, 2 * e) for z, e in zip(each, shifts, strict=True)])
    shares = (np.array(counts) / sum(counts)).reshape(-1, *(1,) * (means.ndim - 1))
    mean = (shares * means).sum(axis=0)
    variance = (shares * within).sum(axis=0) + (shares * (means - mean) ** 2).sum(axis=0)
    return UnitMoments(mean, variance, exponent)


def log10_moments(layers: UnitMoments) -> dict[Statistic, FloatArray]:
    """log10 of the second moment and variance over units and inputs; of input 0 alone.

    Args:
        layers: Moments over units of the layers 0 … K, (K+1, ..., n_inputs).

    Returns:
        Statistic -> (K+1, ...): one number per layer and network; -inf for zero.
    """
    within = layers.variance.mean(axis=-1)
    between = np.where(_equal(layers.mean), 0.0, layers.mean.var(axis=-1))
    moments: dict[Statistic, FloatArray] = {
        "second_moment": within + (layers.mean**2).mean(axis=-1),
        "variance": within + between,
        INPUT_0: layers.variance[..., 0] + layers.mean[..., 0] ** 2,
    }
    return {statistic: log10(moment, layers.exponent) for statistic, moment in moments.items()}


def between_inputs(z: Scaled, units: UnitMoments) -> FloatArray:
    """The variance over inputs of each unit, averaged over the units.

    Where most of E[z²] is common to all inputs they are taken relative to the first of them: their
    differences are exact, and what then cancels is at most the (n_inputs + 1)-fold of the result.

    Args:
        z: One layer or several, (..., units, n_inputs).
        units: Its `unit_moments`.

    Returns:
        V of V × 4^e, one number per matrix, (...): 0 where all inputs are equal, NaN for one input.
    """
    n_units, n_inputs = z.mantissa.shape[-2:]
    if n_inputs == 1:
        return np.full(z.mantissa.shape[:-2], np.nan)
    second = (units.variance.sum(axis=-1) + np.vecdot(units.mean, units.mean)) / n_inputs
    means = z.mantissa @ _average(n_inputs)
    variance: FloatArray = second - np.vecdot(means, means) / n_units
    cancels = variance < _CANCELS * second
    if cancels.any():
        layers = z.mantissa if cancels.all() else z.mantissa[cancels]
        beside_first = (layers - layers[..., :1]).reshape(-1, n_units * n_inputs)
        means = beside_first.reshape(-1, n_units, n_inputs) @ _average(n_inputs)
        squares = np.vecdot(beside_first, beside_first) / n_inputs - np.vecdot(means, means)
        variance[cancels] = squares / n_units
    return variance


def log10(moment: FloatArray, exponent: Exponents) -> FloatArray:
    """log10 of moment × 4^exponent, to the same bits however the two share the magnitude."""
    fraction, shift = np.frexp(moment)
    with np.errstate(divide="ignore"):
        decades: FloatArray = np.log10(fraction) + (shift + 2 * exponent) * _LOG10_2
    return decades


@cache
def _average(count: int) -> FloatArray:
    """The vector whose product with a layer is the mean over so many units or inputs."""
    shares = np.full(count, 1.0 / count)
    shares.flags.writeable = False  # it serves every layer
    return shares


def _recentre(mean: FloatArray, variance: FloatArray, units: FloatArray, cancels: Mask) -> None:
    """Take mean and variance anew, in place, where E[z²] − E[z]² cancels; z is (..., units).

    They stay elsewhere: no number may depend on others of the stack.
    """
    columns = units[cancels]
    first = columns[:, 0]  # the mean itself where all are equal, which rounding may miss
    mean[cancels] = np.where(_equal(columns), first, mean[cancels])
    variance[cancels] = np.mean((columns - mean[cancels][:, np.newaxis]) ** 2, axis=-1)


def _equal(values: FloatArray) -> Mask:
    equal: Mask = (values == values[..., :1]).all(axis=-1)
    return equal
