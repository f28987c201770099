"""How a line of a figure is drawn: thick as measured, thin as predicted. Never saves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from heinit_sim.figures.look.painting import Paint
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.numerics import FloatArray

STYLES: Mapping[str, dict[str, Any]] = {
    "band": {"alpha": 0.18, "linewidth": 0},
    "median": {"linewidth": 4, "solid_capstyle": "butt", "zorder": 3},
    "theory": {"linewidth": 0.8, "zorder": 4},
    "predicted": {"linewidth": 1.2, "dashes": (1, 2), "zorder": 4},
    "forward": {"linewidth": 1.4, "dashes": (4, 2.5), "zorder": 2},
    "published": {"marker": "o", "linestyle": "", "markersize": 5, "zorder": 6},
    "outline": {"linewidth": 0.8, "zorder": 2},
    "stable": {"alpha": 0.18, "linewidth": 0},
    "limit": {"linewidth": 1.2, "dashes": (6, 2, 1, 2), "zorder": 1.5},
    "ridge": {"alpha": 0.45, "linewidth": 0},
}
"""Name in the key -> how it is drawn, in points of the default figure."""
AREAS = ("band", "stable", "ridge")
CASING = 1.5  # points of the ground around theory, else it is lost on a dark median
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
    short: str  # the label under the heading of all
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


def sample(name: str, em: float) -> dict[str, Any]:
    """Return how a line, an area or a circle of that name is drawn in the key."""
    style = {**STYLES[name], "zorder": 3}
    if name == "published":
        style |= {"markersize": 5 * em, "markerfacecolor": "none"}
        return style
    return style | {"linewidth": style["linewidth"] * em}


def pattern(paint: Paint) -> dict[str, Any]:
    """Return the dashes of a median; none where it is solid."""
    return {"dashes": paint.dashes, "dash_capstyle": "butt"} if paint.dashes else {}


def gid(ax: Axes, line: Line, name: str) -> str:
    """Return the id of an artist in an SVG, e.g. "condition-2-median", once for each panel."""
    figure = ax.get_figure()
    second = ax.get_gid() == "backward" and figure is not None and len(figure.axes) > 1
    return f"condition-{line.index}-{name}" + "-backward" * second


def draw_line(
    ax: Axes, line: Line, sheet: Sheet, *, marked: bool = False, band: BandStyle = "filled"
) -> None:
    """Draw the band, the thick line and the thin one, with circles at the points if `marked`."""
    low = np.where(np.isneginf(line.low), ax.get_ylim()[0], line.low)
    color, weight = line.paint.color, line.paint.weight * sheet.em
    shown = (np.isfinite(low) & np.isfinite(line.high)).tolist()
    if band == "filled":
        style = {**STYLES["band"], "color": color, "gid": gid(ax, line, "band")}
        ax.fill_between(line.x, low, line.high, where=shown, label=f"band {line.index}", **style)
    elif band == "outline":
        style = {**STYLES["outline"], "linewidth": STYLES["outline"]["linewidth"] * sheet.em}
        for name, values in (("low", low), ("high", line.high)):
            plot(ax, line, values, f"band {name}", color=color, **style)
    style = {"color": color, **STYLES["median"], "linewidth": 4 * weight, **pattern(line.paint)}
    if marked or line.paint.marker:
        style |= {"marker": line.paint.marker or "o", "markersize": 8 * weight}
        style |= {"markeredgewidth": 0, "clip_on": False}
    if not marked:
        style["markevery"] = math.ceil(len(line.x) / MARKS)
    plot(ax, line, line.middle, "median", **style)
    casing = [withStroke(linewidth=CASING * sheet.em, foreground=sheet.ground)]
    style = {**STYLES["theory"], "linewidth": 0.8 * sheet.em, "path_effects": casing}
    plot(ax, line, line.theory, "theory", color=line.paint.ink, **style)


def plot(ax: Axes, line: Line, values: FloatArray, name: str, **style: Any) -> None:
    """Draw other values of a line, under its name and number; what is not finite leaves a gap."""
    finite = np.where(np.isfinite(values), values, np.nan)
    identity = gid(ax, line, name.replace(" ", "-"))
    ax.plot(line.x, finite, label=f"{name} {line.index}", gid=identity, **style)


def bands_show(lines: Sequence[Line], limits: tuple[float, float]) -> bool:
    """Whether predicted bands are wide enough to be told from their median."""
    known = [line.predicted for line in lines if line.predicted is not None]
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where networks are dead
        widths = [np.nanmax(high - low, initial=0.0) for low, _, high in known]
    return bool(widths) and max(widths) > BAND_SHOWS * (limits[1] - limits[0])


def draw_predicted(ax: Axes, line: Line, sheet: Sheet) -> None:
    """Draw where networks of one input are predicted to lie: median and 5–95 %."""
    if line.predicted is not None:
        style = {**STYLES["predicted"], "linewidth": 1.2 * sheet.em}
        for name, values in zip(("p05", "p50", "p95"), line.predicted, strict=True):
            plot(ax, line, values, f"predicted {name}", color=line.paint.ink, **style)
