"""Where two runs of one config differ in what they keep beside moments, a line for each place."""

from collections.abc import Iterator

import numpy as np

from heinit_sim.checks.naming import subject
from heinit_sim.experiment.quantities import COUNTED
from heinit_sim.experiment.results import ConditionResult, Histogram
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.simulation import Counts

_EPS = float(np.finfo(float).eps)


def differing_ratios(a: ConditionResult, b: ConditionResult, tolerance: float) -> Iterator[str]:
    """A line for each layer where a network's cosine, … differs by more than the tolerance."""
    for (quantity, ratio), x in a.ratios.items():
        if (y := b.ratios.get((quantity, ratio))) is None:
            continue
        gaps = np.abs(x - y)
        differs = _differs(gaps, tolerance, x, y)
        for k in np.flatnonzero(differs.any(axis=0)):
            counts = _counts(gaps[differs[:, k], k], len(x))
            name = f"{ratio.replace('_', ' ')} of {quantity}, layer {k}"
            yield f"{subject(a.condition)}: {name}: {counts}"


def differing_outputs(a: ConditionResult, b: ConditionResult, rtol: float) -> Iterator[str]:
    """A line for each kind of number of no layer in which networks differ by more than `rtol`.

    Singular values are known to (K + 1) max(D_i, D_o) roundings of the largest: no smaller
    difference is one.
    """
    condition = a.condition
    rounding = (condition.depth + 1) * max(condition.widths[0], condition.widths[-1]) * _EPS
    for name, log10_x in a.outputs.items():
        if (log10_y := b.outputs.get(name)) is None:
            continue
        largest = np.fmax(log10_x, log10_y)[:, :1]
        unit = np.where(np.isfinite(largest), largest, 0.0)
        x, y = 10.0 ** (log10_x - unit), 10.0 ** (log10_y - unit)
        gaps, sizes = np.abs(x - y), np.fmax(x, y)
        differs = _differs(gaps, rtol * sizes + rounding, x, y).any(axis=1)
        if differs.any():
            with np.errstate(invalid="ignore"):  # both are 0
                relative = np.where(gaps == 0, 0.0, gaps / sizes)
            counts = _counts(relative[differs].max(axis=1), len(x))
            words = name.removeprefix("log10_").replace("_", " ")
            yield f"{subject(condition)}: {words}: {counts}"


def _differs(gaps: FloatArray, tolerance: float | FloatArray, x: FloatArray, y: FloatArray) -> Mask:
    """Where two numbers are farther apart than that, or one alone is undefined."""
    differs: Mask = ~((gaps <= tolerance) | (np.isnan(x) & np.isnan(y)))
    return differs


def _counts(gaps: FloatArray, n_networks: int) -> str:
    """How many networks differ, and by how much."""
    size = "one is undefined" if np.isnan(gaps).any() else f"by up to {gaps.max():.1g}"
    return f"{len(gaps)} of {n_networks} networks differ, {size}"


def differing_histograms(a: ConditionResult, b: ConditionResult, rtol: float) -> Iterator[str]:
    """A line for each layer that has more numbers in other bins than their rounding explains.

    Numbers that differ by up to `rtol` may cross an edge: of N normal ones at most 0.49 N rtol any
    one edge, as 0.49 is the largest density of ln|z|. Twice that is allowed, and one number.
    """
    for quantity in COUNTED if a.histograms and b.histograms else ():
        x, y = (_below_each_edge(result.histograms[quantity]) for result in (a, b))
        crossed = np.abs(x - y).max(axis=-1)
        for k in np.flatnonzero(crossed > 1 + rtol * np.maximum(x[:, -1], y[:, -1])):
            counts = f"{crossed[k]} numbers or more are in other bins"
            yield f"{subject(a.condition)}: {quantity}, layer {k}: {counts}"


def _below_each_edge(histogram: Histogram) -> Counts:
    """Zeros, and from there on how many numbers are below each edge and in all, (K+1, n)."""
    ends = (histogram.zero, histogram.below, histogram.above)
    zero, below, above = (counts[:, np.newaxis] for counts in ends)
    return np.cumsum(np.hstack([zero, below, histogram.counts, above]), axis=-1)
