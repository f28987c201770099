"""Whether two runs show the same: number by number, or within the error over networks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from heinit_sim.checks.pairing import differing_settings, pairs_of
from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.quantities import COUNTED, MEASURES, Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.p_values import fisher_tail, student_tail, welch
from heinit_sim.simulation.cosines import QUANTITIES
from heinit_sim.simulation.histograms import _up_to_edges

LEVEL = 1e-3
"""Chance that two runs of one law differ anywhere: shared by all that is compared (Bonferroni)."""
_LN10 = math.log(10.0)


@dataclass(frozen=True)
class Row:
    """A quantity at a layer of a condition that differs."""

    swept: Mapping[str, object]
    """The swept values of the condition in the first run."""
    measure: Measure
    layer: int
    decades: float
    """Second run minus first, as log10: of the network that differs most where the configs are the
    same, else of the means over networks."""
    standard_errors: float
    """Of the means over networks of log10, by their own spread; NaN where there is no spread."""


@dataclass(frozen=True)
class Comparison:
    """What two runs have in common, and where they differ."""

    exact: bool
    """Same config: numbers were compared one by one. Else the means over networks of log10."""
    matched: str
    """How conditions were paired, in words."""
    n_conditions: int
    n_rows: int
    """Rows that were compared: one per condition, quantity, statistic and layer."""
    largest: float
    """Of all rows: relative difference of two numbers, |Δ log10| ln 10, if exact; else the number
    of standard errors."""
    smallest_p: float
    """Of all rows; NaN if exact, or where no row has two live networks in both runs."""
    level: float
    """Row by row, a p below this is a difference; NaN if exact."""
    rows: tuple[Row, ...]
    """Those that differ, the worst first."""
    depths: tuple[str, ...]
    """A line for each pair of conditions of other depths, whose rows were not compared."""
    dead: tuple[str, ...]
    """A line for each condition where another share of networks is dead."""
    histograms: tuple[str, ...]
    """A line for each layer whose numbers are in other bins; only if exact."""
    cosines: tuple[str, ...]
    """A line for each layer whose cosines differ; only if exact."""
    settings: tuple[str, ...]
    """Where the configs differ, name, figure, record and expectations aside."""
    left_out: tuple[str, ...]
    """What only one of the runs has."""

    @property
    def held(self) -> bool:
        """Whether nothing differs."""
        return not self.rows and not self.mismatches

    @property
    def mismatches(self) -> tuple[str, ...]:
        """What differs beside the rows."""
        return self.depths + self.dead + self.histograms + self.cosines


def compare(first: SweepResult, second: SweepResult, rtol: float = 1e-6) -> Comparison:
    """Compare two runs: the numbers of one config, or the typical networks of two.

    Of one config (name, figure, record and expectations aside) every network's number must agree,
    the histograms and the cosines. Of two, the means over networks of log10 are compared by
    Welch's t, at the family-wise level `LEVEL`: they tell of the typical network, where the
    arithmetic mean of a deep layer would be carried by rare ones. Runs of equal seeds and common
    draws share their random numbers; the error, which takes them for independent, is then larger
    than it need be, so the comparison is conservative.

    Args:
        first: A run; may lack measures.
        second: Another.
        rtol: Relative difference up to which numbers are the same.

    Raises:
        RunDirectoryError: Their conditions cannot be paired, or nothing can be compared.
    """
    settings = differing_settings(first.config, second.config)
    exact = not settings
    pairs, matched, left_out = pairs_of(first, second)
    networks = min(first.config.trials, second.config.trials)
    if not exact and networks < 2:
        raise RunDirectoryError(
            "1 network per condition has no error to compare other configs by; give runs of at "
            "least 2 trials"
        )
    other_depths, comparable = [], []
    for a, b in pairs:
        if a.condition.depth == b.condition.depth:
            comparable.append((a, b))
        else:
            depths = f"{a.condition.depth} hidden layers against {b.condition.depth}"
            other_depths.append(f"{a.condition.label or 'the condition'}: {depths}")
    shared = [m for m in MEASURES if all(m in of.networks for pair in pairs for of in pair)]
    if not shared:
        raise RunDirectoryError("the two runs have no quantity in common; run one of them again")
    left_out += [f"{' '.join(m)} (not in both runs)" for m in MEASURES if m not in shared]

    # The tests of all rows, and one per condition of how many networks are dead.
    n_rows = sum(a.condition.depth + 1 for a, _ in comparable) * len(shared)
    level = LEVEL / max(n_rows + len(comparable), 1)
    found: list[Row] = []
    dead: list[str] = []
    largest, smallest_p = 0.0, math.nan
    for a, b in comparable:
        dead += [] if exact else _dead(a, b, level)
        for measure in shared:
            rows, farthest, p = _rows(a, b, measure, rtol, level, exact=exact)
            found += rows
            largest = max(largest, farthest)
            smallest_p = float(np.fmin(smallest_p, p))
    bins = (first.config.histograms, second.config.histograms)
    if bins[0] == bins[1] and exact:
        histograms = [line for pair in comparable for line in differing_layers(*pair, rtol)]
    else:
        histograms = []
        left_out += ["histograms (not the same bins of one config)"] * any(bins)
    cosines = [line for pair in comparable if exact for line in differing_cosines(*pair, rtol)]
    taken = (first.config.cosine, second.config.cosine)
    if any(taken) and not (exact and all(taken)):
        left_out.append("cosines (not in both runs of one config)")
    lost = 0 if exact else sum(_n_lost(*pair, m) for pair in comparable for m in shared)
    if lost:
        left_out.append(f"{lost} rows of fewer than two networks that are alive, in one run")
    found.sort(key=lambda row: -_badness(row, exact=exact))
    return Comparison(
        exact=exact,
        matched=matched,
        n_conditions=len(comparable),
        n_rows=n_rows - lost,
        largest=largest,
        smallest_p=smallest_p,
        level=math.nan if exact else level,
        rows=tuple(found),
        depths=tuple(other_depths),
        dead=tuple(dead),
        histograms=tuple(histograms),
        cosines=tuple(cosines),
        settings=settings,
        left_out=tuple(left_out),
    )


def _rows(
    a: ConditionResult,
    b: ConditionResult,
    measure: Measure,
    rtol: float,
    level: float,
    *,
    exact: bool,
) -> tuple[list[Row], float, float]:
    """The layers that differ; of all the largest difference, as `Comparison` has it, and p."""
    x, y = a.networks[measure], b.networks[measure]
    means, errors, freedom = welch(x, y)
    if exact:
        gaps = _gaps(x, y)
        worst = np.abs(gaps).argmax(axis=0)
        decades = gaps[worst, np.arange(gaps.shape[1])]
        size = np.abs(decades) * _LN10
        differs = size > rtol
        smallest_p = math.nan
    else:
        decades = means
        size = np.where(np.abs(means) * _LN10 <= rtol, 0.0, errors)
        # Student's tails are above the normal's: only what is beyond these is looked at.
        differs = np.abs(size) > -NormalDist().inv_cdf(level / 2)
        for k in np.flatnonzero(differs):
            differs[k] = student_tail(float(errors[k]), float(freedom[k])) < level
        smallest_p = _smallest_p(size, freedom)
    rows = [
        Row(a.condition.swept, measure, int(k), float(decades[k]), float(errors[k]))
        for k in np.flatnonzero(differs)
    ]
    return rows, float(np.nanmax(np.abs(size), initial=0.0)), smallest_p


def _n_lost(a: ConditionResult, b: ConditionResult, measure: Measure) -> int:
    """Layers that have no error to be compared by, and are not all zero in both runs."""
    alive = [np.isfinite(of.networks[measure]).sum(axis=0) for of in (a, b)]
    return int(((np.minimum(*alive) < 2) & (np.maximum(*alive) > 0)).sum())


def _smallest_p(errors: FloatArray, freedom: FloatArray) -> float:
    """Of equal degrees of freedom the farthest has the smallest p; NaN if there is no error."""
    tested = ~np.isnan(errors)
    tails = [
        student_tail(float(np.abs(errors[tested & (freedom == n)]).max()), float(n))
        for n in np.unique(freedom[tested])
    ]
    return min(tails, default=math.nan)


def _gaps(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return y − x: 0 between equals, infinite where only one is a number."""
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(invalid="ignore"):
        gaps: FloatArray = np.where(same, 0.0, y - x)
    return np.where(np.isnan(gaps), np.inf, gaps)


def _dead(a: ConditionResult, b: ConditionResult, level: float) -> Iterator[str]:
    """A line if the runs have different shares of networks whose h_K is all zero."""
    measure: Measure = ("activation", "second_moment")
    if measure not in a.networks or measure not in b.networks:
        return
    (dead_a, n_a), (dead_b, n_b) = (
        (int(np.isneginf(of.networks[measure][:, -1]).sum()), len(of.networks[measure]))
        for of in (a, b)
    )
    if fisher_tail(dead_a, n_a, dead_b, n_b) < level:
        label = a.condition.label or "the condition"
        yield f"{label}: {dead_a} of {n_a} networks are dead (h_K = 0) against {dead_b} of {n_b}"


def _badness(row: Row, *, exact: bool) -> float:
    return abs(row.decades if exact else row.standard_errors)


def differing_cosines(one: ConditionResult, other: ConditionResult, tolerance: float) -> list[str]:
    """A line for each layer where a network's cosine differs by more than the tolerance."""
    lines = []
    for quantity in QUANTITIES if one.cosines and other.cosines else ():
        x, y = one.cosines[quantity], other.cosines[quantity]
        differs = ~((np.abs(x - y) <= tolerance) | (np.isnan(x) & np.isnan(y)))
        for k in np.flatnonzero(differs.any(axis=0)):
            where = f"{one.condition.label or 'the condition'}: cosine of {quantity}, layer {k}"
            gaps = np.abs(x - y)[differs[:, k], k]
            size = "one is undefined" if np.isnan(gaps).any() else f"by up to {gaps.max():.1g}"
            lines.append(f"{where}: {len(gaps)} of {len(x)} networks differ, {size}")
    return lines


def differing_layers(one: ConditionResult, other: ConditionResult, rtol: float) -> Iterator[str]:
    """A line for each layer that has more numbers in other bins than their rounding explains.

    Numbers that differ by up to `rtol` may cross an edge: of N normal ones at most 0.49 N rtol any
    one edge, as 0.49 is the largest density of ln|z|. Twice that is allowed, and one number.
    """
    for quantity in COUNTED if one.histograms and other.histograms else ():
        x, y = (_up_to_edges(of.histograms[quantity]) for of in (one, other))
        crossed = np.abs(x - y).max(axis=-1)
        for k in np.flatnonzero(crossed > 1 + rtol * np.maximum(x[:, -1], y[:, -1])):
            where = f"{one.condition.label or 'the condition'}: {quantity}, layer {k}"
            yield f"{where}: {crossed[k]} numbers or more are in other bins"
