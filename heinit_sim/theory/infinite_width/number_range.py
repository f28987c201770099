"""Numbers of wide layers that formats of fewer bits cannot hold.

f_k is N(m, q), so that

    P(|f_k| < t) = Φ((t − m)/√q) − Φ((−t − m)/√q)

with q and m² = E[f_k²] − q of the infinite-width recursion. What else is recorded is not normal:
activations, and gradients, to which all units of a network add one factor, that of its loss.
"""

import math
from collections.abc import Mapping

import numpy as np

from heinit_sim.experiment.number_formats import FORMATS, PARTS, range_ratio
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.records import RATIOS, RatioMeasure
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.special_functions import cumulative

_FAR = 300.0  # decades: beyond, all numbers of a layer are on one side of an end


@np.errstate(divide="ignore", invalid="ignore")  # NaN is what is not known
def range_ratios(
    condition: Condition, moments: Mapping[Measure, FloatArray]
) -> dict[RatioMeasure, FloatArray]:
    """Shares of the numbers of f_0 … f_{K−1}, each of shape (K+1,); NaN of all others.

    Args:
        condition: The network and its inputs.
        moments: log10 moments of its layers, as `mean_field` gives them.
    """
    shares = {measure: np.full(condition.depth + 1, math.nan) for measure in RATIOS["range"]}
    if condition.is_convolutional:  # positions at an edge of zeros have variances of their own
        return shares
    second, variance = (moments["preactivation", s][:-1] for s in ("second_moment", "variance"))
    decades = variance / 2
    mean = np.sqrt(np.maximum(10 ** np.minimum(second - variance, _FAR) - 1, 0.0))  # over √q
    for name, ends in FORMATS.items():
        limits = ends.smallest_normal, ends.smallest - 1, math.log2(ends.largest)
        for part, limit in zip(PARTS, limits, strict=True):
            end = 10 ** np.clip(limit * math.log10(2) - decades, -_FAR, _FAR)
            inside = cumulative(end - mean) - cumulative(-end - mean)
            beyond = cumulative(mean - end) + cumulative(-end - mean)
            share = beyond if part == "above" else inside
            shares["preactivation", range_ratio(name, part)][:-1] = share
    return shares
