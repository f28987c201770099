"""Both passes where they end, against a swept number. Never prints, never saves."""

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.curves import WORDS, Curve, curves_of
from heinit_sim.figures.key import end_key
from heinit_sim.figures.lines import Line, bands_show, drawn_values
from heinit_sim.figures.panels import Panel, draw_panels, write_caption
from heinit_sim.figures.swept_axis import Series, series_of, swept_axis

ENDS: dict[Pass, tuple[int, str]] = {
    "forward": (-1, "$h_K$"),
    "backward": (0, r"$\partial\ell/\partial h_0$"),
}
"""The layer a pass ends at, and the symbol of what is there."""


def draw_end(result: SweepResult | SweepPrediction) -> Figure:
    """Draw a statistic of h_K and of ∂ℓ/∂h_0 against the swept number, one panel per pass.

    Of a prediction the networks seen are those that are predicted for one input, or their mean.
    """
    config = result.config.figure
    series = series_of(result.config)
    curves = {direction: curves_of(result, direction) for direction in ENDS}
    lines, panels, banded = {}, {}, False
    for direction, (layer, symbol) in ENDS.items():
        lines[direction] = [_end_line(member, curves[direction], layer) for member in series]
        limits = config.decades or fitted_limits(drawn_values(lines[direction]))
        y_label = f"{WORDS[config.quantity]} of {symbol}"
        x_axis = swept_axis(result.config, direction)
        panels[direction] = Panel(*x_axis, decade_scale(limits), y_label)
        banded = banded or bands_show(lines[direction], limits)
    figure = draw_panels(panels, lines, marked=True, banded=banded)
    write_caption(figure, end_key(result, curves, lines, banded=banded).sentence)
    return figure


def _end_line(series: Series, curves: list[Curve], layer: int) -> Line:
    lines = [curves[place] for place in series.places]
    seen = [(line.middle[layer], line.low[layer], line.high[layer]) for line in lines]
    middle, low, high = np.array(seen).T
    theory = np.array([line.theory[layer] for line in lines])
    known = [line.predicted[:, layer] for line in lines if line.predicted is not None]
    predicted = np.array(known).T if len(known) == len(lines) else None
    name = (series.index, series.label, series.paint)
    return Line(*name, series.x, middle, low, high, theory, predicted)
