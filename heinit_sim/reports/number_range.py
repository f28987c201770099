"""Numbers outside of formats of fewer bits, as rows, and the layers that float32 would lose."""

import math
from collections.abc import Iterator

import numpy as np

from heinit_sim.experiment.number_formats import FORMATS, PARTS, range_ratio
from heinit_sim.experiment.quantities import PASS_OF, Pass
from heinit_sim.experiment.records import RANGED
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.reports.formats import Row, rounded
from heinit_sim.simulation import ratio_spread

_PASSES: tuple[Pass, ...] = ("forward", "backward")
FLOAT32_LAYERS = tuple(
    f"{direction}_float32_{fate}_layer" for direction in _PASSES for fate in ("overflow", "zero")
)
"""Columns of `summary.csv` that a run with `record.range` has."""


def range_rows(result: SweepResult) -> Iterator[Row]:
    """The rows of `range.csv`: one per condition, quantity, layer and format."""
    for outcome in result.conditions:
        for quantity in RANGED:
            measures = [(quantity, range_ratio(name, part)) for name in FORMATS for part in PARTS]
            spreads = {measure: ratio_spread(outcome, measure) for measure in measures}
            unknown = np.full(outcome.condition.depth + 1, math.nan)
            for layer in range(outcome.condition.depth + 1):
                for name in FORMATS:
                    row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
                    row |= {"quantity": quantity, "layer": layer, "format": name}
                    parts = {part: (quantity, range_ratio(name, part)) for part in PARTS}
                    row["networks"] = int(spreads[parts[PARTS[0]]].networks[layer])
                    for part, measure in parts.items():
                        for key in ("mean", "se", "median", "p05", "p95"):
                            row[f"{part}_{key}"] = rounded(getattr(spreads[measure], key)[layer])
                    for part, measure in parts.items():
                        theory = outcome.theory_ratios.get(measure, unknown)
                        row[f"theory_{part}"] = rounded(theory[layer])
                    yield row


def float32_layers(outcome: ConditionResult) -> Row:
    """The layers from which on most networks would be infinite or 0 in a run with float32.

    A network is infinite from the layer on, in the order of the pass, that has a number above the
    largest, and 0 from the one on all of whose numbers, but those that are 0, are rounded to 0.
    """
    row: Row = {}
    for direction in _PASSES:
        of_pass = [quantity for quantity in RANGED if PASS_OF[quantity] == direction]
        with np.errstate(invalid="ignore"):  # NaN is neither
            above = [outcome.ratios[q, range_ratio("float32", "above")] > 0 for q in of_pass]
            lost = [outcome.ratios[q, range_ratio("float32", "zero")] == 1 for q in of_pass]
        for fate, flags in (("overflow", above), ("zero", lost)):
            row[f"{direction}_float32_{fate}_layer"] = _first_layer(
                np.logical_or.reduce(flags), backward=direction == "backward"
            )
    return row


def _first_layer(flags: Mask, *, backward: bool) -> int | float:
    """The first layer of a pass by which more than half of the networks have come to a flag.

    Args:
        flags: (n_networks, K+1).
        backward: Whether the pass begins at layer K.
    """
    in_order = flags[:, ::-1] if backward else flags
    share: FloatArray = np.logical_or.accumulate(in_order, axis=1).mean(axis=0)
    layers = np.flatnonzero(share > 0.5)
    if not layers.size:
        return math.nan
    return int(flags.shape[1] - 1 - layers[0] if backward else layers[0])
