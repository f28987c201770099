"""Where labels may stand in a diagram: beside what they name, on nothing else. Never saves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from numpy.typing import NDArray

from heinit_sim.numerics import FloatArray

Pixels = NDArray[np.complex128]  # x + iy: what a label must not cover

CLEAR = 4  # pixels between a label and anything else
STEP = 3  # pixels between the points that stand for a line or a text


@dataclass(frozen=True)
class Spot:
    """Where a label may stand: an offset in points from a point in data coordinates."""

    point: tuple[float, float]
    offset: tuple[float, float]
    ha: str
    va: str
    rotation: float = 0.0


def around(point: tuple[float, float]) -> list[Spot]:
    """Level labels above a circle, right and left of it."""
    offsets = ((0, 9, "center", "bottom"), (10, 0, "left", "center"), (-10, 0, "right", "center"))
    return [Spot(point, (x, y), ha, va) for x, y, ha, va in offsets]


def slanted(point: tuple[float, float]) -> list[Spot]:
    """Labels that climb from a circle to either side: they need less room beside each other."""
    right = Spot(point, (11, 7), "left", "baseline", 35.0)
    return [right, Spot(point, (-11, 7), "right", "baseline", -35.0)]


def beside(points: FloatArray) -> list[Spot]:
    """Level labels at either side of a line (n, 2) with ascending y, best at its upper end."""
    heights = points[-1, 1] * np.linspace(0.96, 0.2, 20)
    at = zip(np.interp(heights, points[:, 1], points[:, 0]).tolist(), heights.tolist(), strict=True)
    sides = ((7, "left"), (-7, "right"))
    return [Spot(point, (x, 0), ha, "center") for point in at for x, ha in sides]


def pixels_along(ax: Axes, points: FloatArray) -> Pixels:
    """Points every few pixels along a line (n, 2)."""
    corners = ax.transData.transform(points) @ [1, 1j]
    lengths = np.append(0, np.cumsum(abs(np.diff(corners))))
    at = np.append(np.arange(0, lengths[-1], STEP), lengths[-1])
    x, y = (np.interp(at, lengths, part) for part in (corners.real, corners.imag))
    return np.asarray(x + 1j * y, complex)


def write_labels(
    ax: Axes,
    labels: Sequence[tuple[str, str, Sequence[Spot]]],
    taken: Pixels,
    ground: str = "white",
    **style: Any,
) -> Pixels | None:
    """Write every label inside the panel where it covers nothing, or none of them.

    Args:
        ax: The panel, with its final scales.
        labels: Text, colour and spots of each label, the best spot first.
        taken: What must not be covered.
        ground: The colour behind the panel, which a halo of every text has.
        style: Of all texts.

    Returns:
        `taken` with the labels, or None where nothing was written.
    """
    written: list[Annotation] = []
    box = ax.get_window_extent()
    for text, color, spots in labels:
        for spot in spots:
            style |= {"ha": spot.ha, "va": spot.va, "rotation": spot.rotation, "color": color}
            style |= {"rotation_mode": "anchor", "zorder": 6}
            style["path_effects"] = [withStroke(linewidth=2.5, foreground=ground)]
            note = ax.annotate(text, spot.point, spot.offset, textcoords="offset points", **style)
            pixels = _pixels_of(ax, note, spot)
            x, y = pixels.real, pixels.imag
            inside = box.x0 < x.min() and x.max() < box.x1 and box.y0 < y.min() and y.max() < box.y1
            if inside and abs(np.subtract.outer(pixels, taken)).min() >= CLEAR:
                written.append(note)
                taken = np.append(taken, pixels)
                break
            note.remove()
        else:
            for note in written:
                note.remove()
            return None
    return taken


def _pixels_of(ax: Axes, note: Annotation, spot: Spot) -> Pixels:
    """Points every few pixels in the box of a text, as it is turned."""
    note.set_rotation(0)
    box = note.get_window_extent()
    note.set_rotation(spot.rotation)
    x = np.linspace(box.x0, box.x1, 2 + int(box.width / STEP))
    y = np.linspace(box.y0, box.y1, 2 + int(box.height / STEP))
    level = np.add.outer(x, 1j * y).ravel()
    offset = complex(*spot.offset) * ax.figure.dpi / 72
    anchor = complex(*ax.transData.transform(spot.point)) + offset
    turned: Pixels = anchor + (level - anchor) * np.exp(1j * math.radians(spot.rotation))
    return turned
