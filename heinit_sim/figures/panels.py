"""Two mirrored panels, one per pass: their style, layout and labels. Never prints, never saves."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.axis_scales import TICK_SIZE, Scale, labels_fit, text_width
from heinit_sim.figures.lines import Line, band_styles, draw_line, draw_predicted
from heinit_sim.numerics import FloatArray

# A user's own matplotlibrc must not leak in, neither when drawing nor when saving.
STYLE: dict[Any, Any] = {k: v for k, v in matplotlib.rcParamsDefault.items() if k != "backend"} | {
    "svg.hashsalt": "heinit-sim",  # else the ids in an SVG are random
    "pdf.fonttype": 42,  # else some publishers refuse the fonts
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.titlesize": 18,
    "axes.labelsize": 14,
    "xtick.labelsize": TICK_SIZE,
    "xtick.major.pad": 6.5,  # else the last layer meets the lowest decade
    "ytick.labelsize": TICK_SIZE,
}
LEADER: dict[str, Any] = {"arrowstyle": "-", "linewidth": 0.8, "shrinkA": 2, "shrinkB": 1}
WIDTH, HEIGHT, TOP, BOTTOM, OUTER, MIDDLE = 864, 389, 70, 80, 24, 20  # points (1/72 in), as below
GAP = 27  # from a panel to its labels: room for an arrow head and a leader
BELOW = 42  # how far under the panels the column of labels may reach
LABEL_SIZE, LABEL_WIDTH, LABEL_HEIGHT = 14, 150, 1.55
CAPTION_SIZE = 11.5
TITLES: dict[Pass, str] = {"forward": "a)  Forward pass", "backward": "b)  Backward pass"}
SIDES: dict[Pass, Literal["left", "right"]] = {"forward": "left", "backward": "right"}
Tip = tuple[float, float] | None  # where a line ends, in data coordinates; None if unseen


@dataclass(frozen=True)
class Panel:
    """The axes of one pass."""

    x: Scale
    x_label: str
    y: Scale
    y_label: str
    title: str = ""  # if it is not simply the name of the pass


@contextmanager
def saving() -> Iterator[None]:
    """Draw or save a figure: the same under any user's settings.

    A letter of a file's name that the font lacks is a box, and no warning.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def label_size(texts: Sequence[str]) -> float:
    """Return the font size at which the labels of both panels fit side by side and stacked."""
    widest = max(1.0, *map(text_width, texts))
    room = HEIGHT - TOP - BOTTOM + BELOW
    return min(LABEL_SIZE, LABEL_WIDTH / widest, room / LABEL_HEIGHT / (len(texts) / 2))


def lay_out(panels: Mapping[Pass, Panel], texts: Sequence[str]) -> Figure:
    """Lay out two mirrored panels: scales outside, the labels of both between."""
    ticks = [text for panel in panels.values() for text in panel.y.labels]
    outer = OUTER + TICK_SIZE * max(map(text_width, ticks), default=0.0)
    inner = GAP + label_size(texts) * max(map(text_width, texts))
    width = WIDTH / 2 - outer - inner - MIDDLE / 2
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    for direction, panel in panels.items():
        title = panel.title or TITLES[direction]
        ax = add_panel(figure, direction, outer, width, title, panel.y_label)
        ax.set_xlim(panel.x.limits)
        ax.set_ylim(panel.y.limits)
        steps = range(1, len(panel.x.ticks) + 1)
        thinned = (Scale(panel.x.limits, panel.x.ticks[::n], panel.x.labels[::n]) for n in steps)
        x = next(scale for scale in thinned if labels_fit(scale, width, TICK_SIZE / 3))
        ax.set_xticks(x.ticks, x.labels)
        ax.set_yticks(panel.y.ticks, panel.y.labels)
        ax.spines["right" if direction == "forward" else "left"].set_visible(False)
        ax.grid(axis="y", color="0.9", linewidth=0.8)
        ax.set_xlabel(panel.x_label)
    return figure


def add_panel(
    figure: Figure, direction: Pass, outer: float, width: float, title: str, y_label: str
) -> Axes:
    """Add an empty panel, `width` points wide and `outer` points from its side of the figure.

    Title and scale are on that side, the label of the scale lies level above it.
    """
    side, forward = SIDES[direction], direction == "forward"
    left = outer if forward else WIDTH - outer - width
    height = HEIGHT - TOP - BOTTOM
    ax = figure.add_axes((left / WIDTH, BOTTOM / HEIGHT, width / WIDTH, height / HEIGHT))
    ax.yaxis.set_ticks_position(side)
    ax.set_title(title, loc=side, pad=33, fontweight="bold")
    ax.set_ylabel(y_label, rotation=0, ha=side)
    ax.yaxis.set_label_coords(0 if forward else 1, 1.05)
    return ax


def write_names(
    ax: Axes, lines: Sequence[Line], tips: Sequence[Tip], direction: Pass, size: float
) -> None:
    """Name the lines beside their tips, with leaders where a name was moved."""
    (low, high), box = ax.get_ylim(), ax.get_position()
    height, gap = box.height * HEIGHT, GAP / (box.width * WIDTH)
    forward = direction == "forward"
    edge, x, sign = (ax.get_xlim()[1], 1 + gap, 1) if forward else (ax.get_xlim()[0], -gap, -1)
    wanted = np.array([(tip[1] - low) / (high - low) * height if tip else 0.0 for tip in tips])
    placed = spread_out(wanted, size * LABEL_HEIGHT, -BELOW, height)
    for line, tip, moved, y in zip(lines, tips, abs(placed - wanted), placed, strict=True):
        leader = None
        if line.label and tip and (moved > 3 or sign * tip[0] < sign * edge):
            leader = {"color": line.paint.ink, "relpos": (sign < 0, 0.5), **LEADER}
        style: dict[str, Any] = {"fontsize": size, "color": line.paint.ink, "va": "center"}
        style |= {"textcoords": "axes fraction", "annotation_clip": False, "arrowprops": leader}
        place, ha = (x, y / height), "left" if sign > 0 else "right"
        ax.annotate(line.label, tip or (edge, low), place, ha=ha, **style)


def write_caption(figure: Figure, text: str) -> None:
    """Write one line under the panels."""
    size = min(CAPTION_SIZE, (WIDTH - 2 * OUTER) / text_width(text))
    figure.text(OUTER / WIDTH, 15 / HEIGHT, text, fontsize=size, color="0.25")


def spread_out(wanted: FloatArray, gap: float, low: float, high: float) -> FloatArray:
    """Move positions as little as possible (least squares) until neighbours are a gap apart."""
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    blocks: list[tuple[float, int]] = []  # of positions that touch: their sum and number
    for total in wanted[order] - steps:
        count = 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            total, count = total + blocks[-1][0], count + blocks.pop()[1]
        blocks.append((total, count))
    levels = np.concatenate([np.full(count, total / count) for total, count in blocks])
    placed = np.empty_like(wanted)
    placed[order] = np.clip(levels, low, high - steps[-1]) + steps
    return placed


def last_seen(ax: Axes, line: Line, direction: Pass) -> Tip:
    """Return where the line is last seen on its way to its name."""
    low, high = ax.get_ylim()
    seen = np.flatnonzero((line.middle >= low) & (line.middle <= high))
    if len(seen) == 0:
        return None
    at = seen[-1 if direction == "forward" else 0]
    return float(line.x[at]), float(line.middle[at])


def draw_panels(
    panels: Mapping[Pass, Panel],
    lines: Mapping[Pass, Sequence[Line]],
    *,
    marked: bool = False,
    banded: bool = False,
    tip_of: Callable[[Axes, Line, Pass], Tip] = last_seen,
) -> Figure:
    """Draw the lines of each pass into its panel.

    Args:
        panels: The axes of both passes.
        lines: The lines of both, under the same labels.
        marked: With circles at the points.
        banded: With predicted bands.
        tip_of: Where a line ends, and what is drawn there.
    """
    labels = [line.label for direction in panels for line in lines[direction]]
    figure = lay_out(panels, labels)
    for ax, direction in zip(figure.axes, panels, strict=True):
        bands = band_styles(lines[direction])
        for line, band in zip(lines[direction], bands, strict=True):
            draw_line(ax, line, marked=marked, band=band)
            if banded:
                draw_predicted(ax, line)
        tips = [tip_of(ax, line, direction) for line in lines[direction]]
        write_names(ax, lines[direction], tips, direction, label_size(labels))
    return figure
