"""Histograms layer by layer, each a ridge above its baseline. Never prints, never saves."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from heinit_sim.experiment.quantities import Bins, Pass, Quantity
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.figures import panels
from heinit_sim.figures.axis_scales import TICK_SIZE, decade_scale, text_width
from heinit_sim.figures.key import ridges_key
from heinit_sim.figures.naming import named
from heinit_sim.figures.painting import Paint, painted
from heinit_sim.figures.panels import HEIGHT, WIDTH
from heinit_sim.numerics import FloatArray

CUT = 12  # times the lowest peak: what is taller is cut off, else the others would look flat
TAIL = 1e-3  # of the numbers of a ridge may lie beyond either end of the axis
SHOWN: dict[Pass, Quantity] = {"forward": "activation", "backward": "grad_preactivation"}
MOST_LAYERS, MOST_CONDITIONS = 12, 8  # more are not told apart
OVERLAP = 2.1  # the tallest ridge, in rows
LEAST = 0.5  # rows that are left above the first
FAINT = 0.01  # rows: what is lower is not told from its baseline
LABEL_SIZE, LABELS_WIDTH, SWATCH = 14, 620, 2.9  # points; swatch and gaps in font sizes
GUTTER = 64  # points between the panels
LEGEND: dict[str, Any] = {"loc": "center", "frameon": False, "borderpad": 0}
LEGEND |= {"handlelength": 0.9, "handletextpad": 0.4, "columnspacing": 1.4}
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


def draw_ridges(result: SweepResult) -> Figure:
    """Draw the histograms of h_k, k = 1 … K, and of ∂ℓ/∂f_k, k = 0 … K−1, one panel per pass.

    The config asks for `record.histograms`.
    """
    bins = result.config.histograms
    assert bins is not None  # the config was checked
    shown = evenly(0, len(result.conditions) - 1, MOST_CONDITIONS)
    outcomes = [result.conditions[i] for i in shown]
    paints = painted(result.config)
    colors = [paints[outcome.condition.index] for outcome in outcomes]
    depth = max(outcome.condition.depth for outcome in outcomes)
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72))
    notes: dict[Pass, list[str]] = {}
    reach = 0.0
    for direction, quantity in SHOWN.items():
        first = int(direction == "forward")
        layers = evenly(first, first + depth - 1, MOST_LAYERS)
        ridges = [
            ridge_of(outcome, i, quantity, k)
            for k in layers
            for i, outcome in enumerate(outcomes)
            if first <= k < first + outcome.condition.depth
        ]
        ax = _panel(figure, direction, layers, bins, ridges)
        unit, cut = height_unit(ridges)
        reach = max(reach, _draw_rows(ax, ridges, layers, unit, colors))
        notes[direction] = _notes(ridges, cut=cut)
    for ax in figure.axes:
        ax.set_ylim(0.7 - len(layers), reach + 0.05)
    _draw_labels(figure, named([outcome.condition for outcome in outcomes]).full, colors)
    panels.write_caption(figure, ridges_key(result, notes, len(outcomes)).sentence)
    return figure


def _panel(
    figure: Figure, direction: Pass, layers: list[int], bins: Bins, ridges: list[Ridge]
) -> Axes:
    """Lay out one panel: a baseline for every layer, the first on top, scales outside."""
    outer = panels.OUTER + TICK_SIZE * (text_width(str(max(layers))) + 0.7)
    width = (WIDTH - 2 * outer - GUTTER) / 2
    ax = panels.add_panel(figure, direction, outer, width, panels.TITLES[direction], "Layer, $k$")
    limits = shown_range(ridges, bins)
    ax.set_xlim(limits)
    if bins == "decades":
        scale = decade_scale(limits)
        ax.set_xticks(scale.ticks, scale.labels)
    ax.set_yticks([-row for row in range(len(layers))], [f"{k:,}" for k in layers])
    ax.tick_params(axis="y", length=0)
    for spine in ("left", "right"):
        ax.spines[spine].set_visible(False)
    ax.grid(axis="x", color="0.9", linewidth=0.8)
    ax.set_xlabel(WORDS[bins, direction])
    return ax


def _draw_rows(
    ax: Axes, ridges: list[Ridge], layers: list[int], unit: float, colors: list[Paint]
) -> float:
    """Draw the ridges, the deeper in front; return how high they reach."""
    low, high = ax.get_xlim()
    reach = LEAST
    for row, layer in enumerate(layers):
        ax.axhline(-row, color="0.75", linewidth=0.8, zorder=2 + row)
        outlines = []
        for ridge in (ridge for ridge in ridges if ridge.layer == layer):
            x = (ridge.edges[1:] + ridge.edges[:-1]) / 2
            height = OVERLAP * np.minimum(ridge.density / unit, 1.0)
            seen = np.flatnonzero((height > FAINT) & (x >= low) & (x <= high))
            shown = slice(max(seen[0] - 1, 0), seen[-1] + 2) if len(seen) else slice(0)
            outlines.append((ridge.index, x[shown], height[shown] - row))
            reach = max(reach, height[shown].max(initial=0.0) - row)
        for _, x, top in outlines:  # what is behind fades
            ax.fill_between(x, -row, top, color="white", alpha=0.6, linewidth=0, zorder=2 + row)
        for index, x, top in outlines:
            style: dict[str, Any] = {"color": colors[index].color, "zorder": 2 + row}
            ax.fill_between(x, -row, top, alpha=_fill(len(colors)), linewidth=0, **style)
            ax.plot(x, top, linewidth=1.3, label=f"ridge {index} {layer}", **style)
    return reach


def _fill(n_conditions: int) -> float:
    return min(0.45, 0.9 / n_conditions)


def _draw_labels(figure: Figure, labels: list[str], colors: list[Paint]) -> None:
    widths = sum(map(text_width, labels)) + SWATCH * len(labels)
    size = min(LABEL_SIZE, LABELS_WIDTH / widths)
    height = HEIGHT - panels.TOP - panels.BOTTOM
    shades: list[Any] = [paint.color for paint in colors]
    patches = [Patch(facecolor=(*s[:3], _fill(len(colors))), edgecolor=s) for s in shades]
    style = {**LEGEND, "ncols": len(labels), "labelcolor": [paint.ink for paint in colors]}
    style["bbox_to_anchor"] = (0.5, 1 - (panels.TOP - 0.05 * height - 8) / HEIGHT)
    figure.legend(patches, labels, fontsize=size, **style)


def _notes(ridges: list[Ridge], *, cut: bool) -> list[str]:
    notes = ["Tallest peaks cut off"] * cut
    if any(ridge.inside < 0.5 and ridge.zeros < 1 for ridge in ridges):
        notes.insert(0, "Layers beyond the axis left out")
    if zeros := [f"{100 * ridge.zeros:.0f}" for ridge in ridges if ridge.zeros > 0.005]:
        low, high = min(zeros, key=float), max(zeros, key=float)
        notes.insert(0, f"Zeros left out ({low if low == high else f'{low}–{high}'} %)")
    return notes
