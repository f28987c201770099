"""Histograms layer by layer, each a ridge above its baseline. Never prints, never saves."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Bins, Pass, Quantity
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.figures.axes.axis_scales import (
    Scale,
    decade_scale,
    plain_scale,
    with_most_ticks,
)
from heinit_sim.figures.axes.key import ridges_key
from heinit_sim.figures.axes.lines import pattern
from heinit_sim.figures.frame import Tag, begin, titled
from heinit_sim.figures.layout import MOST_TICKS, Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.shown import named_outcomes, names_of
from heinit_sim.numerics import FloatArray

CUT = 12  # times the lowest peak: what is taller is cut off, else the others would look flat
TAIL = 1e-3  # of the numbers of a ridge may lie beyond either end of the axis
SHOWN: dict[Pass, Quantity] = {"forward": "activation", "backward": "grad_preactivation"}
MOST_LAYERS, MOST_CONDITIONS = 12, 8  # more are not told apart
OVERLAP = 2.1  # the tallest ridge, in rows
LEAST = 0.5  # rows that are left above the first
FAINT = 0.01  # rows: what is lower is not told from its baseline
ROWS_SHARE, ROW = 0.65, 1.5  # of the height of a sheet, and font sizes of a row, at least
WORDS: dict[tuple[Bins, Pass], str] = {
    ("std", "forward"): "$h_k$, in standard deviations of $h_1$",
    ("std", "backward"): (
        r"$\partial\ell/\partial f_k$, in standard deviations of $\partial\ell/\partial f_{K-1}$"
    ),
    ("decades", "forward"): "$|h_k|$",
    ("decades", "backward"): r"$|\partial\ell/\partial f_k|$",
}


@dataclass(frozen=True)
class Ridge:
    """The numbers of one layer of one condition."""

    index: int  # place of its condition among those drawn
    layer: int
    edges: FloatArray  # of the bins, (n_bins + 1,)
    density: FloatArray  # share of the numbers that are not 0, per unit of the bins, (n_bins,)
    zeros: float  # share of the numbers that are 0; NaN where none was counted
    ends: tuple[float, float]  # edges that `TAIL` of the numbers lie beyond

    @property
    def peak(self) -> float:
        """The highest density."""
        return float(self.density.max())

    @property
    def inside(self) -> float:
        """Share of the numbers that are not 0 in the bins."""
        return float((self.density * np.diff(self.edges)).sum())


def ridge_of(outcome: ConditionResult, index: int, quantity: Quantity, layer: int) -> Ridge:
    """Return the histogram of one layer as a density; 0 throughout where all numbers are 0."""
    histogram = outcome.histograms[quantity]
    counts, edges = histogram.counts[layer], histogram.edges
    below, zero = int(histogram.below[layer]), int(histogram.zero[layer])
    total = int(counts.sum()) + below + int(histogram.above[layer])
    share = np.cumsum([below, *counts]) / max(total, 1)  # up to each edge
    low = int(np.searchsorted(share, TAIL, side="right")) - 1
    high = int(np.searchsorted(share, 1 - TAIL, side="left"))
    ends = float(edges[max(low, 0)]), float(edges[min(high, len(counts))])
    density = counts / max(total, 1) / np.diff(edges)
    zeros = zero / (total + zero) if total + zero else np.nan
    return Ridge(index, layer, edges, density, zeros, ends)


def evenly(first: int, last: int, most: int) -> list[int]:
    """Return integers from first to last, at most so many, both ends among them."""
    count = min(last - first + 1, most)
    return [int(k) for k in np.linspace(first, last, count).round()]


def shown_range(ridges: list[Ridge], bins: Bins) -> tuple[float, float]:
    """Return what the axis shows: all ridges but their tails, 0 in the middle if it is signed."""
    ends = [ridge.ends for ridge in ridges if ridge.peak] or [(-2.0, 2.0)]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if bins == "std":
        high = max(-low, high)
        low = -high if low < 0 else 0.0
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def height_unit(ridges: list[Ridge]) -> tuple[float, bool]:
    """Return the density that is drawn as tall as any may be, and whether some are taller."""
    tallest = max(ridge.peak for ridge in ridges)
    lowest = min((ridge.peak for ridge in ridges if ridge.inside > 0.5), default=tallest)
    unit = min(tallest, CUT * lowest)
    return unit or 1.0, tallest > unit


def draw_ridges(result: SweepResult, sheet: Sheet) -> Figure:
    """Draw the histograms of h_k, k = 1 … K, and of ∂ℓ/∂f_k, k = 0 … K−1, one panel per pass.

    The config asks for `record.histograms`.
    """
    bins = result.config.record.histograms
    assert bins is not None  # the config was checked
    shown = evenly(0, len(result.conditions) - 1, MOST_CONDITIONS)
    members = list(named_outcomes(result, sheet))
    outcomes = [result.conditions[i] for i in shown]
    depth = max(outcome.condition.depth for outcome in outcomes)
    most = int(sheet.height * ROWS_SHARE / (2 if sheet.stacked else 1) / (ROW * sheet.font))
    panels, drawn = {}, {}
    notes: dict[Pass, list[str]] = {"forward": [], "backward": []}
    for direction, title in titled(sheet).items():
        first = int(direction == "forward")
        layers = evenly(first, first + depth - 1, min(MOST_LAYERS, max(most, 2)))
        ridges = [
            ridge_of(outcome, i, SHOWN[direction], k)
            for k in layers
            for i, outcome in enumerate(outcomes)
            if first <= k < first + outcome.condition.depth
        ]
        unit, cut = height_unit(ridges)
        drawn[direction] = ridges, layers, unit
        notes[direction] = _notes(ridges, cut=cut)
        panels[direction] = _panel(direction, title, layers, bins, ridges)
    key = ridges_key(result, notes, len(outcomes))
    tags = [
        Tag(outcome.condition.index, "", name.short, paint)
        for outcome, name, paint in (members[i] for i in shown)
    ]
    figure, _ = begin(sheet, panels, tags, names_of(result), key, placings=("below",))
    reach = 0.0
    for ax, (ridges, layers, unit) in zip(figure.axes, drawn.values(), strict=True):
        reach = max(reach, _draw_rows(ax, ridges, layers, unit, tags, sheet))
    for ax, (_, layers, _) in zip(figure.axes, drawn.values(), strict=True):
        ax.set_ylim(0.7 - len(layers), reach + 0.05)
        ax.tick_params(axis="y", length=0)
        for spine in ("left", "right"):
            ax.spines[spine].set_visible(False)
        ax.grid(visible=False, axis="y")
        ax.grid(axis="x", color=sheet.rule, linewidth=0.8 * sheet.em)
    return figure


def _panel(
    direction: Pass, title: str, layers: list[int], bins: Bins, ridges: list[Ridge]
) -> Panel:
    """Return the axes of one panel: a row for every layer, the first on top."""
    limits = shown_range(ridges, bins)
    scale_of = decade_scale if bins == "decades" else plain_scale
    return Panel(
        partial(with_most_ticks, scale_of, limits),
        WORDS[bins, direction],
        partial(_rows, layers),
        "Layer, $k$",
        title,
    )


def _rows(layers: list[int], most: int) -> Scale:
    """Return the scale of the layers, each a row, of which one or every so many have a label."""
    step = MOST_TICKS + 1 - most
    ticks = [-float(row) for row in range(0, len(layers), step)]
    return Scale((0.7 - len(layers), LEAST), ticks, [f"{k:,}" for k in layers[::step]])


def _draw_rows(
    ax: Axes,
    ridges: list[Ridge],
    layers: list[int],
    unit: float,
    tags: Sequence[Tag],
    sheet: Sheet,
) -> float:
    """Draw the ridges, the deeper in front; return how high they reach."""
    low, high = ax.get_xlim()
    reach = LEAST
    suffix = "-backward" * (ax.get_gid() == "backward" and len(ax.figure.axes) > 1)
    for row, layer in enumerate(layers):
        ax.axhline(-row, color=sheet.grey(0.75), linewidth=0.8 * sheet.em, zorder=2 + row)
        outlines = []
        for ridge in (ridge for ridge in ridges if ridge.layer == layer):
            x = (ridge.edges[1:] + ridge.edges[:-1]) / 2
            height = OVERLAP * np.minimum(ridge.density / unit, 1.0)
            seen = np.flatnonzero((height > FAINT) & (x >= low) & (x <= high))
            shown = slice(max(seen[0] - 1, 0), seen[-1] + 2) if len(seen) else slice(0)
            outlines.append((ridge.index, x[shown], height[shown] - row))
            reach = max(reach, height[shown].max(initial=0.0) - row)
        style: dict[str, Any] = {"linewidth": 0, "zorder": 2 + row}
        for index, x, top in outlines:  # what is behind fades
            gid = f"condition-{tags[index].index}-ground-{layer}{suffix}"
            ax.fill_between(x, -row, top, color=sheet.ground, alpha=0.6, gid=gid, **style)
        for index, x, top in outlines:
            style["color"], fill = tags[index].paint.color, _fill(len(tags))
            gid = f"condition-{tags[index].index}-{{}}-{layer}{suffix}"
            ax.fill_between(x, -row, top, alpha=fill, gid=gid.format("area"), **style)
            top_style = style | {"linewidth": 1.3 * sheet.em, "gid": gid.format("layer")}
            top_style |= pattern(tags[index].paint)
            ax.plot(x, top, label=f"ridge {index} {layer}", **top_style)
    return reach


def _fill(n_conditions: int) -> float:
    return min(0.45, 0.9 / n_conditions)


def _notes(ridges: list[Ridge], *, cut: bool) -> list[str]:
    notes = ["Tallest peaks cut off"] * cut
    if any(ridge.inside < 0.5 and ridge.zeros < 1 for ridge in ridges):
        notes.insert(0, "Layers beyond the axis left out")
    if zeros := [f"{100 * ridge.zeros:.0f}" for ridge in ridges if ridge.zeros > 0.005]:
        low, high = min(zeros, key=float), max(zeros, key=float)
        notes.insert(0, f"Zeros left out ({low if low == high else f'{low}–{high}'} %)")
    return notes
