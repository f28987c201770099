"""Conditions in lines along a swept number: their order, their names, their axis."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from heinit_sim.curves import label_of
from heinit_sim.figure_kinds import swept_number
from heinit_sim.records import Condition, Pass, SweepConfig
from heinit_sim.scales import (
    Scale,
    decade_scale,
    plain_scale,
    power_text,
    text_width,
    value_text,
)
from heinit_sim.strokes import Paint, paints

Array = NDArray[np.float64]

AXES = {
    "network.depth": "Hidden layers, $K$",
    "network.width": "Width, $D_h$",
    "network.input_dim": "Inputs of the network, $D_i$",
    "network.output_dim": "Outputs of the network, $D_o$",
    "network.activation.negative_slope": "Slope below zero",
    "init.variance": r"Variance of the weights, $\sigma^2_\Omega$",
    "init.bias_variance": r"Variance of the biases, $\sigma^2_b$",
    "inputs.count": "Inputs in the batch",
    "loss.target": "Target, $y$",
}
WIDE = 10  # ratio of the values from which the axis is logarithmic
MARGIN = 0.03  # of the axis, at the end without labels
TICK_SIZE, TICKS_APART, TICKS_ROOM = 13, 9, 210  # points


@dataclass(frozen=True)
class Series:
    """Conditions that differ in the swept number alone, in its order."""

    index: int
    label: str
    """What else is swept; empty where nothing is."""
    paint: Paint
    places: list[int]
    """Of the conditions in the grid."""
    x: Array
    """The number, or log10 of it where the axis is logarithmic."""


def series_of(config: SweepConfig) -> list[Series]:
    """Return the conditions in lines along the first swept number.

    Args:
        config: A sweep with such a number, see `figure_kinds.misfit`.
    """
    path = _path(config)
    groups: dict[str, list[Condition]] = {}
    for condition in config.conditions:
        others = {key: value for key, value in condition.swept.items() if key != path}
        alone = replace(condition, swept=others)
        groups.setdefault(alone.label, []).append(alone)
    order = np.argsort(_numbers(config, path))
    x = np.sort(_numbers(config, path))
    x = np.log10(x) if _is_wide(x) else x
    return [
        Series(
            index,
            label_of(group[0]) if text else "",
            paint,
            [group[place].index for place in order],
            x,
        )
        for index, ((text, group), paint) in enumerate(
            zip(groups.items(), paints(len(groups)), strict=True)
        )
    ]


def swept_axis(config: SweepConfig, direction: Pass) -> tuple[Scale, str]:
    """Return the scale of the swept number for one pass, and what the axis is called."""
    path = _path(config)
    numbers = _numbers(config, path)
    x = np.log10(numbers) if _is_wide(numbers) else numbers
    low, high = float(x.min()), float(x.max())
    margin = MARGIN * (high - low)
    limits = (low - margin, high) if direction == "forward" else (low, high + margin)
    name = AXES.get(path, path.rpartition(".")[2].replace("_", " ").capitalize())
    return (_wide_scale(limits) if _is_wide(numbers) else plain_scale(limits)), name


def _path(config: SweepConfig) -> str:
    path = swept_number(config.sweep)
    assert path is not None  # configs without one are refused
    return path


def _numbers(config: SweepConfig, path: str) -> Array:
    return np.array(config.sweep[path], float)


def _is_wide(numbers: Array) -> bool:
    return bool(min(numbers) > 0 and max(numbers) >= WIDE * min(numbers))


def _wide_scale(limits: tuple[float, float]) -> Scale:
    """Return a logarithmic scale with as many ticks as there is room for."""
    low, high = limits
    exponents = range(math.floor(low), math.ceil(high) + 1)
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        ticks = [(m, e) for e in exponents for m in mantissas if low <= math.log10(m) + e <= high]
        labels = [_tick_text(m, e) for m, e in ticks]
        wanted = sum(TICK_SIZE * text_width(label) + TICKS_APART for label in labels)
        if wanted <= TICKS_ROOM and len(ticks) > 1:
            return Scale(limits, [math.log10(m) + e for m, e in ticks], labels)
    return decade_scale(limits)


def _tick_text(mantissa: int, exponent: int) -> str:
    plain = -4 <= exponent <= 4
    return value_text(mantissa * 10.0**exponent) if plain else power_text(mantissa, exponent)
