"""The slope of a condition in decades per layer, and the word for it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from heinit_sim.records import ConditionResult, Measure, Pass

Word = Literal["vanishing", "stable", "exploding", "undefined"]

# What each pass is judged by: the variance of h_k, and that of ∂ℓ/∂h_k on its way to the input.
_JUDGED: dict[Pass, tuple[Measure, int]] = {
    "forward": (("activation", "variance"), +1),
    "backward": (("grad_activation", "variance"), -1),
}
# "Stable" allows this much over the whole network beyond the drift of a finite width: a factor 10.
_ALLOWED_DECADES = 1.0
# Median over mean in standard error, √(π/2); slope of a random walk by least squares, √(6/5).
_SLOPE_OF_MEDIAN = math.sqrt(math.pi / 2 * 6 / 5)


@dataclass(frozen=True)
class Trend:
    """How the variance of one pass changes per hidden layer, in the direction of the pass."""

    decades_per_layer: float
    """Least-squares slope of the median over networks; NaN with one hidden layer, -inf where the
    median network is dead."""
    theory_decades_per_layer: float
    """The same slope of the infinite-width prediction."""
    word: Word


def trend(result: ConditionResult, direction: Pass) -> Trend:
    """Fit the layers 1 … K of one pass and say whether its signal vanishes, stays or explodes.

    "Stable" is a slope that changes the variance by less than a factor of 10 over the network,
    beyond the drift of the median that a finite width brings (half of `log_norm_spread`, in the
    logarithm) and three standard errors of the slope that spread implies.
    """
    measure, sign = _JUDGED[direction]
    depth = result.condition.depth
    median = np.median(result.networks[measure][:, 1:], axis=0)
    slope = -math.inf if np.isneginf(median).any() else sign * _slope(median)
    theory = sign * _slope(result.mean_field[measure][1:])
    spread = result.log_norm_spread
    drift = -spread / 2 / depth / math.log(10)
    n_networks = len(result.networks[measure])
    error = _SLOPE_OF_MEDIAN * math.sqrt(spread / n_networks) / depth / math.log(10)
    return Trend(slope, theory, _word(slope - drift, _ALLOWED_DECADES / depth + 3 * error))


def _word(excess: float, allowed: float) -> Word:
    if math.isnan(excess):
        return "undefined"
    if abs(excess) <= allowed:
        return "stable"
    return "exploding" if excess > 0 else "vanishing"


def _slope(log10_values: NDArray[np.float64]) -> float:
    """Least-squares slope per layer; NaN for a single layer."""
    if len(log10_values) < 2:
        return math.nan
    layers = np.arange(len(log10_values)) - (len(log10_values) - 1) / 2
    return float(layers @ log10_values / (layers @ layers))
