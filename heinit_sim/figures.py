"""A result as a matplotlib figure: both passes, layer by layer. Never prints, never saves."""

import math
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from heinit_sim.curves import (
    QUANTITIES,
    Curve,
    caption_of,
    curves_of,
    decade_ticks,
    fitted_limits,
    load_published,
    spread_out,
)
from heinit_sim.records import Pass, SweepPrediction, SweepResult

Array = NDArray[np.float64]

# A user's own matplotlibrc must not leak in, neither when drawing nor when saving.
STYLE: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"} | {
    "svg.hashsalt": "heinit-sim",  # else the ids in an SVG are random
    "pdf.fonttype": 42,  # else some publishers refuse the fonts
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.titlesize": 18,
    "axes.labelsize": 14,
    "xtick.labelsize": 13,
    "xtick.major.pad": 6.5,  # else the last layer meets the lowest decade
    "ytick.labelsize": 13,
}
BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
BEHIND: dict[str, Any] = {"linewidth": 1.4, "dashes": (4, 2.5), "zorder": 2}
MEDIAN: dict[str, Any] = {"solid_capstyle": "butt", "zorder": 3}
CASING = [withStroke(linewidth=1.5, foreground="white")]  # else theory is lost on a dark median
THEORY: dict[str, Any] = {"linewidth": 0.8, "zorder": 4, "path_effects": CASING}
PREDICTED: dict[str, Any] = {"linewidth": 1.2, "dashes": (1, 2), "zorder": 4}
BAND_SHOWS = 0.05  # of the height of a panel
HEAD: dict[str, Any] = {"markeredgewidth": 0, "zorder": 5, "clip_on": False}
HEAD_SHAPE = np.array([(-0.15, 0.0), (-0.4, 0.5), (1.0, 0.0), (-0.4, -0.5)])
CIRCLE: dict[str, Any] = {"marker": "o", "linestyle": "", "markerfacecolor": "w", "zorder": 6}
LEADER: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 2, "shrinkB": 1}
WIDTH, HEIGHT, TOP, BOTTOM, OUTER, MIDDLE = 864, 389, 70, 80, 24, 20  # points (1/72 in), as below
GAP = 27  # from a panel to its labels: room for an arrow head and a leader
BELOW = 42  # how far under the panels the column of labels may reach
LABEL_SIZE, LABEL_WIDTH, LABEL_HEIGHT = 14, 150, 1.55
TITLES: dict[Pass, str] = {"forward": "a)  Forward pass", "backward": "b)  Backward pass"}
SIDES: dict[Pass, Literal["left", "right"]] = {"forward": "left", "backward": "right"}
SYMBOLS: dict[Pass, str] = {"forward": "$h_k$", "backward": r"$\partial\ell/\partial h_k$"}
WORDS = {"variance": "Variance", "second_moment": "Second moment", "std": "Standard deviation"}


def draw_forward_backward(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the variance of h_k and of ∂ℓ/∂h_k against the layer k, one panel per pass.

    Args:
        result: The sweep, or what is predicted of it; `result.config.figure` says which
            statistic, range and overlay.

    Returns:
        The figure; save it `with saving():`.
    """
    with matplotlib.rc_context(STYLE):
        config = result.config.figure
        forward, backward = (curves_of(result, direction) for direction in QUANTITIES)
        limits = config.decades or fitted_limits(forward + backward)
        label_size = _label_size(forward + backward)
        figure = _frame(forward + backward, config.quantity, limits, label_size)
        banded = _bands_show(forward + backward, limits)
        for ax, direction, curves in zip(figure.axes, QUANTITIES, (forward, backward), strict=True):
            for curve in curves:
                _draw_curve(ax, curve)
                if banded:
                    _draw_predicted(ax, curve)
            if config.overlay:
                _draw_published(ax, curves, direction)
            _draw_ends(ax, curves, direction, label_size)
        for curve in forward:
            _plot(figure.axes[1], curve, curve.seen.median, "behind", color=curve.color, **BEHIND)
        caption = caption_of(forward, backward, result, banded=banded)
        size = min(11.5, (WIDTH - 2 * OUTER) / _text_width(caption))
        figure.text(OUTER / WIDTH, 15 / HEIGHT, caption, fontsize=size, color="0.25")
    return figure


def saving() -> AbstractContextManager[None]:
    """Return the context in which to save a figure: the same bytes under any user's settings."""
    return matplotlib.rc_context(STYLE)


@cache
def _text_width(text: str) -> float:
    """Return the width of a line of text per point of font size."""
    return float(TextPath((0, 0), text, size=1).get_extents().width)


def _label_size(curves: list[Curve]) -> float:
    """Return the font size at which the labels fit between the panels, side by side and stacked."""
    widest = max(_text_width(curve.label) for curve in curves)
    room = HEIGHT - TOP - BOTTOM + BELOW
    return min(LABEL_SIZE, LABEL_WIDTH / widest, room / LABEL_HEIGHT / (len(curves) / 2))


def _frame(
    curves: list[Curve], quantity: str, limits: tuple[float, float], label_size: float
) -> Figure:
    """Lay out two mirrored panels: scales outside, labels between, the arrows pointing at them."""
    depth = max(curve.condition.depth for curve in curves)
    layers = [k for k in MaxNLocator(5, integer=True).tick_values(0, depth) if k <= depth]
    decades, decade_labels = decade_ticks(*limits)
    outer = OUTER + 13 * max(map(_text_width, decade_labels))
    inner = GAP + label_size * max(_text_width(curve.label) for curve in curves)
    width = WIDTH / 2 - outer - inner - MIDDLE / 2
    bottom, height = BOTTOM / HEIGHT, 1 - (TOP + BOTTOM) / HEIGHT
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    for direction, side in SIDES.items():
        first = direction == "forward"
        left = outer if first else WIDTH - outer - width
        ax = figure.add_axes((left / WIDTH, bottom, width / WIDTH, height))
        ax.set_xlim((-0.02 * depth, depth) if first else (0, 1.02 * depth))
        ax.set_ylim(limits)
        ax.set_xticks(layers, [f"{k:,.0f}" for k in layers])
        ax.set_yticks(decades, decade_labels)
        ax.yaxis.set_ticks_position(side)
        ax.spines["right" if first else "left"].set_visible(False)
        ax.grid(axis="y", color="0.9", linewidth=0.8)
        ax.set_title(TITLES[direction], loc=side, pad=33, fontweight="bold")
        ax.set_xlabel("Layer, $k$")
        ax.set_ylabel(f"{WORDS[quantity]} of {SYMBOLS[direction]}", rotation=0, ha=side)
        ax.yaxis.set_label_coords(0 if first else 1, 1.05)
    return figure


def _plot(ax: Axes, curve: Curve, values: Array, name: str, **style: Any) -> None:
    finite = np.where(np.isfinite(values), values, np.nan)  # NaN leaves a gap
    ax.plot(curve.layers, finite, label=f"{name} {curve.condition.index}", **style)


def _draw_curve(ax: Axes, curve: Curve) -> None:
    """Draw the band, the median and the theory of one condition."""
    p05 = np.where(np.isneginf(curve.seen.p05), ax.get_ylim()[0], curve.seen.p05)
    shown = np.isfinite(curve.seen.p95).tolist()
    style = {"color": curve.color, "label": f"band {curve.condition.index}", **BAND}
    ax.fill_between(curve.layers, p05, curve.seen.p95, where=shown, **style)
    style = {"color": curve.color, "linewidth": 4 * curve.weight, **MEDIAN}
    _plot(ax, curve, curve.seen.median, "median", **style)
    _plot(ax, curve, curve.theory, "theory", color=curve.ink, **THEORY)


def _bands_show(curves: list[Curve], limits: tuple[float, float]) -> bool:
    """Whether predicted bands are wide enough to be told from their median."""
    known = [curve.predicted for curve in curves if curve.predicted is not None]
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where networks are dead
        widths = [np.nanmax(high - low, initial=0.0) for low, _, high in known]
    return bool(widths) and max(widths) > BAND_SHOWS * (limits[1] - limits[0])


def _draw_predicted(ax: Axes, curve: Curve) -> None:
    """Draw where networks of one input are predicted to lie: median and 5–95 %."""
    if curve.predicted is not None:
        for name, values in zip(("p05", "p50", "p95"), curve.predicted, strict=True):
            _plot(ax, curve, values, f"predicted {name}", color=curve.ink, **PREDICTED)


def _draw_arrow(ax: Axes, curve: Curve, direction: Pass) -> tuple[float, float] | None:
    """Draw an arrow head where the pass is last seen in the panel, and return its tip."""
    low, high = ax.get_ylim()
    median = curve.seen.median
    seen = np.flatnonzero((median >= low) & (median <= high))
    if len(seen) == 0:  # off the scale: the arrow stands at its edge
        seen = np.flatnonzero(np.isfinite(median))
    if len(seen) == 0:
        return None
    run, ahead = (seen, 1) if direction == "forward" else (seen[::-1], -1)
    trail = run[[-min(len(run), 1 + math.ceil(len(run) / 20)), -1]]  # long enough to be steady
    (x0, y0), (x, y) = ax.transData.transform(np.stack([curve.layers[trail], median[trail]], 1))
    angle = math.atan2(y - y0, (x - x0) or ahead)
    along = np.array([math.cos(angle), math.sin(angle)])
    shape = HEAD_SHAPE @ [along, [-along[1], along[0]]]
    end = curve.layers[trail[1]], np.clip(median[trail[1]], low, high)
    # matplotlib scales a marker by its largest coordinate, which depends on the angle.
    style = {"markersize": 26 * curve.weight * abs(shape).max(), "color": curve.color, **HEAD}
    ax.plot(*end, marker=shape, label=f"arrow {curve.condition.index}", **style)
    reach = 13 * curve.weight * ax.figure.dpi / 72 * along
    tip = ax.transData.inverted().transform(ax.transData.transform(end) + reach)
    return float(tip[0]), float(tip[1])


def _draw_ends(ax: Axes, curves: list[Curve], direction: Pass, size: float) -> None:
    """Draw the arrow heads and name the curves beside them, with leaders where moved."""
    (low, high), box = ax.get_ylim(), ax.get_position()
    height, gap = box.height * HEIGHT, GAP / (box.width * WIDTH)
    edge, x, sign = (ax.get_xlim()[1], 1 + gap, 1) if direction == "forward" else (0.0, -gap, -1)
    tips = [_draw_arrow(ax, curve, direction) for curve in curves]
    wanted = np.array([(tip[1] - low) / (high - low) * height if tip else 0.0 for tip in tips])
    placed = spread_out(wanted, size * LABEL_HEIGHT, -BELOW, height)
    for curve, tip, moved, y in zip(curves, tips, abs(placed - wanted), placed, strict=True):
        leader = None
        if tip and (moved > 3 or sign * tip[0] < sign * edge):
            leader = {"color": curve.ink, "relpos": (sign < 0, 0.5), **LEADER}
        ax.annotate(
            curve.label,
            tip or (edge, low),
            (x, y / height),
            textcoords="axes fraction",
            arrowprops=leader,
            annotation_clip=False,
            fontsize=size,
            color=curve.ink,
            ha="left" if sign > 0 else "right",
            va="center",
        )


def _draw_published(ax: Axes, curves: list[Curve], direction: Pass) -> None:
    """Draw every fourth point of Figure 7.4 as printed, in the ink of its condition or grey."""
    for variance, points in load_published(direction).items():
        close = (np.isclose(c.condition.weight_variances, variance, 1e-9, 0.0) for c in curves)
        inks = [curve.ink for curve, same in zip(curves, close, strict=True) if same.all()]
        style = {"markeredgecolor": inks[0] if inks else "0.5", "markersize": 5, **CIRCLE}
        ax.plot(*points[::4].T, label=f"published {variance:g}", **style)
