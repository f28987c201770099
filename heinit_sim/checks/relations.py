"""Relations between numbers of networks, and how far rounding alone may put them apart."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.quantities import BETWEEN_INPUTS, INPUT_0, Measure, Quantity, Statistic
from heinit_sim.experiment.results import Finding
from heinit_sim.numerics import FloatArray, Mask

# Rounding of a mean of up to 10^7 squares (each sum, product and quotient 2^-53), in decades, and
# of its log10, a few units in the last place of the number itself.
DECADES, RELATIVE = 1e-9, 1e-14
SHARE = 10**DECADES - 1
# Inputs of a batch share an exponent; the squares of one so much smaller than another lose digits.
SHARED_DECADES = 250
# A variance between inputs this far below the second moment rounds by more than `DECADES`:
# relative to it, 2^-53 of the numbers are 2^-52 √(second moment/variance).
ALIKE_DECADES = 12

Networks = Mapping[Measure, FloatArray]


class Relation(NamedTuple):
    """One relation in some layers of one quantity, and how far the networks are from it."""

    quantity: Quantity
    statistic: Statistic
    layers: Sequence[int]
    excess: FloatArray
    """Decades beyond what is allowed without rounding, (n_networks, n_layers)."""
    allowed: FloatArray
    """Decades that rounding may add, likewise."""


def relation_finding(name: str, relations: Sequence[Relation]) -> Finding:
    """Whether all relations hold everywhere, and where the worst one does not."""
    worst = max(relations, key=lambda r: _beyond(r).max())
    beyond = _beyond(worst)
    if beyond.max() <= 0:
        count = sum(relation.excess.size for relation in relations)
        return Finding(name, True, f"in {count} layers of networks, but for rounding")
    network, place = np.unravel_index(beyond.argmax(), beyond.shape)
    wrong = sum(int((_beyond(relation) > 0).sum()) for relation in relations)
    reason = (
        f"not in {wrong} layers of networks; most in network {network}, {worst.quantity} "
        f"({worst.statistic}) of layer {worst.layers[int(place)]}, "
        f"by {worst.excess[network, place]:.2g} decades"
    )
    return Finding(name, False, reason)


def _beyond(relation: Relation) -> FloatArray:
    return np.where(relation.excess <= relation.allowed, 0.0, 1.0) * np.maximum(
        np.nan_to_num(relation.excess, nan=np.inf), 1e-300
    )


def allowed_decades(*numbers: FloatArray) -> FloatArray:
    """Decades that rounding may put between numbers of those sizes."""
    sizes = (np.where(np.isfinite(z), np.abs(z), 0.0) for z in numbers)
    return DECADES + RELATIVE * sum(sizes, np.zeros(1))


def decades_above(z: FloatArray, bound: FloatArray) -> FloatArray:
    """Decades by which z is above a bound; nothing where one of them is no number."""
    gap = np.where((z == bound) | np.isnan(z) | np.isnan(bound), 0.0, z - bound)
    return np.maximum(gap, 0.0)


def decades_apart(z: FloatArray, other: FloatArray) -> FloatArray:
    """Decades between two numbers; infinite where only one of them is none."""
    with np.errstate(invalid="ignore"):  # −inf − (−inf)
        gap = np.where((z == other) | (np.isnan(z) & np.isnan(other)), 0.0, np.abs(z - other))
    return np.where(np.isnan(gap), np.inf, gap)


def equal(measure: Measure, layers: Sequence[int], z: FloatArray, other: FloatArray) -> Relation:
    """Both are the same but for rounding."""
    return Relation(*measure, layers, decades_apart(z, other), allowed_decades(z, other))


def at_most(measure: Measure, layers: Sequence[int], z: FloatArray, bound: FloatArray) -> Relation:
    """The first is at most the other but for rounding."""
    return Relation(*measure, layers, decades_above(z, bound), allowed_decades(z, bound))


def is_small(networks: Networks, *quantities: Quantity) -> Mask:
    """Where input 0 is so small beside the batch that its squares may be lost."""
    small: Mask = np.zeros(1, bool)
    for quantity in quantities:
        batch, first = networks[quantity, "second_moment"], networks[quantity, INPUT_0]
        small = small | ~(first >= batch - SHARED_DECADES)
    return small


def log_sum(a: FloatArray, b: FloatArray) -> FloatArray:
    """log10 (10^a + 10^b)."""
    total: FloatArray = np.logaddexp(np.log(10) * a, np.log(10) * b) / np.log(10)
    return total


def tells_inputs_apart(networks: Networks) -> bool:
    """Whether variances between inputs were measured, of more than one."""
    between = networks.get(("activation", BETWEEN_INPUTS))
    return between is not None and not np.isnan(between[:, 0]).all()
