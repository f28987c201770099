"""The phase diagram: σ²_w against σ²_b, the edge of chaos, each condition a point. Never saves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.steps import Activate
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.figures.look.contrast import LINE, TEXT, legible
from heinit_sim.figures.look.drawn_figure import DrawnFigure
from heinit_sim.figures.look.sheet import Sheet, drawing
from heinit_sim.figures.words import label_placement
from heinit_sim.figures.words.condition_names import named
from heinit_sim.figures.words.keys import key_text
from heinit_sim.figures.words.label_placement import Pixels, beside, pixels_along, write_labels
from heinit_sim.figures.words.values import spelled
from heinit_sim.numerics import FloatArray
from heinit_sim.theory import infinite_width
from heinit_sim.theory.infinite_width import Edge, edge_of_chaos, length_fixed_point

_Key = tuple[str, tuple[tuple[str, float], ...]]  # an activation and its options
_Places = dict[tuple[float, float], list[Condition]]  # (σ²_w, σ²_b) -> the conditions there

WIDTH, HEIGHT = 7.2, 5.4  # inches
PANEL = (0.12, 0.26, 0.83, 0.525)
INKS = {"ordered": "#2b5d86", "chaotic": "#a3540a"}
# Lines of several activations: of Okabe and Ito, whose colours colour-blind readers tell apart;
# when they are used up, again with a core of another colour.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
SHADE = 0.16  # of a phase's colour over its ground
CORED = 1.1  # points that a core adds to a line, and its own width
EDGE: dict[str, Any] = {"linewidth": 2.2, "solid_capstyle": "butt", "zorder": 3}
LEAP: dict[str, Any] = {"linewidth": 1.4, "dashes": (4, 2.5), "zorder": 3}
POINT: dict[str, Any] = {"linestyle": "", "clip_on": False}
LEGEND: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.04, 1), "frameon": False}
FAR = 1e100  # conditions beyond it, either way, are left out
WIDE = 8  # ratio of σ²_w from which the axis is logarithmic
NAMED, LABELLED, ROWS = 4, 8, 17  # most lines and circles with text beside them; of a legend


def draw_phase_diagram(config: SweepConfig) -> Figure:
    """Draw the edge of chaos of the config's activations, and where its conditions lie.

    Args:
        config: The sweep; nothing of it is simulated.

    Returns:
        The figure.
    """
    keys = dict.fromkeys(_key(condition) for condition in config.conditions)
    activations = {key: make_activation(key[0], dict(key[1])) for key in keys}
    places, lost = _places(config, activations)
    top = max(2.5 * max((bias_variance for _, bias_variance in places), default=0.0), 0.25)
    edges = {key: edge_of_chaos(activation, top) for key, activation in activations.items()}
    with drawing(config.figure) as sheet:
        colors = dict(zip(keys, _colors(sheet) * len(keys), strict=False))
        figure = DrawnFigure(figsize=(WIDTH, HEIGHT))
        ax = figure.add_axes(PANEL)
        points = np.array([*places, *(point for e in edges.values() for point in e.points)])
        ax.tick_params(labelsize=13)
        _scale(ax, points[:, 0], top)
        if any(condition.is_convolutional for condition in config.conditions):
            ax.set_xlabel(ax.get_xlabel().replace("D_h", r"\mathrm{fan\ in}"))
        lines = [_draw_edge(ax, edges[key], _name(key), n, sheet) for n, key in enumerate(keys)]
        taken = np.concatenate([pixels_along(ax, edge.points) for edge in edges.values()])
        taken = np.append(taken, _draw_conditions(ax, places, colors, sheet))
        title, activation = "Edge of chaos", None
        if len(keys) == 1:
            ((key, activation),) = activations.items()
            title += f": {_name(key)}"
            _shade(ax, edges[key])
        else:
            ink = {key: _readable(color, sheet) for key, color in colors.items()}
            named = [(_name(key), ink[key], beside(e.points)) for key, e in edges.items()]
            covered = None
            if len(keys) <= NAMED:
                covered = write_labels(ax, named, taken, sheet.ground, fontsize=12)
            if covered is None:
                _draw_legend(ax, lines, [_name(key) for key in keys])
            taken = taken if covered is None else covered
        _label_conditions(ax, places, colors, taken, sheet)
        _draw_words(ax, activation, sheet)
        ax.set_title(title, loc="left", pad=46, fontsize=18, fontweight="bold")
        text = _caption(list(edges.values()), _circles(config, places), lost)
        style: dict[str, Any] = {"fontsize": 10, "color": sheet.quiet, "linespacing": 1.4}
        left = 0.03 * WIDTH / figure.get_figwidth()
        figure.text(left, 0.025, text, va="bottom", **style)
    return figure


def _colors(sheet: Sheet) -> list[str]:
    """Return the colours of lines, as they stand out from the ground."""
    return [to_hex(tuple(legible(color, sheet.ground, LINE))) for color in (sheet.ink, *COLORS)]


def _readable(color: str, sheet: Sheet) -> str:
    return to_hex(tuple(legible(color, sheet.ground, TEXT)))


def _key(condition: Condition) -> _Key:
    first = next(iter(condition.activates), Activate("linear"))
    return str(first.function), first.options


def _name(key: _Key) -> str:
    """An activation in words, e.g. "leaky ReLU 0.2"."""
    (part,) = spelled("network.activation", [{"name": key[0], **dict(key[1])}])
    return part.value


def _places(config: SweepConfig, activations: Mapping[_Key, Activation]) -> tuple[_Places, str]:
    """Where the conditions lie, and a line on those that lie nowhere."""
    places: _Places = {}
    uneven, past = "without one $\\sigma^2_w$ and $\\sigma^2_b$ of all layers", "off any scale"
    lost = {uneven: 0, past: 0}
    for condition in config.conditions:
        scale = infinite_width.condition_weight_scale(condition, activations[_key(condition)])
        bias_variance = infinite_width.condition_bias_variance(condition)
        if scale is None or bias_variance is None:
            lost[uneven] += 1
        elif 1 / FAR < scale < FAR and bias_variance < FAR:
            places.setdefault((scale, bias_variance), []).append(condition)
        else:
            lost[past] += 1
    parts = ", ".join(f"{number} {why}" for why, number in lost.items() if number)
    return places, parts and f"Conditions not shown: {parts}."


def _scale(ax: Axes, weight_scales: FloatArray, top: float) -> None:
    low, high = float(weight_scales.min()), float(weight_scales.max())
    if high / low > WIDE:
        ax.set_xscale("log")
        ax.set_xlim(low / 2, high * max(2.5, (high / low) ** 0.15))  # room for a label
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 200 else (1,)))
    else:
        ax.set_xlim(0, 1.18 * high)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    ax.set_ylim(0, top)
    ax.spines["right"].set_visible(False)
    ax.set_xlabel(r"$\sigma^2_w = D_h\,\sigma^2_\Omega$", fontsize=14)
    ax.set_ylabel(r"$\sigma^2_b$", fontsize=14, rotation=0, ha="right", va="center")


def _shade(ax: Axes, edge: Edge) -> None:
    left, right = ax.get_xlim()
    x, y = edge.points.T
    for word, sides in (("ordered", (left, x)), ("chaotic", (x, right))):
        ax.fill_betweenx(y, *sides, color=INKS[word], alpha=SHADE, linewidth=0, label=word)


def _draw_words(ax: Axes, activation: Activation | None, sheet: Sheet) -> None:
    """Say above the panel what its left and its right are; of the activation, if only one."""
    words = {
        "ordered": "$\\chi_1 < 1$: gradients vanish, inputs grow alike",
        "chaotic": "$\\chi_1 > 1$: gradients explode",
    }
    if activation:
        scale, bias_variance = ax.get_xlim()[1], ax.get_ylim()[1]
        q = length_fixed_point(activation, scale, bias_variance, scale + bias_variance)
        words["chaotic"] += ", signals diverge" if math.isinf(q) else ", inputs grow apart"
    for place, word in enumerate(INKS):
        heading = word if activation else (f"←  {word}", f"{word}  →")[place]
        style: dict[str, Any] = {"color": _readable(INKS[word], sheet), "transform": ax.transAxes}
        style["ha"] = ("left", "right")[place]
        ax.text(place, 1.085, heading, fontsize=14, fontweight="bold", **style)
        ax.text(place, 1.03, words[word], fontsize=9.5, **style)


def _draw_edge(ax: Axes, edge: Edge, name: str, n: int, sheet: Sheet) -> Line2D:
    """Draw the n-th edge, and return what stands for it in a legend."""
    colors = _colors(sheet)
    cores = (None, sheet.ground, sheet.ink)
    color, core = colors[n % len(colors)], cores[n // len(colors) % len(cores)]
    line, leap = ({**style, "color": color} for style in (EDGE, LEAP))
    for style in (line, leap) if core else ():
        style["path_effects"] = [Normal(), Stroke(linewidth=CORED, foreground=core)]
        style["linewidth"] += CORED
    drawn = []
    if len(edge.continuous) == 1:
        point = {**POINT, "marker": "D", "markersize": 6, "color": color, "zorder": 4}
        ax.plot(*edge.continuous.T, label=f"critical {name}", **point)
    elif len(edge.continuous):
        drawn += ax.plot(*edge.continuous.T, label=f"critical {name}", **line)
    if len(edge.leap):
        drawn += ax.plot(*edge.leap.T, label=f"leap {name}", **leap)
    return drawn[0]


def _draw_legend(ax: Axes, lines: Sequence[Line2D], names: Sequence[str]) -> None:
    """Name the lines right of the panel, where the figure grows as wide as that takes."""
    columns = math.ceil(len(names) / ROWS)
    legend = ax.legend(lines, names, fontsize=10, borderaxespad=0, ncols=columns, **LEGEND)
    figure, (left, bottom, width, height) = ax.get_figure(root=True), PANEL
    assert figure
    grown = (legend.get_window_extent().x1 / figure.dpi + 0.1) / WIDTH
    figure.set_size_inches(grown * WIDTH, HEIGHT)
    ax.set_position((left / grown, bottom, width / grown, height))


def _draw_conditions(ax: Axes, places: _Places, colors: Mapping[_Key, str], sheet: Sheet) -> Pixels:
    """Draw a circle for each place, smaller where there are many; return where they are."""
    size = max(4.5, 10 * min(1.0, (LABELLED / max(len(places), 1)) ** 0.4))
    for point, conditions in places.items():
        style: dict[str, Any] = {**POINT, "marker": "o", "markersize": size, "zorder": 5}
        style |= {"markerfacecolor": "none", "markeredgewidth": 0.18 * size}
        style["label"] = "condition " + " ".join(str(condition.index) for condition in conditions)
        ax.plot(*point, markeredgecolor=_ink(conditions, colors, sheet), **style)
    centres = ax.transData.transform(np.array([*places]).reshape(-1, 2)) @ [1, 1j]
    rim = 0.6 * size * ax.figure.dpi / 72 * np.exp(2j * np.pi * np.arange(12) / 12)
    return np.asarray(np.add.outer(centres, rim).ravel(), complex)


def _ink(conditions: Sequence[Condition], colors: Mapping[_Key, str], sheet: Sheet) -> str:
    inks = {colors[_key(condition)] for condition in conditions}
    return inks.pop() if len(inks) == 1 else sheet.grey(0.3)


def _label_conditions(
    ax: Axes, places: _Places, colors: Mapping[_Key, str], taken: Pixels, sheet: Sheet
) -> None:
    """Label each circle by what its conditions share, if there is room for all labels.

    Labels that only repeat both axes are left out.
    """
    labels = []
    for point, conditions in places.items():
        swept = conditions[0].swept
        if len(places) > LABELLED or swept.keys() == {"init.variance", "init.bias_variance"}:
            return
        shared = {k: v for k, v in swept.items() if all(c.swept[k] == v for c in conditions)}
        if shared or not swept:
            (text,) = named([replace(conditions[0], swept=shared)]).full
            labels.append((text, _readable(_ink(conditions, colors, sheet), sheet), point))
    around, slanted = label_placement.around, label_placement.slanted
    for kinds in ((around,), (slanted,), (around, slanted)):
        placed = [(text, ink, [s for kind in kinds for s in kind(at)]) for text, ink, at in labels]
        if write_labels(ax, placed, taken, sheet.ground, fontsize=10.5) is not None:
            return


def _circles(config: SweepConfig, places: _Places) -> str:
    """Say what the circles stand for, e.g. "Circles: the 24 conditions (σ²_Ω × σ²_b)."."""
    swept = [key_text(path) for path in config.sweep]
    shown = sum(map(len, places.values()))
    what = f"the {shown} conditions ({' × '.join(swept)})" if shown > 1 else "the condition"
    return f" Circle{'s' * (len(places) > 1)}: {what}." if shown else ""


def _caption(edges: Sequence[Edge], circles: str, lost: str) -> str:
    """Say what is what, in three lines at most."""
    first, second = "Infinite width." + circles, []
    if any(len(edge.continuous) > 1 for edge in edges):
        first += " Solid: $\\chi_1 = 1$, the edge of chaos."
    if any(len(edge.continuous) == 1 for edge in edges):
        second.append("Diamond: an edge that is but a point.")
    if any(len(edge.leap) for edge in edges):
        second.append("Dashed: $\\chi_1$ passes 1 where $q^*$ leaps or diverges.")
    return "\n".join(line for line in (first, " ".join(second), lost) if line)
