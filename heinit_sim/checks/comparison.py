"""Whether two runs show the same: number by number, or within the error over networks."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from heinit_sim.checks.naming import subject
from heinit_sim.checks.pairing import differing_settings, pair_conditions
from heinit_sim.checks.record_differences import (
    differing_histograms,
    differing_outputs,
    differing_ratios,
)
from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.quantities import ALIKE_DECADES, BETWEEN_INPUTS, Measure
from heinit_sim.experiment.records import RATIOS
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.p_values import fisher_tail, student_tail, welch

LEVEL = 1e-3
"""Chance that two runs of one law differ anywhere: shared by all that is compared (Bonferroni)."""
_LN10 = math.log(10.0)


@dataclass(frozen=True)
class DifferingRow:
    """A quantity at a layer of a condition where the runs differ."""

    swept: Mapping[str, object]
    """The swept values of the condition in the first run."""
    measure: Measure
    layer: int
    decades: float
    """Second run minus first, as log10: of the network that differs most where the configs are the
    same, else of the means over networks."""
    standard_errors: float
    """Difference of the means over networks of log10, in its standard errors; NaN where there is
    no spread."""


@dataclass(frozen=True)
class Comparison:
    """Differences of two runs, and how much of them was compared."""

    exact: bool
    """Same config: numbers were compared one by one. Else the means over networks of log10."""
    matched: str
    """How conditions were paired, in words."""
    n_conditions: int
    n_rows: int
    """Rows that were compared: one per condition, quantity, statistic and layer."""
    largest: float
    """The largest difference of any row: relative, |Δ log10| ln 10, if exact; else in standard
    errors."""
    smallest_p: float
    """The smallest p of any row; NaN if exact, or where no row has two live networks in both
    runs."""
    level: float
    """The p below which a row is a difference; NaN if exact."""
    rows: tuple[DifferingRow, ...]
    """Rows that differ, the worst first."""
    depths: tuple[str, ...]
    """A line for each pair of conditions of other depths, whose rows were not compared."""
    dead: tuple[str, ...]
    """A line for each condition where another share of networks is dead."""
    histograms: tuple[str, ...]
    """A line for each layer whose numbers are in other bins; only if exact."""
    ratios: tuple[str, ...]
    """A line for each layer whose cosines or other ratios differ; only if exact."""
    outputs: tuple[str, ...]
    """A line for each condition whose losses or Jacobians differ; only if exact."""
    settings: tuple[str, ...]
    """A line for each key of the configs that differs, but for those no number depends on."""
    left_out: tuple[str, ...]
    """A line for each thing that was not compared, as only one of the runs has it."""

    @property
    def held(self) -> bool:
        """Whether nothing differs."""
        return not self.rows and not self.mismatches

    @property
    def mismatches(self) -> tuple[str, ...]:
        """Lines for all differences beside the rows."""
        return self.depths + self.dead + self.histograms + self.ratios + self.outputs


class _RowTests(NamedTuple):
    """One measure of a pair of conditions, compared layer by layer."""

    differing: list[DifferingRow]
    largest: float
    """Largest difference of any layer, as in `Comparison`."""
    smallest_p: float = math.nan
    n_untested: int = 0
    """Layers that have no error to be compared by, and are not all zero in both runs."""


def compare(first: SweepResult, second: SweepResult, rtol: float = 1e-6) -> Comparison:
    """Compare two runs: the numbers of one config, or the typical networks of two.

    Where the configs are the same (name, figure, record and expectations aside), every network's
    number must agree, and the histograms. Else the means over networks of log10 are compared by
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
    all_pairs, matched, unpaired = pair_conditions(first, second)
    if not exact and min(first.config.trials, second.config.trials) < 2:
        raise RunDirectoryError(
            "1 network per condition has no error to compare other configs by; give runs of at "
            "least 2 trials"
        )
    pairs = [(a, b) for a, b in all_pairs if a.condition.depth == b.condition.depth]
    measured = [result.networks for pair in all_pairs for result in pair]
    one, other = first.config.record, second.config.record
    measures = dict.fromkeys((*one.measures, *other.measures))
    shared = [m for m in measures if all(m in networks for networks in measured)]
    if not shared:
        raise RunDirectoryError("the two runs have no quantity in common; run one of them again")

    compared = [(a, b, m) for a, b in pairs for m in shared if _n_defined(a, b, m) == 2]
    n_rows = sum(a.condition.depth + 1 for a, _, _ in compared)
    # The tests of all rows, and one per condition of how many networks are dead.
    level = LEVEL / max(n_rows + len(pairs), 1)
    tests = [
        _compare_numbers(a, b, measure, rtol)
        if exact
        else _compare_means(a, b, measure, rtol, level)
        for a, b, measure in compared
    ]
    n_untested = sum(test.n_untested for test in tests)
    rows = [row for test in tests for row in test.differing]
    same_bins = exact and one.histograms == other.histograms
    left_out = unpaired + [f"{' '.join(m)} (not in both runs)" for m in measures if m not in shared]
    if not same_bins and (one.histograms or other.histograms):
        left_out.append("histograms (not the same bins of one config)")
    for name in (*RATIOS, "jacobian"):
        asked = [getattr(record, name) for record in (one, other)]
        if any(asked) and not (exact and all(asked)):
            why = "only between runs of one config" if all(asked) else "not in both runs"
            left_out.append(f"record.{name} ({why})")
    undefined = [a for a, b in pairs if _n_defined(a, b, ("activation", BETWEEN_INPUTS)) == 1]
    if undefined:
        left_out.append(f"{BETWEEN_INPUTS} of {len(undefined)} conditions (one input in one run)")
    if n_untested:
        left_out.append(f"{n_untested} rows of fewer than two networks that are alive, in one run")
    return Comparison(
        exact=exact,
        matched=matched,
        n_conditions=len(pairs),
        n_rows=n_rows - n_untested,
        largest=max((test.largest for test in tests), default=0.0),
        smallest_p=float(np.fmin.reduce([test.smallest_p for test in tests], initial=np.nan)),
        level=math.nan if exact else level,
        rows=tuple(sorted(rows, key=lambda r: -abs(r.decades if exact else r.standard_errors))),
        depths=tuple(
            f"{subject(a.condition)}: {a.condition.depth} hidden layers against {b.condition.depth}"
            for a, b in all_pairs
            if a.condition.depth != b.condition.depth
        ),
        dead=() if exact else tuple(line for pair in pairs for line in _dead(*pair, level)),
        histograms=tuple(
            line for pair in pairs if same_bins for line in differing_histograms(*pair, rtol)
        ),
        ratios=tuple(line for pair in pairs if exact for line in differing_ratios(*pair, rtol)),
        outputs=tuple(line for pair in pairs if exact for line in differing_outputs(*pair, rtol)),
        settings=settings,
        left_out=tuple(left_out),
    )


def _n_defined(a: ConditionResult, b: ConditionResult, measure: Measure) -> int:
    """In how many of two conditions a measure is defined: between inputs there must be two."""
    return sum(measure[1] != BETWEEN_INPUTS or c.condition.n_inputs > 1 for c in (a, b))


def _numbers(result: ConditionResult, measure: Measure) -> tuple[FloatArray, FloatArray]:
    """The numbers of a measure, and by what an error of the layer's numbers multiplies theirs.

    That is 1, but of what a small variance between inputs is left of: with the second moment q it
    is 1e-8 √(q/variance) where that is more, if inputs are equal to as many digits as two runs of
    one config are; and no variance is less than rounding leaves.
    """
    log10 = result.networks[measure]
    second = result.networks.get((measure[0], "second_moment"))
    if measure[1] != BETWEEN_INPUTS or second is None:
        return log10, np.ones_like(log10)
    with np.errstate(invalid="ignore"):  # dead networks
        log10 = np.where(np.isneginf(second), log10, np.maximum(log10, second - ALIKE_DECADES))
        alike = np.where(np.isneginf(second), 0.0, second - log10) / 2
    return log10, np.maximum(1.0, 10 ** (alike - 8))


def _compare_numbers(
    a: ConditionResult, b: ConditionResult, measure: Measure, rtol: float
) -> _RowTests:
    (x, factor), (y, _) = _numbers(a, measure), _numbers(b, measure)
    with np.errstate(invalid="ignore"):
        gaps = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, (y - x) / factor)
    gaps = np.where(np.isnan(gaps), np.inf, gaps)  # only one of the two is a number
    largest = gaps[np.abs(gaps).argmax(axis=0), np.arange(gaps.shape[1])]
    size = np.abs(largest) * _LN10
    _, errors, _ = welch(x, y)
    rows = _rows(a, measure, size > rtol, largest, errors)
    return _RowTests(rows, float(size.max(initial=0.0)))


def _compare_means(
    a: ConditionResult, b: ConditionResult, measure: Measure, rtol: float, level: float
) -> _RowTests:
    (x, _), (y, _) = _numbers(a, measure), _numbers(b, measure)
    decades, errors, freedom = welch(x, y)
    tested = np.where(np.abs(decades) * _LN10 <= rtol, 0.0, errors)
    # Student's tails are above the normal's: only what is beyond these is looked at.
    differs = np.abs(tested) > -NormalDist().inv_cdf(level / 2)
    for k in np.flatnonzero(differs):
        differs[k] = student_tail(float(errors[k]), float(freedom[k])) < level
    alive = [np.isfinite(log10).sum(axis=0) for log10 in (x, y)]
    return _RowTests(
        _rows(a, measure, differs, decades, errors),
        float(np.nanmax(np.abs(tested), initial=0.0)),
        _smallest_p(tested, freedom),
        int(((np.minimum(*alive) < 2) & (np.maximum(*alive) > 0)).sum()),
    )


def _rows(
    result: ConditionResult,
    measure: Measure,
    differs: Mask,
    decades: FloatArray,
    errors: FloatArray,
) -> list[DifferingRow]:
    swept = result.condition.swept
    return [
        DifferingRow(swept, measure, int(k), float(decades[k]), float(errors[k]))
        for k in np.flatnonzero(differs)
    ]


def _smallest_p(errors: FloatArray, freedom: FloatArray) -> float:
    """The p of the farthest row of each number of degrees of freedom, the smallest of them.

    Rows of equal degrees of freedom need no other tail than the farthest's. NaN without an error.
    """
    tested = ~np.isnan(errors)
    tails = [
        student_tail(float(np.abs(errors[tested & (freedom == n)]).max()), float(n))
        for n in np.unique(freedom[tested])
    ]
    return min(tails, default=math.nan)


def _dead(a: ConditionResult, b: ConditionResult, level: float) -> Iterator[str]:
    """A line if the runs have different shares of networks whose h_K is all zero."""
    measure: Measure = ("activation", "second_moment")
    if measure not in a.networks or measure not in b.networks:
        return
    (dead_a, n_a), (dead_b, n_b) = (
        (int(np.isneginf(result.networks[measure][:, -1]).sum()), len(result.networks[measure]))
        for result in (a, b)
    )
    if fisher_tail(dead_a, n_a, dead_b, n_b) < level:
        counts = f"{dead_a} of {n_a} networks are dead (h_K = 0) against {dead_b} of {n_b}"
        yield f"{subject(a.condition)}: {counts}"
