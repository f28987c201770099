"""A prediction as rows and as a table of the terminal. Never prints or saves."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from heinit_sim.checks import predicted_slope
from heinit_sim.experiment.quantities import (
    EVERY_PASS_OF,
    STATISTICS,
    UPDATE_PASS_OF,
    Pass,
    Quantity,
    Statistic,
)
from heinit_sim.experiment.results import Prediction, SweepPrediction
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.reports.formats import Row, power_text, rounded, slopes_text
from heinit_sim.reports.summary_table import swept_cells, swept_table
from heinit_sim.theory import assumptions
from heinit_sim.theory.finite_width import log_law

if TYPE_CHECKING:
    from rich.table import Table

# Where each pass ends: h_K and ∂ℓ/∂h_0.
_ENDS: dict[Pass, tuple[Quantity, int, str]] = {
    "forward": ("activation", -1, "h_K"),
    "backward": ("grad_activation", 0, "∂ℓ/∂h_0"),
}


def prediction_layer_rows(prediction: SweepPrediction) -> Iterator[Row]:
    """The rows of `theory.csv`: one per condition, quantity and layer."""
    predicted = [q for q in prediction.config.record.pass_of if q not in UPDATE_PASS_OF]
    for forecast in prediction.conditions:
        laws = _laws(forecast)
        for quantity in predicted:
            for layer in range(forecast.condition.depth + 1):
                row = _row(forecast, quantity, layer, STATISTICS, laws)
                yield row | {"theory_kind": forecast.theory_kind(quantity, layer)}


def prediction_rows(prediction: SweepPrediction) -> list[Row]:
    """One row per condition and pass: second moments where the pass ends, and its slope."""
    rows = []
    for forecast in prediction.conditions:
        laws = _laws(forecast)
        for direction, (quantity, end, _) in _ENDS.items():
            layer = range(forecast.condition.depth + 1)[end]
            row = _row(forecast, quantity, layer, ("second_moment",), laws)
            row["theory_decades_per_layer"] = rounded(predicted_slope(forecast, direction))
            row["sampled_networks"] = forecast.sampled
            row["misfit_layer"] = forecast.misfit
            row["theory_kind"] = forecast.theory_kind(quantity, layer)
            rows.append(row)
    return rows


def to_prediction_table(config: SweepConfig, rows: Sequence[Row]) -> "Table":
    """The table of `prediction_rows`, 80 columns wide for one swept key."""
    title = f"{config.name}: second moments predicted where each pass ends"
    table = swept_table(config, title)
    table.add_column("pass", no_wrap=True)
    for header in ("mean", "median", "5 %", "95 %", "slope"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("mean is", no_wrap=True)
    for row, texts in zip(rows, swept_cells(config, rows), strict=True):
        forward = row["pass"] == "forward"
        swept = (text if forward else "" for text in texts)
        values = (row["theory_log10_second_moment"],)
        values += tuple(row[f"predicted_log10_{name}"] for name in ("median", "p05", "p95"))
        table.add_row(
            *swept,
            _ENDS[row["pass"]][2],
            *("—" if math.isnan(value) else power_text(value) for value in values),
            slopes_text(row["theory_decades_per_layer"]),
            row["theory_kind"].replace("_", " "),
            end_section=not forward,
        )
    table.caption = "Median, 5 % and 95 %: of networks of one input.\nSlope: decades per layer."
    if any(row["misfit_layer"] is not None for row in rows):
        first = min(row["misfit_layer"] for row in rows if row["misfit_layer"] is not None)
        table.caption += f"\nMean —: from layer {first} on too narrow for infinite width."
    return table


def _laws(forecast: Prediction) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation over networks of log10 of the second moment of h_k."""
    slope = assumptions.chain_slope(forecast.condition)
    mean, variance = log_law(forecast.condition, math.nan if slope is None else slope)
    return mean / math.log(10), np.sqrt(variance) / math.log(10)


def _row(
    forecast: Prediction,
    quantity: Quantity,
    layer: int,
    statistics: Sequence[Statistic],
    laws: tuple[FloatArray, FloatArray],
) -> Row:
    """Where a row is, and the mean, quantiles and law of log10 there; NaN where not known."""
    condition = forecast.condition
    row: Row = {"condition": condition.index, **condition.swept}
    row |= {"pass": EVERY_PASS_OF[quantity], "quantity": quantity, "layer": layer}
    for s in statistics:
        row[f"theory_log10_{s}"] = rounded(forecast.theory_mean(quantity, s, layer))
    unknown = np.full((3, condition.depth + 1), math.nan)
    quantiles = forecast.quantiles.get(quantity, unknown)[:, layer]
    for name, value in zip(("p05", "median", "p95"), quantiles, strict=True):
        row[f"predicted_log10_{name}"] = rounded(value)
    for name, law in zip(("mean", "std"), laws, strict=True):
        value = law[layer] if quantity == "activation" else math.nan
        row[f"predicted_{name}_of_log10"] = rounded(value)
    return row
