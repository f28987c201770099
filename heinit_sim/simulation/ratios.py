"""Ratios of a network's layers, as the cosine of its inputs, and their spread over networks."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.records import RatioMeasure, Records
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.network.passes import Stack
from heinit_sim.numerics import FloatArray

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
        stack: One or two layers of the forward pass.
        record: Says which ratios are asked for.
        paired: Whether inputs come two by two, 0 with 1, 2 with 3, ….
    """
    if record.cosine:
        means = mean_cosines(stack.numbers.mantissa, paired=paired)
        for (quantity, k), mean in zip(stack.names, means, strict=True):
            yield (quantity, "cosine"), k, mean


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
