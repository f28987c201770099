"""Both passes, layer by layer, as the book's Figure 7.4 shows them. Never prints, never saves."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.experiment.number_formats import FORMATS
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.axes import curves
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.axes.curves import QUANTITIES, SYMBOLS, WORDS, Curve
from heinit_sim.figures.axes.key import layers_key
from heinit_sim.figures.axes.layer_axis import LAYERS, layer_axis
from heinit_sim.figures.axes.lines import STYLES, Line, bands_show, drawn_values, gid, plot
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.figures.tip_names import Tip
from heinit_sim.figures.words.shown import groups_of_hues, names_of
from heinit_sim.numerics import FloatArray

BEHIND: dict[str, Any] = STYLES["forward"]
HEAD: dict[str, Any] = {"markeredgewidth": 0, "zorder": 5, "clip_on": False}
HEAD_LENGTH = 26  # points of the default figure
HEAD_SHAPE = np.array([(-0.15, 0.0), (-0.4, 0.5), (1.0, 0.0), (-0.4, -0.5)])


def draw_layers(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw a statistic of h_k and of ∂ℓ/∂h_k against the layer k, one panel per pass."""
    config = result.config.figure
    lines = {direction: curves.curves_of(result, direction, sheet) for direction in QUANTITIES}
    both = [*lines["forward"], *lines["backward"]]
    ends = _format_ends(config)
    limits = config.decades or fitted_limits([*drawn_values(both), np.array(ends)])
    banded = bands_show(both, limits)
    panels = {}
    for direction, title in titled(sheet).items():
        y_label = f"{WORDS[config.quantity]} of {SYMBOLS[direction]}"
        x_axis = layer_axis(result, direction)
        scale = partial(decade_scale, limits)
        panels[direction] = Panel(x_axis, LAYERS, scale, y_label, title)
    key = layers_key(result, lines, banded=banded)
    figure = draw_panels(
        *(sheet, panels, lines),
        names=names_of(result),
        groups=groups_of_hues(result, sheet),
        key=key,
        banded=banded,
        tip_of=_draw_arrow,
    )
    for ax, direction in zip(figure.axes, panels, strict=True):
        if config.overlay:
            _draw_published(ax, lines[direction], direction, sheet)
        for end, name in zip(ends, ("smallest", "largest"), strict=False):
            style = {**STYLES["limit"], "linewidth": STYLES["limit"]["linewidth"] * sheet.em}
            style |= {"color": sheet.quiet, "gid": f"{direction}-limit-{name}"}
            ax.axhline(end, label=f"limit {name}", **style)
        for line in lines["forward"] if direction == "backward" else ():
            style = {**BEHIND, "linewidth": BEHIND["linewidth"] * sheet.em}
            plot(ax, line, line.middle, "behind", color=line.paint.color, **style)
    return figure


def _format_ends(config: FigureConfig) -> tuple[float, ...]:
    """log10 of the smallest normal and the largest number of a format, as the quantity has them."""
    if config.limits is None:
        return ()
    ends, factor = FORMATS[config.limits], 1 if config.quantity == "std" else 2
    return factor * ends.smallest_normal * math.log10(2), factor * math.log10(ends.largest)


@dataclass(frozen=True)
class Head:
    """An arrow head: a marker, and the tip to which a leader goes."""

    shape: FloatArray
    size: float
    end: tuple[float, float]
    """Where it stands, in data coordinates as the tip."""
    tip: tuple[float, float]


def _draw_arrow(ax: Axes, line: Line, direction: Pass, em: float) -> Tip:
    """Draw an arrow head where the pass is last seen in the panel, and return its tip."""
    points = np.stack([line.x, line.middle], 1)
    forward = direction == "forward"
    head = arrow_head(
        ax, points if forward else points[::-1], line.paint.weight * em, forward=forward
    )
    if head is None:
        return None
    style = {"markersize": head.size, "color": line.paint.color, **HEAD}
    style["gid"] = gid(ax, line, "arrow")
    ax.plot(*head.end, marker=head.shape, label=f"arrow {line.index}", **style)
    return head.tip


def arrow_head(ax: Axes, points: FloatArray, weight: float, *, forward: bool) -> Head | None:
    """Return the arrow head of a pass where it is last seen in the panel; None where it never is.

    Args:
        ax: The panel.
        points: Layers and values in the order of the pass, (n, 2).
        weight: Factor of its size, that of the line.
        forward: Whether the pass goes to the right.
    """
    low, high = ax.get_ylim()
    seen = points[(points[:, 1] >= low) & (points[:, 1] <= high)]
    if len(seen) == 0:  # off the scale: the arrow stands at its edge
        seen = points[np.isfinite(points[:, 1])]
    if len(seen) == 0:
        return None
    path = ax.transData.transform(seen)
    length = HEAD_LENGTH * weight * ax.figure.dpi / 72
    (x0, y0), (x, y) = _behind(path, length), path[-1]
    angle = math.atan2(y - y0, (x - x0) or (1 if forward else -1))
    along = np.array([math.cos(angle), math.sin(angle)])
    shape = HEAD_SHAPE @ [along, [-along[1], along[0]]]
    end = float(seen[-1, 0]), float(np.clip(seen[-1, 1], low, high))
    # matplotlib scales a marker by its largest coordinate, which depends on the angle.
    size = HEAD_LENGTH * weight * abs(shape).max()
    reach = ax.transData.transform(end) + length / 2 * along
    x_tip, y_tip = ax.transData.inverted().transform(reach)
    return Head(shape, size, end, (float(x_tip), float(y_tip)))


def _behind(path: FloatArray, length: float) -> FloatArray:
    """Return the place on a path, in pixels (n, 2), that is so far from its end; else its start."""
    distances = np.hypot(*(path - path[-1]).T)
    beyond = np.flatnonzero(distances >= length)
    if len(beyond) == 0:
        start: FloatArray = path[0]
        return start
    i = beyond[-1]
    share = (distances[i] - length) / (distances[i] - distances[i + 1])
    place: FloatArray = path[i] + share * (path[i + 1] - path[i])
    return place


def _draw_published(ax: Axes, drawn: list[Curve], direction: Pass, sheet: Sheet) -> None:
    """Draw every fourth point of Figure 7.4 as printed, in the ink of its condition or grey."""
    for variance, points in curves.load_published(direction).items():
        inks = [
            curve.paint.ink
            for curve in drawn
            if np.isclose(curve.condition.weight_variances, variance, 1e-9, 0.0).all()
        ]
        style = {"markeredgecolor": inks[0] if inks else sheet.grey(0.5), **STYLES["published"]}
        style |= {"markersize": 5 * sheet.em, "markerfacecolor": sheet.ground}
        style["gid"] = f"{direction}-published-{variance:g}"
        ax.plot(*points[::4].T, label=f"published {variance:g}", **style)
