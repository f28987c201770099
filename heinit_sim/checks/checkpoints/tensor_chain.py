"""Weights that can follow one another in a plain network: the longest such chain of a file."""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from heinit_sim.checks.checkpoints.tensor_layout import Fans


class Chain(NamedTuple):
    """Weights of layers 0, 1, …, in order: convolutions and a matrix at the end, or matrices."""

    names: tuple[str, ...]
    n_convolutions: int
    """How many of them, the first ones, are convolutions."""
    left_out: tuple[str, ...]
    """Weights that do not follow."""
    image: tuple[int, ...] | None
    """Positions along each dimension, of convolutions whose output a matrix takes as a whole;
    None where the weights do not tell."""


class _Link(NamedTuple):
    length: int
    at: int
    before: "_Link | None"


def longest_chain(weights: Mapping[str, Fans]) -> Chain | None:
    """The longest chain of weights in their order, if two or more follow one another.

    A matrix follows one that has as many outputs as it has inputs, and so does a convolution. A
    matrix ends a chain of convolutions if it takes their channels, averaged over the image, or all
    channels of a square one. Of chains of one length it is the one whose weights come last.

    Args:
        weights: Name -> fans, in the order of the layers.
    """
    names, fans = list(weights), list(weights.values())
    ends: dict[tuple[int, int], _Link] = {}  # (dimensions of the kernel, outputs) -> the longest
    longest: _Link | None = None
    for at, one in enumerate(fans):
        dimensions = len(one.kernel)
        if dimensions > 2 or len(set(one.kernel)) > 1:
            continue
        link = _follows(ends.get((dimensions, one.n_in)), at)
        ends[dimensions, one.n_out] = _longer(ends.get((dimensions, one.n_out)), link)
        longest = _longer(longest, link)
        for (kernel, channels), end in ends.items():
            if not dimensions and kernel and _image(one.n_in, channels, kernel) is not None:
                longest = _longer(longest, _follows(end, at))
    if longest is None or longest.length < 2:
        return None
    places = [*_places(longest)][::-1]
    convolutions = [fans[at] for at in places if fans[at].kernel]
    image = None
    if convolutions and not fans[places[-1]].kernel:
        last = convolutions[-1]
        image = _image(fans[places[-1]].n_in, last.n_out, len(last.kernel)) or None
    taken = dict.fromkeys(names[at] for at in places)
    left_out = tuple(name for name in names if name not in taken)
    return Chain(tuple(taken), len(convolutions), left_out, image)


def _follows(before: _Link | None, at: int) -> _Link:
    return _Link(before.length + 1 if before else 1, at, before)


def _longer(one: _Link | None, other: _Link) -> _Link:
    """The longer chain, or the latter of two that are as long."""
    return one if one is not None and one.length > other.length else other


def _places(link: _Link | None) -> Iterator[int]:
    while link is not None:
        yield link.at
        link = link.before


def _image(units: int, channels: int, dimensions: int) -> tuple[int, ...] | None:
    """The image whose channels are so many units; empty if they are averaged, None if none is."""
    positions, rest = divmod(units, channels)
    if rest or not positions:
        return None
    if positions == 1:
        return ()
    if dimensions == 1:
        return (positions,)
    side = math.isqrt(positions)
    return (side, side) if side * side == positions else None
