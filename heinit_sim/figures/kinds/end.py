"""What is left of both passes at the ends of the network, against a swept number. Never saves."""

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.curves import QUANTITIES, WORDS, Curve, caption_of, curves_of
from heinit_sim.figures.lines import Line, bands_show
from heinit_sim.figures.panels import Panel, draw_panes, gaps, write_caption
from heinit_sim.figures.swept_axis import Series, series_of, swept_axis

SYMBOLS: dict[Pass, str] = {"forward": "$h_K$", "backward": r"$\partial\ell/\partial h_0$"}
LAST: dict[Pass, int] = {"forward": -1, "backward": 0}
"""The layer a pass ends at."""


def draw_ends(result: SweepResult | SweepPrediction) -> Figure:
    """Draw a statistic of h_K and of ∂ℓ/∂h_0 against the swept number, one panel per pass.

    Of a prediction the networks seen are those that are predicted for one input, or their mean.
    """
    config = result.config.figure
    series = series_of(result.config)
    curves = {direction: curves_of(result, direction) for direction in QUANTITIES}
    lines = {
        direction: [_line(one, curves[direction], LAST[direction]) for one in series]
        for direction in QUANTITIES
    }
    panels, banded = {}, False
    for direction in QUANTITIES:
        drawn = [values for line in lines[direction] for values in line.drawn]
        limits = config.decades or fitted_limits(drawn)
        x, x_label = swept_axis(result.config, direction)
        y_label = f"{WORDS[config.quantity]} of {SYMBOLS[direction]}"
        panels[direction] = Panel(x, decade_scale(limits), x_label, y_label)
        banded = banded or bands_show(lines[direction], limits)
    figure = draw_panes(panels, lines, marked=True, banded=banded)
    caption = caption_of(curves["forward"], curves["backward"], result, banded=banded)
    write_caption(figure, caption + gaps(lines))
    return figure


def _line(series: Series, curves: list[Curve], layer: int) -> Line:
    """Return what one layer of the conditions of a line shows."""
    chosen = [curves[place].line for place in series.places]
    seen = [(one.middle[layer], one.low[layer], one.high[layer]) for one in chosen]
    middle, low, high = np.array(seen).T
    theory = np.array([one.theory[layer] for one in chosen])
    known = [one.predicted[:, layer] for one in chosen if one.predicted is not None]
    predicted = np.array(known).T if len(known) == len(chosen) else None
    paint, x = series.paint, series.x
    return Line(series.index, series.label, paint, x, middle, low, high, theory, predicted)
