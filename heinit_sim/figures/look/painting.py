"""Colours and dashes that mean something: one hue for one value, whatever else differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap, to_rgba
from matplotlib.typing import ColorType

from heinit_sim.experiment.labels import flow_text
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.figures.look.contrast import LINE, TEXT, contrast, is_dark, legible
from heinit_sim.numerics import FloatArray

Dashes = tuple[float, ...]
Colors = str | Sequence[ColorType]
"""A colormap's name, or a colour for each condition."""

DASHES: tuple[Dashes | None, ...] = (None, (3, 1.2), (1, 0.8), (5, 1, 1, 1), (7, 1.5))
"""Lengths on and off in line widths, ever less like a solid line."""
MARKERS = (None, "o", "s", "^", "D", "v", "P", "X")
_LOOKS: Mapping[str, Sequence[Any]] = {"dashes": DASHES, "marker": MARKERS}
_GREY = np.array(to_rgba("0.5"))
RAMP, FIRST, LAST, LIGHTEST = "plasma", 0.1, 0.82, 0.64
"""The book's look: ever lighter, so that a grey print or a colour-blind eye keeps the order. The
part of the colormap, and how far it stands out from white: but one colour lies beyond."""
HUES = {
    False: ("#1e3e73", "#9a0700", "#10a760", "#ab5af9", "#c3810d", "#549ab7", "#7d1731", "#5e6570"),
    True: ("#4f61e2", "#cd4d2e", "#addbb6", "#b7289f", "#f5be49", "#9fd9f4", "#a74f5c", "#8f98a3"),
}
"""Whether the ground is dark -> colours of words, which colour-blind readers tell apart."""
_SHADE = 0.6  # of a colour's light that its ink has, or keeps from white on a dark ground
_STEPS = 256  # of a colormap, tried for contrast
_SEQUENTIAL = 0.25  # of a colormap at least must stand out, to be used alone
_QUALITATIVE = 20  # colours at most of a list that is no ramp


@dataclass(frozen=True)
class Paint:
    """Colours, dashes and weight that tell a line from the others of its panel."""

    color: FloatArray
    """RGBA; of a contrast of 3 or more with the ground."""
    ink: FloatArray
    """RGBA of text and thin lines beside that colour; of a contrast of 4.5 or more."""
    weight: float = 1.0
    """Factor of the line's width: 1, or less where many must fit."""
    dashes: Dashes | None = None
    """Lengths on and off in line widths; None: solid."""
    marker: str | None = None


@dataclass(frozen=True)
class Swatch:
    """A value of a swept key, and the paint that stands for it; grey if colour does not."""

    value: object
    paint: Paint


@dataclass(frozen=True)
class Palette:
    """The paints of a run's conditions, and what each part of them stands for."""

    paints: tuple[Paint, ...]
    """One per condition of the full run, in its order."""
    swatches: Mapping[str, tuple[Swatch, ...]]
    """Dotted path of a key of a grid that hue, dashes or markers stand for -> its values."""


def painted(
    config: SweepConfig,
    *,
    colors: Colors | None = None,
    ground: ColorType = "white",
    along: str | None = None,
) -> tuple[Paint, ...]:
    """Return one paint per condition of the full run; see `palette_of`."""
    return palette_of(config, colors=colors, ground=ground, along=along).paints


def palette_of(
    config: SweepConfig,
    *,
    colors: Colors | None = None,
    ground: ColorType = "white",
    along: str | None = None,
) -> Palette:
    """Choose paints: of one swept key ever lighter colours; of two hue for one, dashes for one.

    The hue is for words before numbers, then for the key that is swept first, but not for the
    depth, which is seen anyway, nor for a key that dashes can show where they cannot the other. A
    third key has markers. Where that is not enough, each condition has a colour of its own.

    Args:
        config: The full run, so that colours stay when only some conditions are shown.
        colors: A colormap's name; or a colour for each condition, which leaves dashes and markers
            as they are.
        ground: What is drawn on.
        along: Path of the key along an axis, which needs no paint.
    """
    levels = _levels(config.conditions, along)
    places = [
        {path: list(values).index(flow_text(one.swept[path])) for path, values in levels.items()}
        for one in config.conditions
    ]
    order = _by_meaning(levels)
    sizes = [len(levels[path]) for path in order]
    fits = len(order) < 4 and all(map(int.__le__, sizes[1:], map(len, _LOOKS.values())))
    hue, others = (order[:1], order[1:]) if fits else (order, [])
    if colors is None or isinstance(colors, str):
        points = [tuple(place[path] for path in hue) for place in places]
        count = len(set(points))
        words = bool(others) and any(map(_is_word, levels[hue[0]].values()))
        chosen = _hues(count, ground) if words and not colors else _ramp(count, colors, ground)
    else:  # of a line along an axis, the colour of its first condition
        points = [tuple(place.values()) for place in places]
        chosen = [np.array(to_rgba(colors[points.index(point)])) for point in dict.fromkeys(points)]
    color_of = dict(zip(dict.fromkeys(points), chosen, strict=True))
    weight = weight_of(prod(sizes))
    paints = [
        _paint(color_of[point], ground, weight, **_look(others, place))
        for point, place in zip(points, places, strict=True)
    ]
    swatches = {}
    for path in order if others else ():
        of_value = [
            [paint for paint, place in zip(paints, places, strict=True) if place[path] == n]
            for n in range(len(levels[path]))
        ]
        shown = [
            _paint(_GREY, ground, weight, **_look(others, {path: n})) for n in range(len(of_value))
        ]
        if path in hue:
            shown = [replace(those[0], dashes=None, marker=None) for those in of_value]
        if path in others or all(len({tuple(p.color) for p in those}) == 1 for those in of_value):
            swatches[path] = tuple(map(Swatch, levels[path].values(), shown))
    return Palette(tuple(paints), swatches)


def weight_of(count: int) -> float:
    """Return the weight of so many lines in a panel."""
    return float(min(1.0, (7 / count) ** 0.6))


def _levels(conditions: Sequence[Condition], along: str | None) -> dict[str, dict[str, object]]:
    """Return the keys that take two values or more -> text of a value -> the value."""
    levels: dict[str, dict[str, object]] = {}
    for condition in conditions:
        for path, value in condition.swept.items():
            if path != along:
                levels.setdefault(path, {}).setdefault(flow_text(value), value)
    return {path: values for path, values in levels.items() if len(values) > 1}


def _look(others: Sequence[str], place: Mapping[str, int]) -> dict[str, Any]:
    """Return the dashes of the first of the keys, and the marker of the second."""
    looks = zip(_LOOKS.items(), others, strict=False)
    return {name: choice[place.get(path, 0)] for (name, choice), path in looks}


def _is_word(value: object) -> bool:
    return not isinstance(value, int | float) or isinstance(value, bool)


def _by_meaning(levels: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the keys, the one of the hue first; see `palette_of`."""

    def rank(path: str) -> tuple[bool, bool]:
        return path == "network.depth", not any(map(_is_word, levels[path].values()))

    order = sorted(levels, key=rank)
    if len(order) == 2 and len(levels[order[1]]) > len(DASHES) >= len(levels[order[0]]):
        order.reverse()
    return order


def _paint(
    color: FloatArray,
    ground: ColorType,
    weight: float,
    dashes: Dashes | None = None,
    marker: str | None = None,
) -> Paint:
    """Return a paint whose colour stands out, and whose ink does so further."""
    color = legible(tuple(color), ground, LINE)
    ink = color * (_SHADE, _SHADE, _SHADE, 1.0)
    if is_dark(ground):
        ink += (1 - _SHADE) * np.array([1, 1, 1, 0])
    return Paint(color, legible(tuple(ink), ground, TEXT), weight, dashes, marker)


def _hues(count: int, ground: ColorType) -> Sequence[FloatArray]:
    """Return colours of words, or of too many a ramp."""
    hues = HUES[is_dark(ground)]
    if count > len(hues):
        return _ramp(count, None, ground)
    return [np.array(to_rgba(color)) for color in hues[:count]]


def _ramp(count: int, name: str | None, ground: ColorType) -> Sequence[FloatArray]:
    """Return so many colours of a colormap in order, from where it stands out if that is one."""
    ramp = matplotlib.colormaps[name or RAMP]
    if isinstance(ramp, ListedColormap) and count <= ramp.N <= _QUALITATIVE:
        return list(ramp(np.arange(count)))
    if ramp.name == RAMP and not is_dark(ground):
        within = FIRST + (LIGHTEST - FIRST) * (count - 1) / max(count - 2, 1)
        return list(ramp(np.linspace(FIRST, min(LAST, within), count)))
    steps = np.linspace(0, 1, _STEPS)
    seen = [contrast(tuple(color), ground) >= LINE for color in ramp(steps)]
    inside = steps[seen]
    whole = bool(len(inside)) and len(inside) == round((inside[-1] - inside[0]) * (_STEPS - 1)) + 1
    low, high = (inside[0], inside[-1]) if whole and len(inside) > _SEQUENTIAL * _STEPS else (0, 1)
    return list(ramp(np.linspace(low, high, count)))
