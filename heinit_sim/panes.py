"""Lines in two panels, named at the end their pass goes to. Never prints, never saves."""

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.frames import Name, Panel, label_size, lay_out, write_names
from heinit_sim.records import Pass
from heinit_sim.strokes import Line, draw_line, draw_predicted

Tip = tuple[float, float] | None
"""In data coordinates; None where nothing is seen of a line."""
ERRORS = 2
"""Standard errors that a band about a measured value reaches to either side."""


def draw_panes(
    panels: Mapping[Pass, Panel],
    lines: Mapping[Pass, list[Line]],
    *,
    marked: bool = False,
    banded: bool = False,
    tip_of: Callable[[Axes, Line, Pass], Tip] | None = None,
) -> Figure:
    """Draw the lines of each pass into its panel.

    Args:
        panels: The axes of both passes.
        lines: The lines of both, under the same labels.
        marked: With circles at the points.
        banded: With predicted bands.
        tip_of: Where a line ends, and what is drawn there; if not where it is last seen.
    """
    labels = [line.label for direction in panels for line in lines[direction]]
    figure = lay_out(panels, labels)
    for ax, direction in zip(figure.axes, panels, strict=True):
        for line in lines[direction]:
            draw_line(ax, line, marked=marked)
            if banded:
                draw_predicted(ax, line)
        names = [
            Name(line.label, line.paint.ink, (tip_of or _last_seen)(ax, line, direction))
            for line in lines[direction]
        ]
        write_names(ax, names, direction, label_size(labels))
    return figure


def gaps(lines: Mapping[Pass, list[Line]]) -> str:
    """Say how many points of each pass are missing, for networks died or left float range."""
    counts = {}
    for direction, drawn in lines.items():
        seen = np.concatenate([np.isfinite(line.middle) for line in drawn])
        if not seen.all():
            name = "a" if direction == "forward" else "b"
            counts[name] = f"{np.count_nonzero(~seen)} of {len(seen)}"
    if len(counts) == 2 and len(set(counts.values())) == 1:
        counts = {"": counts["a"]}
    parts = ", ".join(f"{name}: {count}" if name else count for name, count in counts.items())
    return f" Not shown, dead or out of range: {parts}." if counts else ""


def _last_seen(ax: Axes, line: Line, direction: Pass) -> Tip:
    """Where the line is last seen on its way to its name."""
    low, high = ax.get_ylim()
    seen = np.flatnonzero((line.middle >= low) & (line.middle <= high))
    if len(seen) == 0:
        return None
    at = seen[-1 if direction == "forward" else 0]
    return float(line.x[at]), float(line.middle[at])
