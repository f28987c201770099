"""Names of lines beside their tips, and leaders from one to the other. Never saves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.axes import lines as strokes
from heinit_sim.figures.axes.lines import Line
from heinit_sim.figures.frame import Tag, points_of
from heinit_sim.figures.layout import (
    GAP,
    Layout,
)
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.text_size import line_height, text_width
from heinit_sim.numerics import FloatArray

LEADER: dict[str, Any] = {"linewidth": 0.8, "solid_capstyle": "butt", "zorder": 5}
Tip = tuple[float, float] | None  # where a line ends, in data coordinates; None if unseen


def write_beside(
    ax: Axes,
    sheet: Sheet,
    layout: Layout,
    lines: Sequence[Line],
    tips: Sequence[Tip],
    direction: Pass,
) -> None:
    """Name the lines beside their tips, with leaders where a name was moved."""
    box, size = layout.cells[direction].box, layout.size
    forward = direction == "forward"
    x = box.left + box.width + GAP * sheet.em if forward else box.left - GAP * sheet.em
    places = [_in_points(ax, tip) for tip in tips]
    wanted = np.array([place[1] if place else box.bottom for place in places])
    gap = size * line_height(line.label for line in lines)
    placed = spread_out(wanted, gap, box.bottom, box.bottom + box.height)
    edge = box.left + box.width if forward else box.left
    for line, place, y in zip(lines, places, placed, strict=True):
        _write(ax, line, line.label, (x, y), size, "left" if forward else "right")
        inside = place and (place[0] < edge if forward else place[0] > edge)
        if place and (abs(place[1] - y) > 3 * sheet.em or inside):
            _lead(ax, line, place, (x + (-3 if forward else 3) * sheet.em, y), sheet)


def write_between(
    figure: Figure,
    sheet: Sheet,
    layout: Layout,
    lines: Mapping[Pass, Sequence[Line]],
    tips: Mapping[Pass, Sequence[Tip]],
    tags: Sequence[Tag],
    heading: str,
) -> None:
    """Name the lines of both panels once, in the middle, with leaders to either side."""
    size, box = layout.size, layout.cells["forward"].box
    places = {
        direction: [_in_points(ax, tip) for tip in tips[direction]]
        for ax, direction in zip(figure.axes, lines, strict=True)
    }
    heights = [
        [place[1] for place in pair if place] or [box.bottom]
        for pair in zip(*places.values(), strict=True)
    ]
    texts = [tag.short for tag in tags]
    middle, gap = sheet.width / 2, size * line_height([*texts, heading])
    if heading:
        style: dict[str, Any] = {"fontsize": size, "ha": "center", "va": "center_baseline"}
        style |= {"transform": points_of(figure), "gid": "heading"}
        figure.text(middle, box.bottom + box.height, heading, **style)
    wanted = np.array([np.mean(pair) for pair in heights])
    placed = spread_out(wanted, gap, box.bottom, box.bottom + box.height - gap * bool(heading))
    ax = figure.axes[0]
    for i, (line, text, y) in enumerate(zip(lines["forward"], texts, placed, strict=True)):
        _write(ax, line, text, (middle, y), size, "center")
        half = text_width(text) * size / 2 + 3 * sheet.em
        for axes, direction in zip(figure.axes, lines, strict=True):
            place = places[direction][i]
            x = middle + (-half if direction == "forward" else half)
            if place:
                _lead(axes, lines[direction][i], place, (x, y), sheet)


def _in_points(ax: Axes, tip: Tip) -> tuple[float, float] | None:
    """Return a place of the data in points of the figure."""
    if tip is None:
        return None
    figure = ax.get_figure(root=True)
    assert figure is not None
    x, y = (ax.transData + points_of(figure).inverted()).transform(tip)
    return float(x), float(y)


def _write(
    ax: Axes, line: Line, text: str, place: tuple[float, float], size: float, ha: str
) -> None:
    figure = ax.get_figure(root=True)
    assert figure is not None
    style: dict[str, Any] = {"fontsize": size, "color": line.paint.ink, "ha": ha}
    gid = strokes.gid(ax, line, "name")
    style |= {"va": "center_baseline", "transform": points_of(figure), "gid": gid}
    ax.text(*place, text, **style)


def _lead(
    ax: Axes, line: Line, tip: tuple[float, float], start: tuple[float, float], sheet: Sheet
) -> None:
    """Draw a thin line from a name to the tip that it names."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    style = {**LEADER, "linewidth": 0.8 * sheet.em, "gid": strokes.gid(ax, line, "leader")}
    ends = zip(tip, start, strict=True)
    style |= {"color": line.paint.ink, "transform": points_of(figure), "clip_on": False}
    leader = Line2D(*map(list, ends), label=f"leader {line.index}", **style)
    ax.add_artist(leader)


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
    placed[order] = np.clip(levels, low, max(high - steps[-1], low)) + steps
    return placed


def first_panel_alone(ax: Axes, line: Line, direction: Pass, em: float) -> Tip:
    """Return where a line ends in the first panel: where both are of one pass, names stand once."""
    return last_seen(ax, line, direction, em) if direction == "forward" else None


def last_seen(ax: Axes, line: Line, direction: Pass, em: float = 1.0) -> Tip:
    """Return where the line is last seen on its way to its name."""
    low, high = ax.get_ylim()
    seen = np.flatnonzero((line.middle >= low) & (line.middle <= high))
    if len(seen) == 0:
        return None
    at = seen[-1 if direction == "forward" else 0]
    return float(line.x[at]), float(line.middle[at])
