"""Conditions in lines against the layer: their axis, and what each of them shows."""

from collections.abc import Callable
from functools import partial

import numpy as np

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.records import RatioMeasure
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import Scale, layer_scale, layers_drawn
from heinit_sim.figures.axes.lines import Line
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.shown import named_outcomes
from heinit_sim.numerics import FloatArray
from heinit_sim.simulation import ratio_spread

LAYERS = "Layer, $k$"


def layer_axis(result: SweepResult | SweepPrediction, direction: Pass) -> Callable[[float], Scale]:
    """Return the scale of the layers for one pass, of the length of its axis."""
    depth = max(outcome.condition.depth for outcome in result.conditions)
    return partial(layer_scale, depth, direction)


def ratio_values(outcome: Prediction, measure: RatioMeasure) -> FloatArray:
    """Median, 5 % and 95 % over networks of a ratio, and its theory, (4, K+1).

    Of a prediction theory is all there is.
    """
    theory = outcome.theory_ratios[measure]
    if not isinstance(outcome, ConditionResult):
        return np.stack([theory] * 4)
    seen = ratio_spread(outcome, measure)
    return np.stack([seen.median, seen.p05, seen.p95, theory])


def layer_lines(
    result: SweepResult | SweepPrediction,
    values_of: Callable[[Prediction, Pass], FloatArray],
    sheet: Sheet,
) -> dict[Pass, list[Line]]:
    """Return a line for each condition in each pass.

    Args:
        result: The sweep, or what is predicted of it.
        values_of: What a condition shows in a pass: middle, low, high and theory (4, n) on the
            layers from 0 on; NaN where nothing is known.
        sheet: The ground that the colours are chosen for.
    """
    lines: dict[Pass, list[Line]] = {"forward": [], "backward": []}
    for outcome, name, paint in named_outcomes(result, sheet):
        unknown = " (undefined)" if isinstance(outcome, ConditionResult) else " (unknown)"
        for direction, drawn in lines.items():
            values = values_of(outcome, direction)
            layers = layers_drawn(values.shape[1] - 1)
            shown = values[:, layers]
            remark = unknown * (not np.isfinite(shown[0]).any())
            texts = name.full + remark, name.short + remark
            line = Line(outcome.condition.index, *texts, paint, layers.astype(float), *shown)
            drawn.append(line)
    return lines
