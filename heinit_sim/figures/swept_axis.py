"""Conditions in lines along a swept number: their order, their names, their axis."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from heinit_sim.experiment.figure_kinds import swept_number
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.figures import axis_scales
from heinit_sim.figures.axis_scales import Scale
from heinit_sim.figures.naming import axis_text, named, spelled
from heinit_sim.figures.painting import Paint, painted
from heinit_sim.numerics import FloatArray

WIDE = 10  # ratio of the values from which the axis is logarithmic
MARGIN = 0.03  # of the axis, at the end without labels
TICKS_APART = 6  # points between their labels
ROOM, LABELLED_ROOM = 320, 170  # points of a panel, at least; less beside labels


@dataclass(frozen=True)
class Series:
    """Conditions that differ in the swept number alone, in its order."""

    index: int
    label: str  # values of the other swept keys; empty where there are none
    paint: Paint
    places: list[int]  # of the conditions in the grid
    x: FloatArray  # the number, or log10 of it where the axis is logarithmic


def series_of(config: SweepConfig) -> list[Series]:
    """Return the conditions in lines along the first swept number.

    Args:
        config: A sweep with such a number, see `figure_kinds.unmet_need`.
    """
    path, numbers, _ = _swept(config)
    groups: dict[str, list[Condition]] = {}
    for condition in config.conditions:
        others = {key: value for key, value in condition.swept.items() if key != path}
        alone = replace(condition, swept=others)
        groups.setdefault(alone.label, []).append(alone)
    order = np.argsort(numbers)
    names = named([group[0] for group in groups.values()])
    paints = painted(config, along=path)
    return [
        Series(
            index,
            label if text else "",
            paints[group[0].index],
            [group[i].index for i in order],
            numbers[order],
        )
        for index, ((text, group), label) in enumerate(zip(groups.items(), names.full, strict=True))
    ]


def swept_axis(config: SweepConfig, direction: Pass) -> tuple[Scale, str]:
    """Return the scale of the swept number for one pass, and what the axis is called.

    Its ticks are the swept values, or where these are too close, readable ones.
    """
    path, x, wide = _swept(config)
    low, high = float(x.min()), float(x.max())
    margin = MARGIN * (high - low)
    limits = (low - margin, high) if direction == "forward" else (low, high + margin)
    room = ROOM if len(config.sweep) == 1 else LABELLED_ROOM
    order = np.argsort(x)
    ticks = spelled(path, [config.sweep[path][i] for i in order])
    swept = Scale(limits, x[order].tolist(), [tick.value for tick in ticks])
    *crowded, last = (swept, *_scales(limits, wide=wide))
    fitting = (scale for scale in crowded if axis_scales.labels_fit(scale, room, TICKS_APART))
    return next(fitting, last), axis_text(path)


def _swept(config: SweepConfig) -> tuple[str, FloatArray, bool]:
    """The path of the swept number, its values, and whether these are log10: a wide range."""
    path = swept_number(config.sweep)
    assert path is not None  # configs without one are refused
    numbers = np.array(config.sweep[path], float)
    wide = bool(min(numbers) > 0 and max(numbers) >= WIDE * min(numbers))
    return path, np.log10(numbers) if wide else numbers, wide


def _scales(limits: tuple[float, float], *, wide: bool) -> Iterator[Scale]:
    """Yield scales of ever fewer ticks; the last has room anywhere."""
    if not wide:
        yield from (axis_scales.plain_scale(limits, most) for most in (7, 5, 4, 3, 2))
        return
    exponents = range(math.floor(limits[0]), math.ceil(limits[1]) + 1)
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        ticks = ((m, e) for e in exponents for m in mantissas)
        scale = axis_scales.power_scale(limits, ticks, _tick_text)
        if len(scale.ticks) > 1:
            yield scale
    yield axis_scales.decade_scale(limits)


def _tick_text(mantissa: float, exponent: int) -> str:
    text = axis_scales.plain_power if -4 <= exponent <= 4 else axis_scales.tex_power
    return text(mantissa, exponent)
