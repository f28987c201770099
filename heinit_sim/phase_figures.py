"""The phase diagram: σ²_w against σ²_b, the edge of chaos, each condition a point. Never saves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from heinit_sim.activations import Activation, make_activation
from heinit_sim.critical import Edge, edge_of_chaos
from heinit_sim.curves import label_of
from heinit_sim.figures import STYLE
from heinit_sim.phase import (
    condition_weight_scale,
    length_fixed_point,
)
from heinit_sim.records import Condition, SweepConfig

Array = NDArray[np.float64]
_Key = tuple[str, tuple[tuple[str, float], ...]]  # an activation and its options

WIDTH, HEIGHT = 7.2, 5.4  # inches
PANEL = (0.12, 0.235, 0.83, 0.545)
SHADES = {"ordered": "#dbe8f3", "chaotic": "#fbe6d0"}
INKS = {"ordered": "#2b5d86", "chaotic": "#a3540a"}
# Lines of several activations: of Okabe and Ito, whose colours colour-blind readers tell apart.
COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
EDGE: dict[str, Any] = {"linewidth": 2.2, "solid_capstyle": "butt", "zorder": 3}
LEAP: dict[str, Any] = {"linewidth": 1.4, "dashes": (4, 2.5), "zorder": 3}
POINT: dict[str, Any] = {"linestyle": "", "clip_on": False}
HALO = [withStroke(linewidth=2.5, foreground="white")]  # else a label is lost on a line
FAR = 1e100  # conditions beyond it, either way, are left out
WIDE = 8  # ratio of σ²_w from which the axis is logarithmic


def draw_phase_diagram(config: SweepConfig) -> Figure:
    """Draw the edge of chaos of the config's activations, and where its conditions lie.

    Args:
        config: The sweep; nothing of it is simulated.

    Returns:
        The figure; save it `with figures.saving():`.
    """
    keys = dict.fromkeys(_key(condition) for condition in config.conditions)
    activations = {key: make_activation(key[0], dict(key[1])) for key in keys}
    places: dict[tuple[float, float], list[Condition]] = {}
    for condition in config.conditions:
        scale = condition_weight_scale(condition, activations[_key(condition)])
        bias_variance = condition.bias_variance
        if scale is not None and 1 / FAR < scale < FAR and bias_variance < FAR:
            places.setdefault((scale, bias_variance), []).append(condition)
    top = max(2.5 * max((bias_variance for _, bias_variance in places), default=0.0), 0.25)
    edges = {key: edge_of_chaos(activation, top) for key, activation in activations.items()}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        ax = figure.add_axes(PANEL)
        points = np.array([*places, *(point for e in edges.values() for point in e.points)])
        _scale(ax, points[:, 0], top)
        colors = dict(zip(keys, COLORS * len(keys), strict=False))
        for n, (key, edge) in enumerate(edges.items()):
            _draw_edge(ax, edge, _name(key), colors[key])
            if len(edges) > 1:
                _name_edge(ax, edge, _name(key), colors[key], n)
        _draw_conditions(ax, places, colors)
        title = "Edge of chaos"
        if len(edges) == 1:
            (activation,) = activations.values()
            _shade(ax, edges[next(iter(keys))])
            title += f": {_name(next(iter(keys)))}"
        _draw_words(ax, activation if len(edges) == 1 else None)
        ax.set_title(title, loc="left", pad=46, fontweight="bold")
        figure.text(
            0.03,
            0.025,
            _caption(list(edges.values())),
            fontsize=10,
            color="0.25",
            linespacing=1.4,
            va="bottom",
        )
    return figure


def _key(condition: Condition) -> _Key:
    return condition.activation, tuple(condition.activation_options.items())


def _name(key: _Key) -> str:
    """An activation in words, e.g. "leaky relu 0.2"."""
    return " ".join([key[0].replace("_", " "), *(f"{value:g}" for _, value in key[1])])


def _scale(ax: Axes, weight_scales: Array, top: float) -> None:
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
    ax.set_xlabel(r"$\sigma^2_w = D_h\,\sigma^2_\Omega$")
    ax.set_ylabel(r"$\sigma^2_b$", rotation=0, ha="right", va="center")


def _shade(ax: Axes, edge: Edge) -> None:
    """Shade both phases of the only activation."""
    left, right = ax.get_xlim()
    x, y = edge.points.T
    ax.fill_betweenx(y, left, x, color=SHADES["ordered"], linewidth=0, label="ordered")
    ax.fill_betweenx(y, x, right, color=SHADES["chaotic"], linewidth=0, label="chaotic")


def _draw_words(ax: Axes, activation: Activation | None) -> None:
    """Say above the panel what its left and its right are; of the activation, if only one."""
    words = {
        "ordered": "$\\chi_1 < 1$: gradients vanish, inputs grow alike",
        "chaotic": "$\\chi_1 > 1$: gradients explode",
    }
    if activation:
        scale, bias_variance = ax.get_xlim()[1], ax.get_ylim()[1]
        q = length_fixed_point(activation, scale, bias_variance, scale + bias_variance)
        words["chaotic"] += ", signals diverge" if math.isinf(q) else ", inputs grow apart"
    for place, word in enumerate(SHADES):
        heading = word if activation else (f"←  {word}", f"{word}  →")[place]
        style: dict[str, Any] = {
            "ha": ("left", "right")[place],
            "color": INKS[word],
            "transform": ax.transAxes,
        }
        ax.text(place, 1.085, heading, fontsize=14, fontweight="bold", **style)
        ax.text(place, 1.03, words[word], fontsize=9.5, **style)


def _draw_edge(ax: Axes, edge: Edge, name: str, color: str) -> None:
    if len(edge.leap):
        ax.plot(*edge.leap.T, color=color, label=f"leap {name}", **LEAP)
    if len(edge.continuous) == 1:
        style: dict[str, Any] = {
            **POINT,
            "marker": "D",
            "markersize": 6,
            "color": color,
            "zorder": 4,
        }
        ax.plot(*edge.continuous.T, label=f"critical {name}", **style)
    elif len(edge.continuous):
        ax.plot(*edge.continuous.T, color=color, label=f"critical {name}", **EDGE)


def _name_edge(ax: Axes, edge: Edge, name: str, color: str, place: int) -> None:
    """Name the line at its upper end, the next one a line lower."""
    at = edge.points[-1] * (1, 0.96 - 0.07 * place)
    at[0] = np.interp(at[1], edge.points[:, 1], edge.points[:, 0])
    style: dict[str, Any] = {
        "textcoords": "offset points",
        "color": color,
        "fontsize": 12,
        "va": "center",
    }
    style["path_effects"] = HALO
    ax.annotate(name, at.tolist(), (7, 0), **style)


def _draw_conditions(
    ax: Axes,
    places: Mapping[tuple[float, float], Sequence[Condition]],
    colors: Mapping[_Key, str],
) -> None:
    """Draw a circle for each place, labelled by what its conditions have in common."""
    for point, here in places.items():
        inks = {colors[_key(condition)] for condition in here}
        ink = inks.pop() if len(inks) == 1 else "0.3"
        indices = " ".join(str(condition.index) for condition in here)
        style: dict[str, Any] = {
            **POINT,
            "marker": "o",
            "markersize": 10,
            "label": f"condition {indices}",
        }
        style |= {"markerfacecolor": "none", "markeredgecolor": ink, "markeredgewidth": 1.8}
        ax.plot(*point, zorder=5, **style)
        shared = {
            path: value
            for path, value in here[0].swept.items()
            if all(condition.swept[path] == value for condition in here)
        }
        text: dict[str, Any] = {
            "textcoords": "offset points",
            "fontsize": 10.5,
            "color": ink,
            "zorder": 6,
        }
        text |= {"rotation": 35, "rotation_mode": "anchor", "path_effects": HALO}
        ax.annotate(label_of(replace(here[0], swept=shared)), point, (6, 7), **text)


def _caption(edges: Sequence[Edge]) -> str:
    """Say what is what, in two lines."""
    first, second = "Infinite width. Circles: the conditions.", []
    if any(len(edge.continuous) > 1 for edge in edges):
        first += " Solid: $\\chi_1 = 1$, the edge of chaos."
    if any(len(edge.continuous) == 1 for edge in edges):
        second.append("Diamond: an edge that is but a point.")
    if any(len(edge.leap) for edge in edges):
        second.append("Dashed: $\\chi_1$ passes 1 where $q^*$ leaps or diverges.")
    return "\n".join([first, " ".join(second)]).rstrip()
