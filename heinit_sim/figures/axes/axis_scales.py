"""The scales of a figure's axes: their ranges, their ticks and what these say."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import Pass
from heinit_sim.figures.words.numbers import number_text, tex_power, with_decimal
from heinit_sim.figures.words.text_size import LINE, text_width
from heinit_sim.numerics import FloatArray

LEAST_DECADES = 0.3
MAX_LAYERS = 1000  # a panel has no room to show more
LABELS_APART = 0.35  # sizes of their font between the labels of ticks
_MARGIN = 0.04  # of a fitted range, at either end


@dataclass(frozen=True)
class Scale:
    """A range with its ticks; on a logarithmic axis all of it as log10."""

    limits: tuple[float, float]
    ticks: Sequence[float]
    labels: Sequence[str]

    def with_decimal(self, mark: str) -> "Scale":
        """Return the scale with another decimal mark than a point, thousands kept apart by it."""
        if mark == ".":
            return self
        texts = [with_decimal(text.replace(",", "\u202f"), mark) for text in self.labels]
        return replace(self, labels=texts)


def labels_fit(scale: Scale, room: float, gap: float) -> bool:
    """Whether the labels of ticks stand `gap` apart on an axis of `room`, in their font's sizes."""
    places = np.array(scale.ticks) * room / (scale.limits[1] - scale.limits[0])
    widths = np.array([text_width(label) for label in scale.labels])
    return bool((np.diff(places) >= (widths[:-1] + widths[1:]) / 2 + gap).all())


def heights_fit(scale: Scale, room: float) -> bool:
    """Whether the labels of ticks stand one above the other on an axis of `room`, as above."""
    places = np.array(scale.ticks) * room / (scale.limits[1] - scale.limits[0])
    return bool((abs(np.diff(places)) >= LINE).all())


def with_most_ticks(
    scale_of: Callable[[tuple[float, float], int], Scale], limits: tuple[float, float], room: float
) -> Scale:
    """Return the scale of an axis of `room` with the most ticks that stand beside each other."""
    scales = (scale_of(limits, most) for most in range(7, 0, -1))
    return next(
        (scale for scale in scales if labels_fit(scale, room, LABELS_APART)), scale_of(limits, 1)
    )


def plain_power(mantissa: float, exponent: int) -> str:
    """Return mantissa × 10^exponent as a number, e.g. "0.02"."""
    return number_text(mantissa * 10.0**exponent)


def fitted_limits(
    values: Sequence[FloatArray], least: float = LEAST_DECADES
) -> tuple[float, float]:
    """Return a range that holds every finite value, with a margin; at least so long."""
    drawn = np.concatenate([value.ravel() for value in values])
    finite = drawn[np.isfinite(drawn)] if np.isfinite(drawn).any() else np.zeros(1)
    low, high = float(finite.min()), float(finite.max())
    margin = max(_MARGIN * (high - low), (least - (high - low)) / 2)
    return low - margin, high + margin


def layer_scale(depth: int, direction: Pass, room: float) -> Scale:
    """Return the scale of the layers 0 … K of one pass, flush with its labels.

    The last layer has a tick; the other ticks are as many as have room beside each other.
    """
    limits = (-0.02 * depth, depth) if direction == "forward" else (0, 1.02 * depth)
    for most in (5, 4, 3, 2, 1):
        step = MaxNLocator(most, integer=True).tick_values(0, depth)
        inner = [float(k) for k in step if k <= depth - (step[1] - step[0]) / 2]
        ticks = [*inner, float(depth)] if depth else [0.0]
        scale = Scale(limits, ticks, [f"{k:,.0f}" for k in ticks])
        if labels_fit(scale, room, LABELS_APART):
            return scale
    return Scale(limits, [float(depth)], [f"{depth:,}"])


def layers_drawn(last: int) -> NDArray[np.int64]:
    """Return the layers 0 … last, or as many of them, evenly, as a panel has room to show."""
    return np.linspace(0, last, min(last, MAX_LAYERS) + 1).round().astype(np.int64)


def plain_scale(limits: tuple[float, float], most: int = 7) -> Scale:
    """Return a linear scale with `most` steps at most."""
    low, high = limits
    ticks = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    inside = [float(tick) for tick in ticks if low <= tick <= high]
    return Scale(limits, inside, [f"{tick:.10g}".replace("-", "−") for tick in inside])


def decade_scale(limits: tuple[float, float], most: int = 7) -> Scale:
    """Return a logarithmic scale between two log10 values, with readable ticks."""
    low, high = limits
    base = math.floor(low)  # taken out below: 10**low may be past float range
    if high - low >= 2.5:
        ticks = MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
        candidates = [(1.0, int(e)) for e in ticks]
    elif high - low >= 1:
        mantissas = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))[0 if most > 5 else 1 if most > 3 else 2]
        candidates = [(m, e) for e in range(base, math.ceil(high) + 1) for m in mantissas]
    else:
        ends = 10 ** (low - base), 10 ** (high - base)
        values = MaxNLocator(min(most, 6), steps=[1, 2, 2.5, 5, 10]).tick_values(*ends)
        candidates = [(float(value), base) for value in values if value > 0]
    plain = high - low < 2.5 and low >= -4 and high <= 4
    return power_scale(limits, candidates, plain_power if plain else tex_power)


def power_scale(
    limits: tuple[float, float],
    candidates: Iterable[tuple[float, int]],
    text: Callable[[float, int], str],
) -> Scale:
    """Return a logarithmic scale with those of the ticks m × 10^e, (m, e), that are on it."""
    low, high = limits
    inside = [(m, e) for m, e in candidates if low <= math.log10(m) + e <= high]
    ticks = [math.log10(m) + e for m, e in inside]
    return Scale(limits, ticks, [text(m, e) for m, e in inside])
