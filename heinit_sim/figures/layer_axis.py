"""Conditions in lines against the layer: their axis, and what each of them shows."""

from collections.abc import Callable, Sequence

import numpy as np

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.axis_scales import Scale, layer_scale, layers_drawn
from heinit_sim.figures.curves import labels_of
from heinit_sim.figures.lines import Line, paints
from heinit_sim.figures.panels import SIDES
from heinit_sim.numerics import FloatArray


def layer_axis(config: SweepConfig, direction: Pass) -> tuple[Scale, str]:
    """Return the scale of the layers for one pass, and what the axis is called."""
    depth = max(condition.depth for condition in config.conditions)
    return layer_scale(depth, direction), "Layer, $k$"


def layer_caption(
    result: SweepResult | SweepPrediction, lines: Sequence[Line], measured: str, theory: str
) -> str:
    """Return what is thick, and what is thin if there is any: of a prediction, theory is thick."""
    if isinstance(result, SweepPrediction):
        return f"Thick: {theory}."
    known = any(np.isfinite(line.theory).any() for line in lines)
    return f"Thick: {measured}." + f" Thin: {theory}." * known


def layer_lines(
    result: SweepResult | SweepPrediction, values_of: Callable[[Prediction, Pass], FloatArray]
) -> dict[Pass, list[Line]]:
    """Return a line for each condition in each pass.

    Args:
        result: The sweep, or what is predicted of it.
        values_of: What a condition shows in a pass: middle, low, high and theory (4, n) on the
            layers from 0 on; NaN where nothing is known.
    """
    labels = labels_of([outcome.condition for outcome in result.conditions])
    lines: dict[Pass, list[Line]] = {direction: [] for direction in SIDES}
    for outcome, label, paint in zip(result.conditions, labels, paints(len(labels)), strict=True):
        unknown = " (undefined)" if isinstance(outcome, ConditionResult) else " (unknown)"
        for direction in SIDES:
            values = values_of(outcome, direction)
            layers = layers_drawn(values.shape[1] - 1)
            shown = values[:, layers]
            name = label + unknown * (not np.isfinite(shown[0]).any())
            line = Line(outcome.condition.index, name, paint, layers.astype(float), *shown)
            lines[direction].append(line)
    return lines
