"""How a line of a figure is drawn: thick as measured, thin as predicted. Never saves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from heinit_sim.numerics import FloatArray

BAND: dict[str, Any] = {"alpha": 0.18, "linewidth": 0}
MEDIAN: dict[str, Any] = {"solid_capstyle": "butt", "zorder": 3}
CASING = [withStroke(linewidth=1.5, foreground="white")]  # else theory is lost on a dark median
THEORY: dict[str, Any] = {"linewidth": 0.8, "zorder": 4, "path_effects": CASING}
PREDICTED: dict[str, Any] = {"linewidth": 1.2, "dashes": (1, 2), "zorder": 4}
BAND_SHOWS = 0.05  # of the height of a panel


@dataclass(frozen=True)
class Paint:
    """Colours and weight that tell a line from the others of its panel."""

    color: FloatArray
    ink: FloatArray  # the colour, darkened for text
    weight: float  # of lines: 1, or less where many must fit


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


def paints(count: int) -> list[Paint]:
    """Return so many colours, ever lighter: a grey print or a colour-blind eye keeps the order."""
    colors = matplotlib.colormaps["plasma"](np.linspace(0.1, 0.82, count))
    weight = min(1.0, (7 / count) ** 0.6)
    return [Paint(color, color * (0.6, 0.6, 0.6, 1.0), weight) for color in colors]


def draw_line(ax: Axes, line: Line, *, marked: bool = False) -> None:
    """Draw the band, the thick line and the thin one, with circles at the points if `marked`."""
    low = np.where(np.isneginf(line.low), ax.get_ylim()[0], line.low)
    color, weight = line.paint.color, line.paint.weight
    shown = (np.isfinite(low) & np.isfinite(line.high)).tolist()
    style = {"color": color, "label": f"band {line.index}", **BAND}
    ax.fill_between(line.x, low, line.high, where=shown, **style)
    style = {"color": color, "linewidth": 4 * weight, **MEDIAN}
    if marked:
        style |= {"marker": "o", "markersize": 8 * weight, "markeredgewidth": 0, "clip_on": False}
    plot(ax, line, line.middle, "median", **style)
    plot(ax, line, line.theory, "theory", color=line.paint.ink, **THEORY)


def plot(ax: Axes, line: Line, values: FloatArray, name: str, **style: Any) -> None:
    """Draw other values of a line, under its name and number; what is not finite leaves a gap."""
    finite = np.where(np.isfinite(values), values, np.nan)
    ax.plot(line.x, finite, label=f"{name} {line.index}", **style)


def of_panels(a: str, b: str, between: str = ", ") -> str:
    """Return what is said of both panels: once where it is the same, else after their letters."""
    parts = (f"{name}: {text}" for name, text in (("a", a), ("b", b)) if text)
    return a if a == b else between.join(parts)


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
