"""Decades per layer of both passes against a swept number. Never prints, never saves."""

from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.checks import predicted_slope, trend
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import fitted_limits, plain_scale
from heinit_sim.figures.axes.curves import QUANTITIES, SYMBOLS, WORDS
from heinit_sim.figures.axes.key import ERRORS, slopes_key
from heinit_sim.figures.axes.lines import Line, drawn_values
from heinit_sim.figures.axes.swept_axis import (
    Series,
    axis_name,
    series_groups,
    series_names,
    series_of,
    swept_scale,
)
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.numerics import FloatArray

LEAST = 0.02  # decades per layer: the shortest axis
STABLE: dict[str, Any] = {"linewidth": 0, "zorder": 0.5}


def draw_slopes(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw the decades per layer of both passes against the swept number, one panel per pass.

    With a single line, the slopes that are called stable are grey. Of a prediction there are only
    the slopes of infinite width.
    """
    config, series = result.config, series_of(result, sheet)
    names, groups = series_names(result), series_groups(result, sheet)
    factor = 0.5 if config.figure.quantity == "std" else 1.0
    slopes, lines = {}, {}
    for direction in QUANTITIES:
        values = [_slope_values(outcome, direction) for outcome in result.conditions]
        slopes[direction] = factor * np.array(values)
        lines[direction] = [_slope_line(member, slopes[direction]) for member in series]
    both = [*lines["forward"], *lines["backward"]]
    limits = fitted_limits([np.zeros(1), *drawn_values(both)], LEAST)
    panels = {}
    for direction, title in titled(sheet).items():
        y_label = f"{WORDS[config.figure.quantity]} of {SYMBOLS[direction]}, decades per layer"
        x_axis, y_axis = partial(swept_scale, result, direction), partial(plain_scale, limits)
        panels[direction] = Panel(x_axis, axis_name(result), y_axis, y_label, title)
    shaded = isinstance(result, SweepResult) and len(series) == 1
    key = slopes_key(result, lines, shaded=shaded)
    figure = draw_panels(sheet, panels, lines, names=names, groups=groups, key=key, marked=True)
    for ax, direction in zip(figure.axes, panels, strict=True):
        style: dict[str, Any] = {
            "color": sheet.grey(0.55),
            "linewidth": 0.8 * sheet.em,
            "zorder": 1.5,
        }
        ax.axhline(0.0, label="level", gid=f"{direction}-level", **style)
        if shaded:
            drift, allowed = slopes[direction][series[0].places, 3:].T
            edges = drift - allowed, drift + allowed
            style = {"color": sheet.grey(0.92), "gid": f"{direction}-stable", **STABLE}
            ax.fill_between(series[0].x, *edges, label="stable", **style)
    return figure


def _slope_values(outcome: Prediction, direction: Pass) -> tuple[float, float, float, float, float]:
    """Return slope, its standard error, that of theory, drift, and what is allowed beyond it."""
    if isinstance(outcome, ConditionResult):
        fit = trend(outcome, direction)
        theory = fit.theory_decades_per_layer
        return fit.decades_per_layer, fit.error, theory, fit.drift, fit.allowed
    theory = predicted_slope(outcome, direction)
    return theory, np.nan, theory, np.nan, np.nan


def _slope_line(series: Series, slopes: FloatArray) -> Line:
    slope, error, theory = slopes[series.places, :3].T
    low, high = slope - ERRORS * error, slope + ERRORS * error
    name = (series.index, series.name.full, series.name.short, series.paint)
    return Line(*name, series.x, slope, low, high, theory)
