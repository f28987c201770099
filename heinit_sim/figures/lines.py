"""How a line of a figure is drawn: thick as measured, thin as predicted. Never saves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from heinit_sim.figures.painting import Paint
from heinit_sim.numerics import FloatArray

BANDS: dict[str, dict[str, Any]] = {
    "filled": {"alpha": 0.18, "linewidth": 0},
    "outline": {"facecolor": "none", "linewidth": 0.8, "zorder": 2},
}
MEDIAN: dict[str, Any] = {"solid_capstyle": "butt", "zorder": 3}
CASING = [withStroke(linewidth=1.5, foreground="white")]  # else theory is lost on a dark median
THEORY: dict[str, Any] = {"linewidth": 0.8, "zorder": 4, "path_effects": CASING}
PREDICTED: dict[str, Any] = {"linewidth": 1.2, "dashes": (1, 2), "zorder": 4}
MARKS = 8  # on a line that has a marker of its own, at most
BandStyle = Literal["filled", "outline", "none"]
CROWD, OUTLINED = 4, 8  # bands that may lie on each other as areas, and as outlines
FAR = 1e9  # decades: off any scale
BAND_SHOWS = 0.05  # of the height of a panel


@dataclass(frozen=True)
class Line:
    """Values y against x of one condition, or of several along a swept number."""

    index: int
    label: str
    paint: Paint
    x: FloatArray
    middle: FloatArray
    low: FloatArray
    high: FloatArray
    theory: FloatArray  # NaN where there is none
    predicted: FloatArray | None = None  # 5 % quantile, median, 95 % quantile, (3, len(x))


def drawn_values(lines: Sequence[Line]) -> list[FloatArray]:
    """Return all that a range fitted to these lines should hold."""
    shown = [part for line in lines for part in (line.middle, line.low, line.high, line.theory)]
    return shown + [line.predicted for line in lines if line.predicted is not None]


def band_styles(lines: Sequence[Line]) -> list[BandStyle]:
    """Say how the band of each line is drawn: where too many lie on each other, they give way.

    A band is crowded that lies on `CROWD` others or more, at one height, over more than half of
    its length. Up to `OUTLINED` of these are outlines; of more, those of the lowest and the highest
    line are left.
    """
    if len(lines) <= CROWD:
        return ["filled"] * len(lines)
    x = np.unique(np.concatenate([line.x for line in lines]))
    low = np.array([_on(x, line.x, line.low) for line in lines])
    high = np.array([_on(x, line.x, line.high) for line in lines])
    there = low <= high  # NaN is nowhere
    on_others = np.zeros_like(there)
    for bottom in low:  # where most bands share a height, one of them begins at such a height
        sharing = (low <= bottom) & (bottom <= high)
        on_others |= sharing & (sharing.sum(0) > CROWD)
    crowded = np.flatnonzero(on_others.sum(1) > there.sum(1) / 2)
    styles: list[BandStyle] = ["filled"] * len(lines)
    order = sorted(crowded.tolist(), key=lambda n: float(np.nanmean(low[n] + high[n])))
    for n in order:
        left = len(order) <= OUTLINED or n in (order[0], order[-1])
        styles[n] = "outline" if left else "none"
    return styles


def _on(x: FloatArray, known: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate to other places; NaN beyond both ends. What is off any scale is far off."""
    bounded = np.nan_to_num(values, nan=np.nan, posinf=FAR, neginf=-FAR)
    return np.interp(x, known, bounded, left=np.nan, right=np.nan)


def draw_line(ax: Axes, line: Line, *, marked: bool = False, band: BandStyle = "filled") -> None:
    """Draw the band, the thick line and the thin one, with circles at the points if `marked`."""
    low = np.where(np.isneginf(line.low), ax.get_ylim()[0], line.low)
    color, weight = line.paint.color, line.paint.weight
    shown = (np.isfinite(low) & np.isfinite(line.high)).tolist()
    if band != "none":
        style = {"color": color, "label": f"band {line.index}", **BANDS[band]}
        ax.fill_between(line.x, low, line.high, where=shown, **style)
    style = {"color": color, "linewidth": 4 * weight, **MEDIAN}
    if line.paint.dashes:
        style["dashes"] = line.paint.dashes
    if marked or line.paint.marker:
        style |= {"marker": line.paint.marker or "o", "markersize": 8 * weight}
        style |= {"markeredgewidth": 0, "clip_on": False}
    if not marked:
        style["markevery"] = math.ceil(len(line.x) / MARKS)
    plot(ax, line, line.middle, "median", **style)
    plot(ax, line, line.theory, "theory", color=line.paint.ink, **THEORY)


def plot(ax: Axes, line: Line, values: FloatArray, name: str, **style: Any) -> None:
    """Draw other values of a line, under its name and number; what is not finite leaves a gap."""
    finite = np.where(np.isfinite(values), values, np.nan)
    ax.plot(line.x, finite, label=f"{name} {line.index}", **style)


def bands_show(lines: Sequence[Line], limits: tuple[float, float]) -> bool:
    """Whether predicted bands are wide enough to be told from their median."""
    known = [line.predicted for line in lines if line.predicted is not None]
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where networks are dead
        widths = [np.nanmax(high - low, initial=0.0) for low, _, high in known]
    return bool(widths) and max(widths) > BAND_SHOWS * (limits[1] - limits[0])


def draw_predicted(ax: Axes, line: Line) -> None:
    """Draw where networks of one input are predicted to lie: median and 5–95 %."""
    if line.predicted is not None:
        for name, values in zip(("p05", "p50", "p95"), line.predicted, strict=True):
            plot(ax, line, values, f"predicted {name}", color=line.paint.ink, **PREDICTED)
