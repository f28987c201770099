"""A prediction as rows and as a table of the terminal. Never prints or saves."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from heinit_sim.checks import predicted_slope
from heinit_sim.experiment.labels import swept_text
from heinit_sim.experiment.quantities import PASS_OF, STATISTICS, Pass, Quantity
from heinit_sim.experiment.results import Prediction, SweepPrediction
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.numerics import FloatArray
from heinit_sim.reports.formats import Row, power_text, rounded, slopes_text
from heinit_sim.reports.run import swept_table
from heinit_sim.theory.assumptions import chain_slope
from heinit_sim.theory.finite_width import log_law

if TYPE_CHECKING:
    from rich.table import Table


_QUANTILES = ("p05", "median", "p95")
# Where each pass ends: h_K and ∂ℓ/∂h_0.
_ENDS: dict[Pass, tuple[Quantity, int, str]] = {
    "forward": ("activation", -1, "h_K"),
    "backward": ("grad_activation", 0, "∂ℓ/∂h_0"),
}


def prediction_layer_rows(prediction: SweepPrediction) -> Iterator[Row]:
    """The rows of `theory.csv`: one per condition, quantity and layer."""
    for forecast in prediction.conditions:
        laws = _laws(forecast)
        for quantity, direction in PASS_OF.items():
            for layer in range(forecast.condition.depth + 1):
                row: Row = {"condition": forecast.condition.index, **forecast.condition.swept}
                row |= {"pass": direction, "quantity": quantity, "layer": layer}
                for s in STATISTICS:
                    row[f"theory_log10_{s}"] = rounded(forecast.theory[quantity, s][layer])
                row |= _quantiles(forecast, quantity, layer) | _log_law(laws, quantity, layer)
                row["theory_kind"] = forecast.theory_kind(quantity, layer)
                yield row


def prediction_rows(prediction: SweepPrediction) -> list[Row]:
    """One row per condition and pass: second moments where the pass ends, and its slope."""
    rows = []
    for forecast in prediction.conditions:
        for direction, (quantity, layer, _) in _ENDS.items():
            row: Row = {"condition": forecast.condition.index, **forecast.condition.swept}
            row |= {"pass": direction, "quantity": quantity}
            row["layer"] = forecast.condition.depth if layer == -1 else layer
            row["theory_log10_second_moment"] = rounded(
                forecast.theory[quantity, "second_moment"][layer]
            )
            row |= _quantiles(forecast, quantity, layer) | _log_law(
                _laws(forecast), quantity, layer
            )
            row["theory_decades_per_layer"] = rounded(predicted_slope(forecast, direction))
            row["sampled_networks"] = forecast.sampled
            row["theory_kind"] = forecast.theory_kind(quantity, row["layer"])
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
    for row in rows:
        forward = row["pass"] == "forward"
        swept = (swept_text(path, row[path]) if forward else "" for path in config.sweep)
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
    return table


def _laws(forecast: Prediction) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation over networks of log10 of the second moment of h_k."""
    slope = chain_slope(forecast.condition)
    mean, variance = log_law(forecast.condition, math.nan if slope is None else slope)
    return mean / math.log(10), np.sqrt(variance) / math.log(10)


def _log_law(laws: tuple[FloatArray, FloatArray], quantity: Quantity, layer: int) -> Row:
    known = quantity == "activation"
    names = ("predicted_mean_of_log10", "predicted_std_of_log10")
    return {
        name: rounded(law[layer]) if known else math.nan
        for name, law in zip(names, laws, strict=True)
    }


def _quantiles(forecast: Prediction, quantity: Quantity, layer: int) -> Row:
    """Quantiles over networks of the second moment for one input; NaN where not known."""
    values = (
        forecast.quantiles[quantity][:, layer] if quantity in forecast.quantiles else [math.nan] * 3
    )
    return {
        f"predicted_log10_{name}": rounded(value)
        for name, value in zip(_QUANTILES, values, strict=True)
    }
