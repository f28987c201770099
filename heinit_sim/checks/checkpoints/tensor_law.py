"""Which law a tensor's numbers may have been drawn from.

Weights of a scheme have mean 0. Three laws of independent numbers are told apart: each is rejected
by Kolmogorov's test, at the standard deviation that the numbers show, or where another law makes
them more than 1/α times as likely. Under the law that they have, either happens with probability α
at most: for likelihoods by Markov's inequality.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.checks.checkpoints.tensor_statistics import TensorStatistics
from heinit_sim.experiment.initializers import CUT, TRUNCATED_STD
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.p_values import kolmogorov_tail
from heinit_sim.numerics.special_functions import cumulative

Law = Literal["normal", "uniform", "truncated_normal", "orthogonal", "zeros", "constant", "other"]
TESTS = 3
"""Tests of each tensor: of its law, its mean and its variance."""
_ROUNDED = 1e-5  # relative, what QR in 32 bits leaves of equal lengths
_EDGE = math.erf(CUT / math.sqrt(2))  # share of a normal law within the cut


class ElementLaw(NamedTuple):
    """A symmetric law of numbers, at standard deviation 1."""

    cumulative: Callable[[FloatArray], FloatArray]
    """z -> P(Z ≤ z)."""
    log_likelihood: Callable[[float, float], float]
    """Root mean square and largest size of numbers -> the largest mean log density of them."""
    excess_kurtosis: float
    square_skewness: float
    """Skewness of Z²."""


def _element_law(
    cumulative: Callable[[FloatArray], FloatArray],
    log_likelihood: Callable[[float, float], float],
    fourth: float,
    sixth: float,
) -> ElementLaw:
    """The law with these moments of Z."""
    skewness = (sixth - 3 * fourth + 2) / (fourth - 1) ** 1.5
    return ElementLaw(cumulative, log_likelihood, fourth - 3, skewness)


def _uniform_cumulative(z: FloatArray) -> FloatArray:
    return np.clip(0.5 + z / math.sqrt(12), 0.0, 1.0)


def _truncated_cumulative(z: FloatArray) -> FloatArray:
    inside = cumulative(np.clip(z * TRUNCATED_STD, -CUT, CUT))
    return (inside - (1 - _EDGE) / 2) / _EDGE


def _truncated_log_likelihood(std: float, largest: float) -> float:
    """At σ, the standard deviation before the cut: `std`, or what lets the largest number in."""
    sigma = max(std, largest / CUT)
    return -math.log(sigma * math.sqrt(2 * math.pi) * _EDGE) - (std / sigma) ** 2 / 2


def _truncated_moments() -> tuple[float, float]:
    """E[Z⁴] and E[Z⁶] of a normal law cut off at ±2, widened to variance 1, by parts."""
    density = math.exp(-(CUT**2) / 2) / math.sqrt(2 * math.pi) / _EDGE
    moment, moments = 1.0, []
    for power in (2, 4, 6):
        moment = (power - 1) * moment - 2 * CUT ** (power - 1) * density
        moments.append(moment / TRUNCATED_STD**power)
    return moments[1], moments[2]


LAWS: Mapping[Law, ElementLaw] = {
    "normal": _element_law(
        cumulative,
        lambda std, _: -math.log(std * math.sqrt(2 * math.pi)) - 0.5,
        fourth=3.0,
        sixth=15.0,
    ),
    "uniform": _element_law(
        _uniform_cumulative,
        lambda _, largest: -math.log(2 * largest),
        fourth=9 / 5,
        sixth=27 / 7,
    ),
    "truncated_normal": _element_law(
        _truncated_cumulative, _truncated_log_likelihood, *_truncated_moments()
    ),
}
"""The laws of independent numbers that are told apart; truncated ones are cut off at 2."""


class LawFound(NamedTuple):
    """The law of a tensor's numbers, as far as tests tell it."""

    law: Law
    """The most likely one of those that are not rejected."""
    possible: tuple[Law, ...]
    """All laws that are not rejected, the most likely first."""
    p_values: Mapping[Law, float]
    """P-value of Kolmogorov's test of each of the three laws; empty where none is made."""


def find_law(found: TensorStatistics, epsilon: float, alpha: float) -> LawFound:
    """Find the law of a tensor's numbers, all of which are finite.

    Args:
        found: Its statistics.
        epsilon: Relative spacing of numbers of its type.
        alpha: How often the law that they have may be rejected.
    """
    if found.n > 1 and found.smallest == found.largest:
        law: Law = "zeros" if found.largest == 0 else "constant"
        return LawFound(law, (law,), {})
    if _is_orthogonal(found, epsilon, alpha):
        return LawFound("orthogonal", ("orthogonal",), {})
    std, largest = math.sqrt(found.second_moment), found.largest_size
    if not (std > 0 and math.isfinite(largest)):
        return LawFound("other", (), {})
    values, counts = np.unique(found.sample / std, return_counts=True)
    likelihoods = {name: found.n * law.log_likelihood(std, largest) for name, law in LAWS.items()}
    likeliest = max(likelihoods.values())
    p_values: dict[Law, float] = {
        name: kolmogorov_tail(_distance(values, counts, law.cumulative), found.sample.size)
        for name, law in LAWS.items()
    }
    possible = [
        name
        for name in LAWS
        if p_values[name] >= alpha and likelihoods[name] >= likeliest + math.log(alpha)
    ]
    possible.sort(key=lambda name: -likelihoods[name])
    return LawFound(possible[0] if possible else "other", tuple(possible), p_values)


def _distance(
    values: FloatArray, counts: NDArray[np.integer], cumulative: Callable[[FloatArray], FloatArray]
) -> float:
    """The largest distance between the distribution function of numbers and that of a law.

    Where numbers are equal, as those of few bits are, the law is held against the middle of their
    step; of numbers that all differ this is Kolmogorov's distance.
    """
    n = counts.sum()
    middles = (np.cumsum(counts) - counts / 2) / n
    return float(np.abs(middles - cumulative(values)).max() + 0.5 / n)


def _is_orthogonal(found: TensorStatistics, epsilon: float, alpha: float) -> bool:
    """Whether vectors are orthogonal and equally long, but for rounding and not by chance.

    Products of independent numbers deviate by 1/√length or so; all m(m + 1)/2 − 1 of them by less
    than a share t of that with a probability below t to this power.
    """
    if found.orthogonality is None:
        return False
    deviation, m, length = found.orthogonality
    rounded = 4 * epsilon / math.sqrt(length) + _ROUNDED
    share = rounded * math.sqrt(length)
    by_chance = (m * (m + 1) / 2 - 1) * math.log(share) if share < 1 else 0.0
    return deviation <= rounded and by_chance < math.log(alpha)
