"""Sizes of what one step of training changes, against a swept number. Never prints, never saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Measure, Pass, Quantity
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.axes.key import update_key
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
from heinit_sim.numerics.spread import spread

SHOWN: dict[Pass, tuple[Quantity, str, str]] = {
    "forward": ("activation_update", r"$\Delta h_K$", "Last hidden layer"),
    "backward": ("preactivation_update", r"$\Delta f_K$", "Output"),
}
"""The quantity of a panel, of layer K, its symbol and its title."""


def draw_update(result: SweepResult, sheet: Sheet) -> Figure:
    """Draw the root mean squares of Δh_K and of Δf_K against the swept number.

    Where that is the width, and learning rates and variances are right powers of it, lines are
    level.

    Source: the coordinate check of Yang et al. 2022, Tensor Programs V, appendix D.1.
    """
    series, decades = series_of(result, sheet), result.config.figure.decades
    lines = {direction: [_line(result, one, direction) for one in series] for direction in SHOWN}
    panels = {}
    for direction, title in titled(sheet, {d: title for d, (*_, title) in SHOWN.items()}).items():
        limits = decades or fitted_limits(drawn_values(lines[direction]))
        x, y = partial(swept_scale, result, direction), partial(decade_scale, limits)
        y_label = f"Root mean square of {SHOWN[direction][1]}"
        panels[direction] = Panel(x, axis_name(result), y, y_label, title)
    return draw_panels(
        *(sheet, panels, lines),
        names=series_names(result),
        groups=series_groups(result, sheet),
        key=update_key(result, lines),
        marked=True,
    )


def _line(result: SweepResult, series: Series, direction: Pass) -> Line:
    measure: Measure = (SHOWN[direction][0], "second_moment")
    networks = [result.conditions[place].networks[measure][:, -1] for place in series.places]
    seen = spread(0.5 * np.stack(networks, axis=-1))
    name = (series.index, series.name.full, series.name.short, series.paint)
    unknown = np.full(len(networks), np.nan)
    return Line(*name, series.x, seen.median, seen.p05, seen.p95, unknown)
