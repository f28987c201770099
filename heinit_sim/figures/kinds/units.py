"""Units that are off, and directions that inputs still differ in. Never prints or saves."""

from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.records import RatioMeasure
from heinit_sim.experiment.results import Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import fitted_limits, plain_scale
from heinit_sim.figures.axes.key import units_key
from heinit_sim.figures.axes.layer_axis import layer_lines, ratio_values
from heinit_sim.figures.axes.lines import STYLES, Line, drawn_values, plot
from heinit_sim.figures.layer_panels import Shown, draw_layer_panels
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.numerics import FloatArray

SHOWN: dict[Pass, tuple[RatioMeasure, str, str]] = {
    "forward": (("activation", "off_share"), "Share of units", "Units that are off"),
    "backward": (
        ("activation", "participation_ratio"),
        "Participation ratio of $h_k$",
        "Directions that inputs differ in",
    ),
}
"""The ratio of a panel, what its axis says, and its title."""
SATURATED: RatioMeasure = ("activation", "saturated_share")
LEAST = 0.01  # the shortest axis


def draw_units(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw the share of units that are off, k = 1 … K, and the participation ratio, k = 0 … K.

    The share of numbers that are saturated is dashed behind the first. Of a prediction theory is
    all there is.
    """
    lines = layer_lines(result, _values, sheet)
    lines["forward"] = [_from_first(line) for line in lines["forward"]]
    saturated = [_from_first(line) for line in layer_lines(result, _saturated, sheet)["forward"]]
    drawn = {
        "forward": [*drawn_values(lines["forward"]), *(line.middle for line in saturated)],
        "backward": drawn_values(lines["backward"]),
    }
    ends = {"forward": np.array([0.0, 1.0]), "backward": np.array([1.0])}
    shown = {}
    for direction, (_, y_label, title) in SHOWN.items():
        limits = fitted_limits([ends[direction], *drawn[direction]], LEAST)
        shown[direction] = Shown(title, y_label, partial(plain_scale, limits))
    figure = draw_layer_panels(result, sheet, lines, shown, units_key(result, lines))
    style = {**STYLES["forward"], "linewidth": STYLES["forward"]["linewidth"] * sheet.em}
    for ax, direction in zip(figure.axes, sheet.panels, strict=True):
        for line in saturated if direction == "forward" else ():
            plot(ax, line, line.middle, "behind", color=line.paint.color, **style)
    return figure


def _values(outcome: Prediction, direction: Pass) -> FloatArray:
    return ratio_values(outcome, SHOWN[direction][0])


def _saturated(outcome: Prediction, direction: Pass) -> FloatArray:
    return ratio_values(outcome, SATURATED)


def _from_first(line: Line) -> Line:
    """The line from layer 1 on: inputs are the units of no activation."""
    parts = ("x", "middle", "low", "high", "theory")
    return replace(line, **{part: getattr(line, part)[1:] for part in parts})
