"""Conditions in lines against the layer: their axis, and what each of them shows."""

from collections.abc import Callable

import numpy as np

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.axis_scales import Scale, layer_scale, layers_drawn
from heinit_sim.figures.lines import Line
from heinit_sim.figures.naming import named
from heinit_sim.figures.painting import painted
from heinit_sim.figures.panels import SIDES
from heinit_sim.numerics import FloatArray


def layer_axis(config: SweepConfig, direction: Pass) -> tuple[Scale, str]:
    """Return the scale of the layers for one pass, and what the axis is called."""
    depth = max(condition.depth for condition in config.conditions)
    return layer_scale(depth, direction), "Layer, $k$"


def layer_lines(
    result: SweepResult | SweepPrediction, values_of: Callable[[Prediction, Pass], FloatArray]
) -> dict[Pass, list[Line]]:
    """Return a line for each condition in each pass.

    Args:
        result: The sweep, or what is predicted of it.
        values_of: What a condition shows in a pass: middle, low, high and theory (4, n) on the
            layers from 0 on; NaN where nothing is known.
    """
    names = named([outcome.condition for outcome in result.conditions])
    paints = painted(result.config)
    lines: dict[Pass, list[Line]] = {direction: [] for direction in SIDES}
    for outcome, label in zip(result.conditions, names.full, strict=True):
        unknown = " (undefined)" if isinstance(outcome, ConditionResult) else " (unknown)"
        for direction in SIDES:
            values = values_of(outcome, direction)
            layers = layers_drawn(values.shape[1] - 1)
            shown = values[:, layers]
            name = label + unknown * (not np.isfinite(shown[0]).any())
            index = outcome.condition.index
            line = Line(index, name, paints[index], layers.astype(float), *shown)
            lines[direction].append(line)
    return lines
