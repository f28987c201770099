"""Both passes, layer by layer, as the book's Figure 7.4 shows them. Never prints, never saves."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures import curves
from heinit_sim.figures.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.curves import QUANTITIES, SYMBOLS, WORDS, Curve
from heinit_sim.figures.key import layers_key
from heinit_sim.figures.layer_axis import layer_axis
from heinit_sim.figures.lines import Line, bands_show, drawn_values, plot
from heinit_sim.figures.panels import Panel, Tip, draw_panels, write_caption

BEHIND: dict[str, Any] = {"linewidth": 1.4, "dashes": (4, 2.5), "zorder": 2}
HEAD: dict[str, Any] = {"markeredgewidth": 0, "zorder": 5, "clip_on": False}
HEAD_SHAPE = np.array([(-0.15, 0.0), (-0.4, 0.5), (1.0, 0.0), (-0.4, -0.5)])
CIRCLE: dict[str, Any] = {"marker": "o", "linestyle": "", "markerfacecolor": "w", "zorder": 6}


def draw_layers(result: SweepResult | SweepPrediction) -> Figure:
    """Draw a statistic of h_k and of ∂ℓ/∂h_k against the layer k, one panel per pass."""
    config = result.config.figure
    lines = {direction: curves.curves_of(result, direction) for direction in QUANTITIES}
    both = [*lines["forward"], *lines["backward"]]
    limits = config.decades or fitted_limits(drawn_values(both))
    banded = bands_show(both, limits)
    panels = {}
    for direction in QUANTITIES:
        y_label = f"{WORDS[config.quantity]} of {SYMBOLS[direction]}"
        x_axis = layer_axis(result.config, direction)
        panels[direction] = Panel(*x_axis, decade_scale(limits), y_label)
    figure = draw_panels(panels, lines, banded=banded, tip_of=_draw_arrow)
    if config.overlay:
        for ax, direction in zip(figure.axes, QUANTITIES, strict=True):
            _draw_published(ax, lines[direction], direction)
    for line in lines["forward"]:
        plot(figure.axes[1], line, line.middle, "behind", color=line.paint.color, **BEHIND)
    write_caption(figure, layers_key(result, lines, banded=banded).sentence)
    return figure


def _draw_arrow(ax: Axes, line: Line, direction: Pass) -> Tip:
    """Draw an arrow head where the pass is last seen in the panel, and return its tip."""
    low, high = ax.get_ylim()
    median = line.middle
    seen = np.flatnonzero((median >= low) & (median <= high))
    if len(seen) == 0:  # off the scale: the arrow stands at its edge
        seen = np.flatnonzero(np.isfinite(median))
    if len(seen) == 0:
        return None
    run, ahead = (seen, 1) if direction == "forward" else (seen[::-1], -1)
    trail = run[[-min(len(run), 1 + math.ceil(len(run) / 20)), -1]]  # long enough to be steady
    (x0, y0), (x, y) = ax.transData.transform(np.stack([line.x[trail], median[trail]], 1))
    angle = math.atan2(y - y0, (x - x0) or ahead)
    along = np.array([math.cos(angle), math.sin(angle)])
    shape = HEAD_SHAPE @ [along, [-along[1], along[0]]]
    end = line.x[trail[1]], np.clip(median[trail[1]], low, high)
    # matplotlib scales a marker by its largest coordinate, which depends on the angle.
    size = 26 * line.paint.weight * abs(shape).max()
    style = {"markersize": size, "color": line.paint.color, **HEAD}
    ax.plot(*end, marker=shape, label=f"arrow {line.index}", **style)
    reach = 13 * line.paint.weight * ax.figure.dpi / 72 * along
    tip = ax.transData.inverted().transform(ax.transData.transform(end) + reach)
    return float(tip[0]), float(tip[1])


def _draw_published(ax: Axes, drawn: list[Curve], direction: Pass) -> None:
    """Draw every fourth point of Figure 7.4 as printed, in the ink of its condition or grey."""
    for variance, points in curves.load_published(direction).items():
        inks = [
            curve.paint.ink
            for curve in drawn
            if np.isclose(curve.condition.weight_variances, variance, 1e-9, 0.0).all()
        ]
        style = {"markeredgecolor": inks[0] if inks else "0.5", "markersize": 5, **CIRCLE}
        ax.plot(*points[::4].T, label=f"published {variance:g}", **style)
