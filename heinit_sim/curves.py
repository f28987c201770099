"""What the figures show, before anything is drawn: curves, their scale, their labels' places."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from heinit_sim.records import (
    Condition,
    ConditionResult,
    Measure,
    Pass,
    Prediction,
    Quantity,
    Statistic,
    SweepPrediction,
    SweepResult,
)
from heinit_sim.spread import Spread, spread

Array = NDArray[np.float64]

MAX_LAYERS = 1000  # a panel has no room to show more
QUANTITIES: dict[Pass, Quantity] = {"forward": "activation", "backward": "grad_activation"}


@dataclass(frozen=True)
class Curve:
    """What one condition shows in one pass: log10 on the layers drawn, -inf where all is zero."""

    condition: Condition
    label: str
    color: Array
    ink: Array  # the colour, darkened for text
    layers: NDArray[np.int64]
    seen: Spread
    theory: Array
    exact: bool
    typical: bool  # whether `seen` is of networks, measured or predicted; else the predicted mean
    predicted: Array | None  # 5 % quantile, median, 95 % quantile for one input, (3, layers)
    weight: float  # of lines: 1, or less where many must fit


def curves_of(result: SweepResult | SweepPrediction, direction: Pass) -> list[Curve]:
    """Return one curve per condition, of the statistic that the config asks for.

    Of a prediction the networks seen are those that are predicted for one input.
    """
    shown = result.config.figure.quantity
    statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
    measure, factor = (QUANTITIES[direction], statistic), 0.5 if shown == "std" else 1.0
    colors = matplotlib.colormaps["plasma"](np.linspace(0.1, 0.82, len(result.conditions)))
    weight = min(1.0, (7 / len(result.conditions)) ** 0.6)
    curves = []
    for one, color in zip(result.conditions, colors, strict=True):
        depth = one.condition.depth
        layers = np.linspace(0, depth, min(depth, MAX_LAYERS) + 1).round().astype(np.int64)
        exact = one.theory_kind == "exact" and bool(np.isfinite(one.theory[measure]).all())
        theory = factor * (one.theory if exact else one.mean_field)[measure][layers]
        quantiles = _predicted(one, measure, layers)
        predicted = None if quantiles is None else factor * quantiles
        typical = isinstance(one, ConditionResult) or predicted is not None
        if isinstance(one, ConditionResult):
            seen = spread(factor * one.networks[measure][:, layers])
        else:
            low, median, high = [theory] * 3 if predicted is None else predicted
            seen, predicted = Spread(theory, 0 * theory, median, low, high), None
        label = label_of(one.condition)
        if not np.isfinite(seen.median).any():
            label += " (all zero)" if np.isneginf(seen.median).any() else " (out of range)"
        ink = color * (0.6, 0.6, 0.6, 1.0)
        curves.append(
            Curve(
                one.condition,
                label,
                color,
                ink,
                layers,
                seen,
                theory,
                exact,
                typical,
                predicted,
                weight,
            )
        )
    return curves


def _predicted(one: Prediction, measure: Measure, layers: NDArray[np.int64]) -> Array | None:
    """Return the predicted quantiles of a statistic over networks of one input.

    Known are those of the second moment; the variance is the infinite-width share of it.
    """
    quantity, statistic = measure
    if quantity not in one.quantiles:
        return None
    share = one.mean_field[quantity, statistic] - one.mean_field[quantity, "second_moment"]
    return (one.quantiles[quantity] + share)[:, layers]


def caption_of(
    forward: list[Curve],
    backward: list[Curve],
    result: SweepResult | SweepPrediction,
    *,
    banded: bool,
) -> str:
    """Return one line that says what is what; `banded` if predicted bands are drawn."""
    first = result.conditions[0]
    if isinstance(first, ConditionResult):
        n = len(next(iter(first.networks.values())))
        thick = f"median of {n} networks; band: 5–95 %" if n > 1 else "one network"
    else:
        known = {curve.typical for curve in forward + backward}
        thick = "predicted median for one input; band: 5–95 % of networks"
        if False in known:
            thick = "predicted mean"
            thick += ", or median and 5–95 % band for one input" * (True in known)
    a, b = (
        " or ".join(sorted({"exact mean" if c.exact else "infinite width" for c in panel}))
        for panel in (forward, backward)
    )
    thin = a if a == b else f"a: {a}, b: {b}"
    circles = " Circles: curves as published." if result.config.figure.overlay else ""
    dotted = " Dotted: predicted median, 5–95 % (one input)." if banded else ""
    dashed = "Dashed in b: the forward pass."
    return f"Thick: {thick}. Thin: theory ({thin}).{dotted} {dashed}{circles}"


def label_of(condition: Condition) -> str:
    """Return what sets a condition apart, e.g. "width = 200"."""
    low, high = (_value(pick(condition.weight_variances)) for pick in (min, max))
    swept = condition.swept or {"init.variance": low if low == high else f"{low}–{high}"}
    equals = " = " if len(swept) == 1 else "="
    parts = []
    for path, value in swept.items():
        name = path.rsplit(".", 1)[-1].replace("_", " ")
        name = r"$\sigma^2_\Omega$" if path == "init.variance" else name
        # Between others, a word like "relu" says itself what it is.
        bare = len(swept) > 1 and not isinstance(value, int | float)
        parts.append(_value(value) if bare else name + equals + _value(value))
    return ", ".join(parts)


def _value(value: object) -> str:
    """Return a swept value as short text."""
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.10g}".partition("e")
        return _power(float(mantissa), int(exponent)) if exponent else mantissa
    if isinstance(value, Mapping):
        value = list(value.values())
    text = " ".join(map(_value, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= 24 or "$" in text else f"{text[:23]}…"


def _power(mantissa: float, exponent: int) -> str:
    factor = "" if mantissa == 1 else rf"{mantissa:.10g}\times"
    return f"${factor}10^{{{exponent}}}$"


def fitted_limits(curves: list[Curve]) -> tuple[float, float]:
    """Return the decades that hold every curve, with a margin; at least 0.3 of them."""
    drawn = [v for c in curves for v in (c.seen.median, c.seen.p05, c.seen.p95, c.theory)]
    drawn += [c.predicted.ravel() for c in curves if c.predicted is not None]
    values = np.concatenate(drawn)
    finite = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    low, high = float(finite.min()), float(finite.max())
    margin = max(0.04 * (high - low), (0.3 - (high - low)) / 2)
    return low - margin, high + margin


def decade_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return readable ticks between two log10 values, and their labels as numbers."""
    base = math.floor(low)  # taken out below: 10**low may be past float range
    if high - low >= 2.5:
        ticks = MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]).tick_values(low, high)
        found = [(1.0, int(e)) for e in ticks]
    elif high - low >= 1:
        found = [(m, e) for e in range(base, math.ceil(high) + 1) for m in (1.0, 2.0, 5.0)]
    else:
        mantissas = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(
            10 ** (low - base), 10 ** (high - base)
        )
        found = [(float(m), base) for m in mantissas if m > 0]
    inside = [(m, e) for m, e in found if low <= math.log10(m) + e <= high]
    if high - low < 2.5 and low >= -4 and high <= 4:
        labels = [f"{m * 10.0**e:.10g}" for m, e in inside]
    else:
        labels = [_power(m, e) for m, e in inside]
    return [math.log10(m) + e for m, e in inside], labels


def spread_out(wanted: Array, gap: float, low: float, high: float) -> Array:
    """Move positions as little as possible (least squares) until neighbours are a gap apart."""
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    blocks: list[tuple[float, int]] = []  # of positions that touch: their sum and number
    for total in wanted[order] - steps:
        count = 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            total, count = total + blocks[-1][0], count + blocks.pop()[1]
        blocks.append((total, count))
    levels = np.concatenate([np.full(count, total / count) for total, count in blocks])
    placed = np.empty_like(wanted)
    placed[order] = np.clip(levels, low, high - steps[-1]) + steps
    return placed


def load_published(direction: Pass) -> dict[float, Array]:
    """Load one panel of the published Figure 7.4: σ²_Ω -> points (layer, log10 value)."""
    source = resources.files("heinit_sim") / "data" / "figure_7_4_published.csv"
    curves: dict[float, list[tuple[float, float]]] = {}
    with source.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["panel"] == direction:
                point = float(row["layer"]), float(row["log10_value"])
                curves.setdefault(float(row["weight_variance"]), []).append(point)
    return {variance: np.array(points) for variance, points in curves.items()}
