"""Conditions in lines against the layer: their axis, and what each of them shows."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.axis_scales import Scale, layer_scale, layers_drawn
from heinit_sim.figures.curves import labels_of
from heinit_sim.figures.lines import Line, Paint, paints
from heinit_sim.figures.panels import SIDES
from heinit_sim.numerics import FloatArray


class LayerValues(NamedTuple):
    """One condition in one pass, on the layers from 0 on; NaN where nothing is known."""

    middle: FloatArray
    low: FloatArray
    high: FloatArray
    theory: FloatArray


def layer_axis(config: SweepConfig, direction: Pass) -> tuple[Scale, str]:
    """Return the scale of the layers for one pass, and what the axis is called."""
    depth = max(condition.depth for condition in config.conditions)
    return layer_scale(depth, direction), "Layer, $k$"


def layer_lines(
    result: SweepResult | SweepPrediction, values_of: Callable[[Prediction, Pass], LayerValues]
) -> dict[Pass, list[Line]]:
    """Return a line for each condition in each pass.

    Args:
        result: The sweep, or what is predicted of it.
        values_of: What a condition shows in a pass.
    """
    labels = labels_of([outcome.condition for outcome in result.conditions])
    named = list(zip(result.conditions, labels, paints(len(labels)), strict=True))
    return {
        direction: [
            _layer_line(outcome, label, paint, values_of(outcome, direction))
            for outcome, label, paint in named
        ]
        for direction in SIDES
    }


def _layer_line(outcome: Prediction, label: str, paint: Paint, values: LayerValues) -> Line:
    layers = layers_drawn(len(values.middle) - 1)
    shown = [part[layers] for part in values]
    if not np.isfinite(shown[0]).any():
        label += " (undefined)" if isinstance(outcome, ConditionResult) else " (unknown)"
    return Line(outcome.condition.index, label, paint, layers.astype(float), *shown)
