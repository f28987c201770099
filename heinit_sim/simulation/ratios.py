"""Ratios of a network's layers, as the cosine of its inputs, and their spread over networks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import flat_slope
from heinit_sim.experiment.quantities import ALIKE_DECADES, PASS_OF
from heinit_sim.experiment.records import RatioMeasure, Records
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.network.passes import Stack
from heinit_sim.network.steps.activation import Slopes
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled, rescaled, squared_norms
from heinit_sim.simulation.number_range import range_shares

Ratios = Mapping[RatioMeasure, FloatArray]
"""(quantity, ratio) -> (n_networks, K+1); NaN where a network has none."""

# Squared norms of columns beyond these have lost what their squares hold, or may soon.
_SMALLEST, _LARGEST = 2.0**-800, 2.0**1000


class RatioSpread(NamedTuple):
    """Statistics over networks of a ratio; each of shape (K+1,)."""

    networks: NDArray[np.int64]
    """Number of networks that have the ratio."""
    mean: FloatArray
    se: FloatArray
    """Standard error of `mean`; NaN for fewer than two networks."""
    median: FloatArray
    p05: FloatArray
    p95: FloatArray


def taken_ratios(
    stack: Stack, record: Records, *, paired: bool
) -> Iterator[tuple[RatioMeasure, int, FloatArray]]:
    """Yield (quantity, ratio), layer and one number per network of all layers of a stack.

    Args:
        stack: One or two layers of either pass.
        record: Says which ratios are asked for.
        paired: Whether inputs come two by two, 0 with 1, 2 with 3, ….
    """
    if record.range:
        for ratio, shares in range_shares(stack.numbers).items():
            for (quantity, k), share in zip(stack.names, shares, strict=True):
                yield (quantity, ratio), k, share
    if PASS_OF[stack.names[0][0]] == "backward":
        return
    if record.cosine:
        means = mean_cosines(stack.numbers.mantissa, paired=paired)
        for (quantity, k), mean in zip(stack.names, means, strict=True):
            yield (quantity, "cosine"), k, mean
    if record.units:
        for (quantity, k), ratio in zip(
            stack.names, participation_ratios(stack.numbers), strict=True
        ):
            yield (quantity, "participation_ratio"), k, ratio
        quantity, k = stack.names[-1]
        if quantity == "activation":
            h = stack.numbers.mantissa[-1]
            off, saturated = flat_shares(stack.slopes(), h)
            yield (quantity, "off_share"), k, off
            yield (quantity, "saturated_share"), k, saturated


def mean_cosines(z: FloatArray, *, paired: bool) -> FloatArray:
    """Mean over pairs i ≠ j of inputs of ⟨z_i, z_j⟩ / (‖z_i‖ ‖z_j‖).

    Over all pairs of n inputs with û = z/‖z‖ it is (‖Σ û_i‖² − n) / (n (n−1)): no Gram matrix. An
    input that is all zero has no cosine and is left out; NaN where no pair is left.

    Args:
        z: One layer, (..., units, n_inputs), in units of any size.
        paired: Take the inputs two by two, 0 with 1, 2 with 3, …, and no other pairs.

    Returns:
        One number per network, (...).
    """
    with np.errstate(over="ignore", invalid="ignore"):  # columns that are brought into range below
        squares = np.einsum("...un,...un->...n", z, z)
    usual = (squares > _SMALLEST) & (squares < _LARGEST)
    if not usual.all():
        z = np.ldexp(z, -np.frexp(np.abs(z).max(axis=-2, keepdims=True))[1])
        squares = np.einsum("...un,...un->...n", z, z)
    with np.errstate(divide="ignore"):
        inverse = np.where(squares == 0, 0.0, 1 / np.sqrt(squares))
    alive = inverse != 0
    if paired:
        products = np.einsum("...un,...un->...n", z[..., ::2], z[..., 1::2])
        total = (products * inverse[..., ::2] * inverse[..., 1::2]).sum(axis=-1)
        pairs = (alive[..., ::2] & alive[..., 1::2]).sum(axis=-1)
    else:
        n = alive.sum(axis=-1)
        sums = (z @ inverse[..., np.newaxis])[..., 0]
        total = np.vecdot(sums, sums) - n
        pairs = n * (n - 1)
    cosines = np.full(pairs.shape, np.nan)
    np.divide(total, pairs, out=cosines, where=pairs > 0)
    return np.clip(cosines, -1.0, 1.0)  # what rounding adds to inputs of one direction


def flat_shares(slopes: Sequence[Slopes], h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of units that are off, and of numbers that are saturated: |a'| below `flat_slope`.

    A unit is off if it is saturated for all inputs: what comes before it gets no gradient, or next
    to none.

    Args:
        slopes: a'[z] of the activations of a layer, whose units count together.
        h: What the layer ends with, (..., units, n_inputs); NaN where a network left float range.

    Returns:
        Two arrays with one number per network, (...), NaN where it has none.
    """
    if not slopes:
        return np.full(h.shape[:-2], np.nan), np.full(h.shape[:-2], np.nan)
    n_units = sum(each.numbers.shape[-2] for each in slopes)
    off, saturated = np.zeros((2, *h.shape[:-2]))
    for each in slopes:
        flat = _flat(each)
        off += np.count_nonzero(flat.all(axis=-1), axis=-1) / n_units
        saturated += np.count_nonzero(flat, axis=(-1, -2)) / (n_units * h.shape[-1])
    lost = np.isnan(h[..., 0, 0])
    off[lost] = saturated[lost] = np.nan
    return off, saturated


def _flat(slopes: Slopes) -> Mask:
    if slopes.numbers.dtype == bool:
        return np.logical_not(slopes.numbers)
    limits: float | FloatArray = flat_slope(slopes.activations[0])
    if slopes.activations[1:]:
        limits = np.array([flat_slope(activation) for activation in slopes.activations])
        limits = limits.reshape(-1, *(1,) * (slopes.numbers.ndim - 1))
    flat: Mask = np.abs(slopes.numbers) < limits
    return flat


def participation_ratios(z: Scaled) -> FloatArray:
    """(tr C)²/tr C² of the covariance C over inputs: how many directions inputs still differ in.

    It lies between 1 and the smaller of units and inputs − 1, and is the inverse share of C that
    two random directions have in common. From the inner products of the inputs, or of the units
    where these are fewer.

    Source: Gao et al. 2017, A theory of multineuronal dimensionality, dynamics and measurement.

    Args:
        z: Layers, (..., units, n_inputs).

    Returns:
        One number per matrix, (...); NaN where inputs do not differ by more than rounding.
    """
    mantissa = rescaled(z).mantissa
    n_units, n_inputs = mantissa.shape[-2:]
    about_mean = mantissa - mantissa[..., :1]  # exact where inputs are nearly alike
    about_mean -= (about_mean @ np.full(n_inputs, 1 / n_inputs))[..., np.newaxis]
    transposed = about_mean.swapaxes(-1, -2)
    fewer_units = n_units < n_inputs
    gram = about_mean @ transposed if fewer_units else transposed @ about_mean
    traces = np.trace(gram, axis1=-2, axis2=-1)
    rounding = squared_norms(mantissa) * 10.0**-ALIKE_DECADES
    ratios = np.full(traces.shape, np.nan)
    np.divide(traces**2, squared_norms(gram), out=ratios, where=traces > rounding)
    return np.clip(ratios, 1.0, min(n_units, max(n_inputs - 1, 1)))  # what rounding adds


def ratio_spread(result: ConditionResult, measure: RatioMeasure) -> RatioSpread:
    """Statistics of a ratio over the networks of a condition, layer by layer.

    Networks without it are left out, as dead ones that have no cosine; a
    layer that any network reaches only beyond float range is NaN, as it is for moments.
    """
    lost = np.isnan(result.networks[measure[0], "second_moment"]).any(axis=0)
    ratios = np.sort(np.where(lost, np.nan, result.ratios[measure]), axis=0)  # NaN comes last
    known = ~np.isnan(ratios)
    networks = known.sum(axis=0)
    n = np.where(networks > 0, networks, np.nan)
    mean = np.where(known, ratios, 0.0).sum(axis=0) / n
    squares = (np.where(known, ratios - mean, 0.0) ** 2).sum(axis=0)
    se = np.sqrt(squares / np.where(n > 1, n - 1, np.nan) / n)
    quantiles = (_quantile(ratios, networks, q) for q in (0.5, 0.05, 0.95))
    return RatioSpread(networks, mean, se, *quantiles)


def _quantile(ordered: FloatArray, n: NDArray[np.int64], q: float) -> FloatArray:
    """Linear-interpolation quantile of the first n numbers of each column, in ascending order."""
    place = np.maximum(n - 1, 0) * q
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    below, above = (np.take_along_axis(ordered, at[np.newaxis], 0)[0] for at in (low, high))
    quantile: FloatArray = below + (place - low) * (above - below)
    return quantile
