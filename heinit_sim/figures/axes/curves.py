"""Curves before they are drawn: values, labels and captions."""

import csv
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import Measure, Pass, Quantity, Statistic
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.axes.axis_scales import layers_drawn
from heinit_sim.figures.axes.lines import Line
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.words.shown import named_outcomes
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import spread

SYMBOLS: dict[Pass, str] = {"forward": "$h_k$", "backward": r"$\partial\ell/\partial h_k$"}
WORDS = {"variance": "Variance", "second_moment": "Second moment", "std": "Standard deviation"}
QUANTITIES: dict[Pass, Quantity] = {"forward": "activation", "backward": "grad_activation"}


@dataclass(frozen=True, kw_only=True)
class Curve(Line):
    """One condition in one pass: log10 values on the layers drawn, -inf where all is zero."""

    condition: Condition
    exact: bool  # whether `theory` holds at finite width
    typical: bool  # whether `middle` is of networks, measured or predicted; else the predicted mean


def curves_of(result: SweepResult | SweepPrediction, direction: Pass, sheet: Sheet) -> list[Curve]:
    """Return one curve per condition, of the statistic that the config asks for.

    Of a prediction the networks seen are those that are predicted for one input.
    """
    shown = result.config.figure.quantity
    statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
    measure, factor = (QUANTITIES[direction], statistic), 0.5 if shown == "std" else 1.0
    curves = []
    for outcome, name, paint in named_outcomes(result, sheet):
        layers = layers_drawn(outcome.condition.depth)
        theory, exact = outcome.theory_shown(measure)
        theory = factor * theory[layers]
        quantiles = _predicted_quantiles(outcome, measure, layers)
        predicted = None if quantiles is None else factor * quantiles
        typical = isinstance(outcome, ConditionResult) or predicted is not None
        if isinstance(outcome, ConditionResult):
            seen = spread(factor * outcome.networks[measure][:, layers])
            low, median, high = seen.p05, seen.median, seen.p95
        else:
            low, median, high = [theory] * 3 if predicted is None else predicted
            predicted = None
        remark = ""
        if not np.isfinite(median).any():
            unknown = "out of range" if isinstance(outcome, ConditionResult) else "not known"
            remark = " (all zero)" if np.isneginf(median).any() else f" ({unknown})"
        c, x = outcome.condition, layers.astype(float)
        texts = name.full + remark, name.short + remark
        line = (c.index, *texts, paint, x, median, low, high, theory, predicted)
        curves.append(Curve(*line, condition=c, exact=exact, typical=typical))
    return curves


def _predicted_quantiles(
    outcome: Prediction, measure: Measure, layers: NDArray[np.int64]
) -> FloatArray | None:
    """Return the predicted quantiles of a statistic over networks of one input.

    Known are those of the second moment; the variance is the infinite-width share of it.
    """
    quantity, statistic = measure
    if quantity not in outcome.quantiles:
        return None
    share = outcome.mean_field[quantity, statistic].copy()
    second = outcome.mean_field[quantity, "second_moment"]
    np.subtract(share, second, out=share, where=np.isfinite(second))  # else both are 0
    return (outcome.quantiles[quantity] + share)[:, layers]


def load_published(direction: Pass) -> dict[float, FloatArray]:
    """Load one panel of the published Figure 7.4: σ²_Ω -> points (layer, log10 value)."""
    source = resources.files("heinit_sim") / "data" / "figure_7_4_published.csv"
    curves: dict[float, list[tuple[float, float]]] = {}
    with source.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            if row["panel"] == direction:
                point = float(row["layer"]), float(row["log10_value"])
                curves.setdefault(float(row["weight_variance"]), []).append(point)
    return {variance: np.array(points) for variance, points in curves.items()}
