"""Numbers of a layer counted in fixed bins, layer by layer as a pass yields them."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import COUNTED, Bins, Quantity
from heinit_sim.experiment.results import Histogram
from heinit_sim.network.moments import unit_moments
from heinit_sim.network.passes import LayerName, Stack
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Exponents, Scaled, rescaled

Counts = NDArray[np.int64]
"""(..., n_bins + 3): zeros, below, bin by bin, above."""
Tallies = Mapping[Quantity, Counts]
"""Quantity -> counts of the layers 0 … K, (K+1, n_bins + 3)."""

_LOG10_2 = float(np.log10(2.0))
# A layer smaller than its unit by more than 2^600 is in the two bins beside 0 all the same: nothing
# is gained by a factor at which its numbers would underflow and lose their sign.
_SMALLEST_FACTOR, _LARGEST_FACTOR = -600, 1000
# Numbers at a time: an array of 128 KiB or more would be mapped anew by each step.
_CHUNK = 15_000


class Grid(NamedTuple):
    """Bins of equal width, half of them on either side of 0."""

    n_bins: int
    per_unit: int
    """Bins in a decade, or in a standard deviation."""

    @property
    def edges(self) -> FloatArray:
        """(n_bins + 1,), each the float nearest to its decimal fraction."""
        return (np.arange(self.n_bins + 1) - self.n_bins // 2) / self.per_unit


GRIDS: dict[Bins, Grid] = {
    "decades": Grid(800, 10),  # log10|z| from −40 to 40
    "std": Grid(200, 20),  # z from −5 to 5 standard deviations
}


class _Unit(NamedTuple):
    """The standard deviation of one layer, std × 2^exponent, network by network."""

    std: FloatArray
    exponent: Exponents


def counted(
    stacks: Iterable[Stack], bins: Bins | None, counts: dict[LayerName, Counts]
) -> Iterator[Stack]:
    """Pass on the stacks that `iter_forward` or `iter_backward` yields, counting their numbers.

    Args:
        stacks: The layers of one pass: one alone, pairs, one alone.
        bins: `decades` counts log10|z|; `std` counts z in standard deviations of the network's
            first pair: f_0 and h_1, or ∂ℓ/∂h_K and ∂ℓ/∂f_{K−1}. None counts nothing.
        counts: Takes those of every layer whose quantity is in `COUNTED`, by name.
    """
    if bins is None:
        yield from stacks
        return
    waiting: list[Stack] = []  # for the first pair: the layer alone before it has its units
    units: dict[Quantity, _Unit | None] = {}
    for stack in stacks:
        waiting.append(stack)
        if not units and len(stack.names) > 1:
            units = {q: _unit(z) if bins == "std" else None for (q, _), z in stack.layers()}
        if units:
            for (quantity, k), layer in chain.from_iterable(s.layers() for s in waiting):
                if quantity in COUNTED:
                    counts[quantity, k] = _count(layer, bins, units[quantity])
            waiting.clear()
        yield stack


def to_histograms(tallies: Tallies, bins: Bins | None) -> dict[Quantity, Histogram]:
    """The counts as records; none where nothing was counted."""
    if bins is None:
        return {}
    histograms = {}
    for quantity, counts in tallies.items():
        zero, below, above = counts[:, 0], counts[:, 1], counts[:, -1]
        histograms[quantity] = Histogram(GRIDS[bins].edges, counts[:, 2:-1], below, above, zero)
    return histograms


def _unit(layer: Scaled) -> _Unit:
    """The standard deviation over the units of a layer and the inputs of the batch (ddof 0)."""
    with np.errstate(invalid="ignore"):  # of a network that left float range
        moments = unit_moments(rescaled(layer))
        variance = moments.variance.mean(axis=-1) + moments.mean.var(axis=-1)
    return _Unit(np.sqrt(variance), moments.exponent)


def _count(layer: Scaled, bins: Bins, unit: _Unit | None) -> Counts:
    """The numbers of all networks in each bin; NaN is left out, and a network without a unit.

    Passes that go side by side are counted each by itself.
    """
    if layer.exponent.ndim > 1:
        passes = map(Scaled, *layer)
        units = repeat(None) if unit is None else map(_Unit, *unit)
        return np.array([_count(z, bins, own) for z, own in zip(passes, units, strict=False)])
    grid = GRIDS[bins]
    numbers = layer.mantissa.reshape(len(layer.exponent), -1)
    scale = layer.exponent.astype(np.float64)
    if unit is not None:
        scale, alive = _factor(layer, unit), unit.std > 0
        if not alive.all():
            numbers, scale = numbers[alive], scale[alive]
    counts = np.zeros(grid.n_bins + 4, np.int64)
    step = max(_CHUNK // numbers.shape[1], 1)
    lowest, highest = np.empty((2, step, min(numbers.shape[1], _CHUNK)))
    lowest[...], highest[...] = -grid.n_bins // 2 - 1, grid.n_bins // 2
    for network in range(0, len(numbers), step):
        networks = slice(network, network + step)
        for first in range(0, numbers.shape[1], _CHUNK):
            z = numbers[networks, first : first + _CHUNK]
            n_zeros = int(np.count_nonzero(z == 0))
            if unit is None:
                position = _log10(z, scale[networks, np.newaxis], zeros=n_zeros > 0)
            else:
                with np.errstate(over="ignore"):  # infinity is above every bin
                    position = z * scale[networks, np.newaxis]
            position *= grid.per_unit
            n, size = position.shape
            np.floor(position, out=position)
            np.maximum(position, lowest[:n, :size], out=position)  # quicker than with a number
            np.minimum(position, highest[:n, :size], out=position)
            counts += np.bincount(_codes(position, grid.n_bins // 2), minlength=len(counts))
            counts[0] += n_zeros
            counts[grid.n_bins // 2 + 2] -= n_zeros  # the bin that begins at 0
    return counts[:-1]


def _codes(position: FloatArray, half: int) -> NDArray[np.intp]:
    """1 below, 2 … bin by bin, then above, then NaN; zeros are in the bin that begins there."""
    position += half + 2
    if np.isnan(position.sum()):
        position[np.isnan(position)] = 2 * half + 3
    return position.ravel().astype(np.intp)


def _factor(layer: Scaled, unit: _Unit) -> FloatArray:
    """The factor from mantissas to units, network by network; not finite where there is none."""
    fraction, shift = np.frexp(unit.std)
    exponent = layer.exponent - unit.exponent - shift
    with np.errstate(divide="ignore"):
        inverse = 1 / fraction
    factor: FloatArray = np.ldexp(inverse, np.clip(exponent, _SMALLEST_FACTOR, _LARGEST_FACTOR))
    return factor


def _log10(z: FloatArray, exponent: FloatArray, *, zeros: bool) -> FloatArray:
    """log10|z × 2^exponent|; 0 for zeros, if there are any."""
    magnitude = np.abs(z)
    if zeros:
        magnitude += magnitude == 0  # the logarithm of zero would be slow
    log10: FloatArray = np.log10(magnitude, out=magnitude)
    log10 += exponent * _LOG10_2
    if zeros:
        log10 *= z != 0
    return log10
