"""What a figure of ridges shows, before anything is drawn: densities, their scale, their range."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heinit_sim.records import Bins, Quantity
from heinit_sim.results import ConditionResult

Array = NDArray[np.float64]

CUT = 12  # times the lowest peak: what is taller is cut off, else the others would look flat
TAIL = 1e-3  # of the numbers of a ridge may lie beyond either end of the axis


@dataclass(frozen=True)
class Ridge:
    """The numbers of one layer of one condition."""

    of: int
    """Which of the conditions drawn."""
    layer: int
    edges: Array
    """(n_bins + 1,)."""
    density: Array
    """(n_bins,): share of the numbers that are not 0, per decade or standard deviation."""
    zeros: float
    """Share of the numbers that are 0; NaN where none was counted."""
    ends: tuple[float, float]
    """Edges that `TAIL` of the numbers lie beyond."""

    @property
    def middles(self) -> Array:
        """(n_bins,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    @property
    def peak(self) -> float:
        """The highest density."""
        return float(self.density.max())

    @property
    def inside(self) -> float:
        """Share of the numbers that are not 0 in the bins."""
        return float((self.density * np.diff(self.edges)).sum())


def ridge_of(result: ConditionResult, of: int, quantity: Quantity, layer: int) -> Ridge:
    """Return the histogram of one layer as a density; 0 throughout where all numbers are 0."""
    histogram = result.histograms[quantity]
    counts, edges = histogram.counts[layer], histogram.edges
    below, above, zero = (
        int(part[layer]) for part in (histogram.below, histogram.above, histogram.zero)
    )
    total = int(counts.sum()) + below + above
    share = np.cumsum([below, *counts]) / max(total, 1)  # up to each edge
    low = int(np.searchsorted(share, TAIL, side="right")) - 1
    high = int(np.searchsorted(share, 1 - TAIL, side="left"))
    ends = float(edges[max(low, 0)]), float(edges[min(high, len(counts))])
    density = counts / max(total, 1) / np.diff(edges)
    zeros = zero / (total + zero) if total + zero else np.nan
    return Ridge(of, layer, edges, density, zeros, ends)


def evenly(first: int, last: int, most: int) -> list[int]:
    """Return integers from first to last, at most so many, both ends among them."""
    count = min(last - first + 1, most)
    return [int(k) for k in np.linspace(first, last, count).round()]


def fitted_range(ridges: list[Ridge], bins: Bins) -> tuple[float, float]:
    """Return what the axis shows: all ridges but their tails, 0 in the middle if it is signed."""
    ends = [ridge.ends for ridge in ridges if ridge.peak] or [(-2.0, 2.0)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if bins == "std":
        high = max(-low, high)
        low = -high if low < 0 else 0.0
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def height_unit(ridges: list[Ridge]) -> tuple[float, bool]:
    """Return the density that is drawn as tall as any may be, and whether some are taller."""
    tallest = max(ridge.peak for ridge in ridges)
    lowest = min((ridge.peak for ridge in ridges if ridge.inside > 0.5), default=tallest)
    unit = min(tallest, CUT * lowest)
    return unit or 1.0, tallest > unit
