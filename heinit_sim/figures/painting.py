"""Colours and dashes that mean something: one hue for one value, whatever else differs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import matplotlib
import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, ListedColormap, to_rgba
from matplotlib.typing import ColorType

from heinit_sim.experiment.labels import flow_text
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.figures.contrast import LINE, TEXT, contrast, is_dark, legible
from heinit_sim.numerics import FloatArray

Dashes = tuple[float, ...]
Colors = str | Sequence[ColorType]
"""A colormap's name, or colours."""

DASHES: tuple[Dashes | None, ...] = (None, (3, 1.2), (1, 0.8), (5, 1, 1, 1), (7, 1.5))
"""Lengths on and off in line widths, ever less like a solid line."""
MARKERS = (None, "o", "s", "^", "D", "v", "P", "X")
RAMP, FIRST, LAST, LIGHTEST = "plasma", 0.1, 0.82, 0.64
"""The book's look: ever lighter, so that a grey print or a colour-blind eye keeps the order. The
part of the colormap, and how far it stands out from white: but one colour lies beyond."""
HUES = {
    False: ("#1e3e73", "#9a0700", "#6a9e82", "#ab5af9", "#c3810d", "#549ab7", "#7d1731", "#5e6570"),
    True: ("#4f61e2", "#cd4d2e", "#addbb6", "#746a9b", "#f5be49", "#9fd9f4", "#a74f5c", "#8f98a3"),
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
    """Dotted path of a key that has a hue, dashes or a marker of its own -> its values; of a grid
    alone, where hue says one thing and dashes another."""


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
        colors: A colormap's name; or colours, one for each value that has a hue. Of fewer, the
            ramp through them is taken.
        ground: What is drawn on.
        along: Path of the key along an axis, which needs no paint.
    """
    levels = _levels(config.conditions, along)
    order = _by_meaning(levels)
    room = (None, len(DASHES), len(MARKERS))
    fits = len(order) <= len(room) and all(
        most is None or len(levels[path]) <= most for path, most in zip(order, room, strict=False)
    )
    if len(order) < 2 or not fits:
        texts = [_point(condition, levels) for condition in config.conditions]
        places = {text: n for n, text in enumerate(dict.fromkeys(texts))}
        weight = weight_of(len(places))
        paints = [_paint(color, ground, weight) for color in _ramp(len(places), colors, ground)]
        return Palette(tuple(paints[places[text]] for text in texts), {})
    hue, *others = order
    words = any(map(_is_word, levels[hue].values()))
    count = len(levels[hue])
    hues = _hues(count, ground) if words and colors is None else _ramp(count, colors, ground)
    weight = weight_of(prod(len(values) for values in levels.values()))

    def paint(place: Mapping[str, int]) -> Paint:
        color = hues[place[hue]] if hue in place else np.array(to_rgba("0.5"))
        dashes, marker = (place.get(path, 0) for path in (*others, "", "")[:2])
        return _paint(color, ground, weight, DASHES[dashes], MARKERS[marker])

    place_of = {path: {text: n for n, text in enumerate(levels[path])} for path in order}
    paints = [
        paint({path: place_of[path][flow_text(condition.swept[path])] for path in order})
        for condition in config.conditions
    ]
    swatches = {
        path: tuple(
            Swatch(value, paint({path: n})) for n, value in enumerate(levels[path].values())
        )
        for path in order
    }
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


def _point(condition: Condition, levels: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(flow_text(condition.swept.get(path)) for path in levels)


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


def _ramp(count: int, colors: Colors | None, ground: ColorType) -> Sequence[FloatArray]:
    """Return so many colours in order: a colormap where it stands out, or colours of a user's."""
    if colors is not None and not isinstance(colors, str):
        own = [np.array(to_rgba(color)) for color in colors]
        if count <= len(own):
            return own[:count]
        ramp: Colormap = LinearSegmentedColormap.from_list("own", own if own[1:] else own * 2)
        return list(ramp(np.linspace(0, 1, count)))
    ramp = matplotlib.colormaps[colors or RAMP]
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
