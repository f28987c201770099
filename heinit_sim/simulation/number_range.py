"""Numbers of a layer that formats of fewer bits cannot hold, at any magnitude."""

import math

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.number_formats import FORMATS, PARTS, range_ratio
from heinit_sim.experiment.records import Ratio
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled

_FAR = 5000  # exponents beyond make 0 or infinity of any number, as this one does
_BELOW_ONE = math.nextafter(1.0, 0.0)
# Each end is the largest number, fraction × 2^exponent, of those that are counted; a tie between 0
# and the smallest number is rounded to 0. Formats share ends.
_ENDS: dict[Ratio, tuple[float, int]] = {
    range_ratio(name, part): end
    for name, ends in FORMATS.items()
    for part, end in zip(
        PARTS,
        ((_BELOW_ONE, ends.smallest_normal), (1.0, ends.smallest - 1), (ends.largest, 0)),
        strict=True,
    )
}
_DISTINCT = list(dict.fromkeys(_ENDS.values()))
_FRACTIONS, _EXPONENTS = (np.array(parts)[:, np.newaxis] for parts in zip(*_DISTINCT, strict=True))


def range_shares(layers: Scaled) -> dict[Ratio, FloatArray]:
    """The share of numbers, of those that are not 0, that are outside of each format.

    Args:
        layers: (..., units, n_inputs).

    Returns:
        Name of the ratio -> (...); NaN where all numbers are 0, or any is NaN.
    """
    leading, size = layers.mantissa.shape[:-2], math.prod(layers.mantissa.shape[-2:])
    sizes = np.abs(layers.mantissa).reshape(-1, size)
    exponents = np.broadcast_to(layers.exponent, leading).ravel()
    largest = sizes.max(axis=-1)
    zeros = sizes == 0
    counts = size - _count(zeros)
    if counts.min() < size:
        np.copyto(sizes, np.inf, where=zeros)  # in no count of numbers up to an end
    smallest = sizes.min(axis=-1)
    with np.errstate(over="ignore", under="ignore"):
        shifts = np.clip(_EXPONENTS - exponents, -_FAR, _FAR).astype(np.intc)
        ends = np.ldexp(_FRACTIONS, shifts)  # in the units of each matrix
    inside = np.where(largest <= ends, counts, 0)
    partly = (smallest <= ends) & (largest > ends)
    for n in np.flatnonzero(partly.any(axis=-1)):
        some = partly[n]
        of_some = sizes if some.all() else sizes[some]
        inside[n, some] = _count(of_some <= ends[n, some, np.newaxis])
    numbers = dict(zip(_DISTINCT, inside, strict=True))
    above = f"_{PARTS[-1]}"
    outside = (counts - numbers[e] if r.endswith(above) else numbers[e] for r, e in _ENDS.items())
    shares = np.full((len(_ENDS), len(counts)), np.nan)
    known = ~np.isnan(largest) & (counts > 0)
    np.divide(np.array(list(outside)), counts, out=shares, where=known)
    return dict(zip(_ENDS, shares.reshape(-1, *leading), strict=True))


def _count(mask: Mask) -> NDArray[np.int64]:
    """How many of each row are true: eight at a time, in a third of the time of `count_nonzero`."""
    counts: NDArray[np.int64] = np.bitwise_count(np.packbits(mask, axis=-1)).sum(-1, dtype=np.int64)
    return counts
