"""Curves before they are drawn: values, labels and captions."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.labels import SELF_EXPLAINING
from heinit_sim.experiment.quantities import Measure, Pass, Quantity, Statistic
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.axis_scales import layers_drawn, number_text, swept_texts
from heinit_sim.figures.lines import Line, of_panels, paints
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import spread

_NAMED = (int, float, type(None))  # values that say nothing without the name of their key
SYMBOLS: dict[Pass, str] = {"forward": "$h_k$", "backward": r"$\partial\ell/\partial h_k$"}
WORDS = {"variance": "Variance", "second_moment": "Second moment", "std": "Standard deviation"}
QUANTITIES: dict[Pass, Quantity] = {"forward": "activation", "backward": "grad_activation"}


@dataclass(frozen=True, kw_only=True)
class Curve(Line):
    """One condition in one pass: log10 values on the layers drawn, -inf where all is zero."""

    condition: Condition
    exact: bool  # whether `theory` holds at finite width
    typical: bool  # whether `middle` is of networks, measured or predicted; else the predicted mean


def curves_of(result: SweepResult | SweepPrediction, direction: Pass) -> list[Curve]:
    """Return one curve per condition, of the statistic that the config asks for.

    Of a prediction the networks seen are those that are predicted for one input.
    """
    shown = result.config.figure.quantity
    statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
    measure, factor = (QUANTITIES[direction], statistic), 0.5 if shown == "std" else 1.0
    curves = []
    labels = labels_of([outcome.condition for outcome in result.conditions])
    for outcome, label, paint in zip(result.conditions, labels, paints(len(labels)), strict=True):
        depth = outcome.condition.depth
        layers = layers_drawn(depth)
        exact = outcome.exact_layers.get(measure[0], 0) > depth
        exact = exact and bool(np.isfinite(outcome.theory[measure]).all())
        theory = factor * (outcome.theory if exact else outcome.mean_field)[measure][layers]
        quantiles = _predicted_quantiles(outcome, measure, layers)
        predicted = None if quantiles is None else factor * quantiles
        typical = isinstance(outcome, ConditionResult) or predicted is not None
        if isinstance(outcome, ConditionResult):
            seen = spread(factor * outcome.networks[measure][:, layers])
            low, median, high = seen.p05, seen.median, seen.p95
        else:
            low, median, high = [theory] * 3 if predicted is None else predicted
            predicted = None
        if not np.isfinite(median).any():
            unknown = "out of range" if isinstance(outcome, ConditionResult) else "not known"
            label += " (all zero)" if np.isneginf(median).any() else f" ({unknown})"
        c, x = outcome.condition, layers.astype(float)
        line = (c.index, label, paint, x, median, low, high, theory, predicted)
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


def caption_of(
    forward: list[Curve],
    backward: list[Curve],
    result: SweepResult | SweepPrediction,
    *,
    banded: bool,
) -> str:
    """Return what says which line is which; `banded` if predicted bands are drawn."""
    first = result.conditions[0]
    if isinstance(first, ConditionResult):
        thick = networks_text(len(next(iter(first.networks.values()))))
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
    dotted = " Dotted: predicted median, 5–95 % (one input)." if banded else ""
    narrow = any(outcome.misfit is not None for outcome in result.conditions)
    ends = " Theory ends where layers are too narrow for it." if narrow else ""
    return f"Thick: {thick}. Thin: theory ({of_panels(a, b)}).{dotted}{ends}"


def networks_text(count: int) -> str:
    """Return what a thick line and its band show of so many networks."""
    return f"median of {count} networks; band: 5–95 %" if count > 1 else "one network"


def labels_of(conditions: Sequence[Condition]) -> list[str]:
    """Return what sets each of the conditions apart, e.g. "width = 200"."""
    swept = [condition.swept or _init_of(condition) for condition in conditions]
    texts: list[dict[str, str]] = [{} for _ in swept]
    for path in dict.fromkeys(path for values in swept for path in values):
        having = [n for n, values in enumerate(swept) if path in values]
        values = [swept[n][path] for n in having]
        for n, text in zip(having, swept_texts(path, values), strict=True):
            texts[n][path] = text
    return [_label(*pair) for pair in zip(swept, texts, strict=True)]


def _init_of(condition: Condition) -> Mapping[str, object]:
    if condition.lsuv:
        return {"init.scheme": "lsuv"}
    rounded = [float(f"{pick(condition.weight_variances):.4g}") for pick in (min, max)]
    low, high = map(number_text, rounded)
    return {"init.variance": low if low == high else f"{low}–{high}"}


def _label(swept: Mapping[str, object], texts: Mapping[str, str]) -> str:
    equals = " = " if len(swept) == 1 else "="
    parts = []
    for path, value in swept.items():
        name = path.rsplit(".", 1)[-1].replace("_", " ")
        name = r"$\sigma^2_\Omega$" if path == "init.variance" else name
        # Between others, a word like "relu" says itself what it is.
        bare = path in SELF_EXPLAINING or (len(swept) > 1 and not isinstance(value, _NAMED))
        parts.append(texts[path] if bare else name + equals + texts[path])
    return ", ".join(parts)


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
