"""Conditions in lines along a swept number: their order, their names, their axis."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from heinit_sim.experiment.figure_kinds import swept_number
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.axes import axis_scales
from heinit_sim.figures.axes.axis_scales import Scale
from heinit_sim.figures.look.painting import Paint, painted
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words import numbers
from heinit_sim.figures.words.condition_names import Name, Names, named
from heinit_sim.figures.words.keys import axis_text
from heinit_sim.figures.words.shown import Group, groups_of_hues
from heinit_sim.figures.words.values import spelled
from heinit_sim.numerics import FloatArray

WIDE = 10  # ratio of the values from which the axis is logarithmic
MARGIN = 0.03  # of the axis, at the end without labels


@dataclass(frozen=True)
class Series:
    """Conditions that differ in the swept number alone, in its order."""

    index: int
    name: Name  # values of the other swept keys; empty where there are none
    paint: Paint
    places: list[int]  # among the conditions that are shown
    x: FloatArray  # the number, or log10 of it where the axis is logarithmic


def series_of(result: SweepResult | SweepPrediction, sheet: Sheet) -> list[Series]:
    """Return the conditions in lines along the first swept number.

    Args:
        result: Of a sweep with such a number, see `figure_kinds.unmet_need`.
        sheet: The ground that the colours are chosen for.
    """
    path, numbers, _ = _swept(result)
    look, groups = result.config.figure, _groups(result)
    names = series_names(result).names
    paints = painted(result.config, colors=look.colors, ground=sheet.ground, along=path)
    series = []
    for index, (group, name) in enumerate(zip(groups.values(), names, strict=True)):
        places = sorted(group, key=lambda place: numbers[place])
        paint = paints[result.conditions[group[0]].condition.index]
        series.append(Series(index, name, paint, places, numbers[places]))
    return series


def series_names(result: SweepResult | SweepPrediction) -> Names:
    """Return the names of the lines, by the other swept keys; empty where there are none."""
    look, conditions = result.config.figure, lines_along(result)
    if not any(condition.swept for condition in conditions):
        return Names((Name((), "", ""),), "", "")
    return named(conditions, labels=look.labels, decimal=look.decimal)


def series_groups(result: SweepResult | SweepPrediction, sheet: Sheet) -> tuple[Group, ...]:
    """Return what hues and dashes of the lines stand for."""
    path, _, _ = _swept(result)
    return groups_of_hues(result, sheet, along=path, lines=lines_along(result))


def lines_along(result: SweepResult | SweepPrediction) -> list[Condition]:
    """Return what the conditions of each line have in common, under the index of the line."""
    path, _, _ = _swept(result)
    first = [result.conditions[group[0]].condition for group in _groups(result).values()]
    return [replace(_without(each, path), index=i) for i, each in enumerate(first)]


def _groups(result: SweepResult | SweepPrediction) -> dict[str, list[int]]:
    """Return what the conditions of a line have in common -> their places among those shown."""
    path, _, _ = _swept(result)
    groups: dict[str, list[int]] = {}
    for place, outcome in enumerate(result.conditions):
        groups.setdefault(_without(outcome.condition, path).label, []).append(place)
    return groups


def _without(condition: Condition, path: str) -> Condition:
    swept = {key: value for key, value in condition.swept.items() if key != path}
    return replace(condition, swept=swept)


def axis_name(result: SweepResult | SweepPrediction) -> str:
    """Return what the axis of the swept number is called."""
    path, _, _ = _swept(result)
    return axis_text(path)


def swept_scale(result: SweepResult | SweepPrediction, direction: Pass, room: float) -> Scale:
    """Return the scale of the swept number for one pass.

    Its ticks are the swept values, or where these are too close, readable ones.

    Args:
        result: Of a sweep with such a number.
        direction: The pass; the labels of its lines are flush with the end of the axis.
        room: Length of the axis, in font sizes of its ticks.
    """
    path, x, wide = _swept(result)
    low, high = float(x.min()), float(x.max())
    margin = MARGIN * (high - low) or 0.5  # where one value is shown alone
    limits = (low - margin, high) if direction == "forward" else (low, high + margin)
    order = [int(np.flatnonzero(x == place)[0]) for place in np.unique(x)]
    numbers = [result.conditions[i].condition.swept[path] for i in order]
    ticks = spelled(path, numbers, decimal=result.config.figure.decimal)
    swept = Scale(limits, x[order].tolist(), [tick.value for tick in ticks])
    *crowded, last = (swept, *_scales(limits, wide=wide))
    apart = axis_scales.LABELS_APART
    fitting = (scale for scale in crowded if axis_scales.labels_fit(scale, room, apart))
    return next(fitting, last)


def _swept(result: SweepResult | SweepPrediction) -> tuple[str, FloatArray, bool]:
    """The path of the swept number, that of each condition shown, and whether these are log10."""
    path = swept_number(result.config.sweep)
    assert path is not None  # configs without one are refused
    numbers = np.array([outcome.condition.swept[path] for outcome in result.conditions], float)
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
    text = axis_scales.plain_power if -4 <= exponent <= 4 else numbers.tex_power
    return text(mantissa, exponent)
