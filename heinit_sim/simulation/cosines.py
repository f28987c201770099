"""Cosines between the inputs of a batch, layer by layer, and their spread over networks."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.numerics import FloatArray

Cosines = Mapping[Quantity, FloatArray]
"""Quantity -> mean cosine over pairs of inputs, (n_networks, K+1); NaN where there is none."""

COSINE_QUANTITIES: tuple[Quantity, ...] = ("preactivation", "activation")
"""The quantities whose cosines are taken."""
# Squared norms of columns beyond these have lost what their squares hold, or may soon.
_SMALLEST, _LARGEST = 2.0**-800, 2.0**1000


class CosineSpread(NamedTuple):
    """Statistics over networks of the mean cosine; each of shape (K+1,)."""

    networks: NDArray[np.int64]
    """Number of networks that have a cosine."""
    mean: FloatArray
    se: FloatArray
    """Standard error of `mean`; NaN for fewer than two networks."""
    median: FloatArray
    p05: FloatArray
    p95: FloatArray


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


def cosine_spread(result: ConditionResult, quantity: Quantity) -> CosineSpread:
    """Statistics of the mean cosine over the networks of a condition, layer by layer.

    Networks that are dead, whose inputs are all zero by then, have no cosine and are left out; a
    layer that any network reaches only beyond float range is NaN, as it is for moments.
    """
    lost = np.isnan(result.networks[quantity, "second_moment"]).any(axis=0)
    cosines = np.sort(np.where(lost, np.nan, result.cosines[quantity]), axis=0)  # NaN comes last
    known = ~np.isnan(cosines)
    networks = known.sum(axis=0)
    n = np.where(networks > 0, networks, np.nan)
    mean = np.where(known, cosines, 0.0).sum(axis=0) / n
    squares = (np.where(known, cosines - mean, 0.0) ** 2).sum(axis=0)
    se = np.sqrt(squares / np.where(n > 1, n - 1, np.nan) / n)
    quantiles = (_quantile(cosines, networks, q) for q in (0.5, 0.05, 0.95))
    return CosineSpread(networks, mean, se, *quantiles)


def _quantile(ordered: FloatArray, n: NDArray[np.int64], q: float) -> FloatArray:
    """Linear-interpolation quantile of the first n numbers of each column, in ascending order."""
    place = np.maximum(n - 1, 0) * q
    low = place.astype(np.int64)
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    below, above = (np.take_along_axis(ordered, at[np.newaxis], 0)[0] for at in (low, high))
    quantile: FloatArray = below + (place - low) * (above - below)
    return quantile
