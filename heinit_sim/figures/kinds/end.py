"""Both passes where they end, against a swept number. Never prints, never saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.axes.curves import WORDS, Curve, curves_of
from heinit_sim.figures.axes.key import end_key
from heinit_sim.figures.axes.lines import Line, bands_show, drawn_values
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

ENDS: dict[Pass, tuple[int, str]] = {
    "forward": (-1, "$h_K$"),
    "backward": (0, r"$\partial\ell/\partial h_0$"),
}
"""The layer a pass ends at, and the symbol of what is there."""


def draw_end(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw a statistic of h_K and of ∂ℓ/∂h_0 against the swept number, one panel per pass.

    Of a prediction the networks seen are those that are predicted for one input, or their mean.
    """
    config = result.config.figure
    series = series_of(result, sheet)
    names, groups = series_names(result), series_groups(result, sheet)
    curves = {direction: curves_of(result, direction, sheet) for direction in ENDS}
    lines: dict[Pass, list[Line]] = {}
    panels, banded = {}, False
    for direction, (layer, _) in ENDS.items():
        lines[direction] = [_end_line(member, curves[direction], layer) for member in series]
    for direction, title in titled(sheet).items():
        _, symbol = ENDS[direction]
        limits = config.decades or fitted_limits(drawn_values(lines[direction]))
        y_label = f"{WORDS[config.quantity]} of {symbol}"
        x_axis = partial(swept_scale, result, direction)
        y_axis = partial(decade_scale, limits)
        panels[direction] = Panel(x_axis, axis_name(result), y_axis, y_label, title)
        banded = banded or bands_show(lines[direction], limits)
    key = end_key(result, curves, lines, banded=banded)
    return draw_panels(
        sheet, panels, lines, names=names, groups=groups, key=key, marked=True, banded=banded
    )


def _end_line(series: Series, curves: list[Curve], layer: int) -> Line:
    lines = [curves[place] for place in series.places]
    seen = [(line.middle[layer], line.low[layer], line.high[layer]) for line in lines]
    middle, low, high = np.array(seen).T
    theory = np.array([line.theory[layer] for line in lines])
    known = [line.predicted[:, layer] for line in lines if line.predicted is not None]
    predicted = np.array(known).T if len(known) == len(lines) else None
    name = (series.index, series.name.full, series.name.short, series.paint)
    return Line(*name, series.x, middle, low, high, theory, predicted)
