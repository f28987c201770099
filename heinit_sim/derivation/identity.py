"""Identities, and how one is judged: both sides sampled, an error bar, z, held or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Generic, TypeVar

import numpy as np
from numpy.random import Generator

from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray

Ingredients = TypeVar("Ingredients")

EPSILON = float(np.finfo(float).eps)
LEVEL = 1e-3
"""Probability that correct code fails any of the sampled rows at all."""
# A side of a sampled identity is reached by at most three sums of at most 300 terms: relative to
# it, rounding stays below this.
_ROUNDING = 1000 * EPSILON


@dataclass(frozen=True)
class Sides:
    """Both sides of an identity, as sampled."""

    left: FloatArray
    """One number per network, (n,); of an exact identity any number of them, (n, ...)."""
    right: FloatArray
    """Numbers of the right side, as many as of the left."""
    rounding: FloatArray | None = None
    """Exact identity: how far rounding may set the sides apart. None: only the means agree."""


@dataclass(frozen=True)
class Sampler(Generic[Ingredients]):
    """Draws the networks that an identity is held against."""

    sample: Callable[[Condition, Generator, int], Ingredients]
    """Draws the ingredients of n independent networks (or samples)."""
    cost: Callable[[Condition], int] | None = None
    """Random numbers one network takes; None if the identity is exact and a few networks do."""


@dataclass(frozen=True)
class Statement:
    """The words of an identity, in symbols that a terminal shows."""

    name: str
    group: str
    left: str
    right: str
    explanation: str
    """One line."""
    source: str


@dataclass(frozen=True)
class Identity(Statement, Generic[Ingredients]):
    """An identity of the lectures, and how its two sides are sampled.

    In the texts, {a} stands for the activation and {p2} for p₂ = E[a(z)²], z ~ N(0, 1).
    """

    sampler: Sampler[Ingredients]
    sides: Callable[[Ingredients], Sides]
    """Both sides, from the ingredients alone."""


@dataclass(frozen=True)
class Row(Statement):
    """One identity, judged."""

    left_value: float
    """Mean over networks of the left side."""
    right_value: float
    error: float
    """Standard error of their difference, over networks; if exact, the largest that rounding
    allows."""
    z: float | None
    """Difference in standard errors; None if the identity is exact."""
    networks: int
    held: bool


def identity(
    name: str, left: str, right: str, where: tuple[str, str], sampler: Sampler[Ingredients]
) -> Callable[[Callable[[Ingredients], Sides]], Identity[Ingredients]]:
    """Make an identity of the function of its two sides, whose docstring explains it in one line.

    Args:
        name: Its name.
        left: Its left side in symbols.
        right: Its right side in symbols.
        where: The group it stands in, and the source it is from.
        sampler: Draws the ingredients of the function.
    """
    group, source = where

    def decorate(sides: Callable[[Ingredients], Sides]) -> Identity[Ingredients]:
        return Identity(name, group, left, right, sides.__doc__ or "", source, sampler, sides)

    return decorate


def judge(
    identity: Identity[Ingredients], sides: Sequence[Sides], bound: float, symbols: dict[str, str]
) -> Row:
    """Whether the sides agree: within `bound` standard errors, or within rounding if exact.

    Args:
        identity: What was sampled.
        sides: What blocks of networks showed.
        bound: Largest |z| that holds.
        symbols: What stands for {a} and {p2} in the texts.
    """
    left, right = (np.concatenate([getattr(s, side) for s in sides]) for side in ("left", "right"))
    difference = left - right
    allowed = [s.rounding for s in sides if s.rounding is not None]
    z = None
    if allowed:
        rounding = np.concatenate(allowed)
        error = float(rounding.max())
        held = bool((np.abs(difference) <= rounding).all())
    else:
        error = _standard_error(difference) + _ROUNDING * float(np.abs([left, right]).mean())
        z = float(difference.mean()) / error if error > 0.0 else 0.0
        held = abs(z) <= bound
    return Row(
        identity.name,
        identity.group,
        identity.left.format_map(symbols),
        identity.right.format_map(symbols),
        identity.explanation.format_map(symbols),
        identity.source,
        float(left.mean()),
        float(right.mean()),
        error,
        z,
        len(left),
        held,
    )


def largest_z(n_rows: int, n_networks: int) -> float:
    """The |z| beyond which one of `n_rows` fails: `LEVEL` over all of them, two-sided.

    Bonferroni's share of the level for each row, as a quantile of Student's t with n − 1 degrees
    of freedom.

    Args:
        n_rows: Rows that are judged by their z.
        n_networks: Independent networks of the row that has the fewest, at least 50.

    Source: Fisher's expansion of that quantile about the normal one, to second order
    (Abramowitz & Stegun 1964, 26.7.5).
    """
    z = NormalDist().inv_cdf(1 - LEVEL / n_rows / 2)
    nu = n_networks - 1
    return z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)


def _standard_error(values: FloatArray) -> float:
    """Standard error of the mean, of numbers of any size."""
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return 0.0
    return largest * float(np.std(values / largest, ddof=1)) / math.sqrt(len(values))
