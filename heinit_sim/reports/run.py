"""A run as rows, and as its CSV files."""

import csv
import io
import math
from collections.abc import Iterable, Iterator

import numpy as np

from heinit_sim.checks import trend, width_slopes
from heinit_sim.experiment import results
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.records import RATIO_FILES, RATIOS, RatioRecord
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.experiment.width_groups import WIDTH_SLOPES_FILE, has_width_slopes
from heinit_sim.numerics.spread import LN10, spread
from heinit_sim.reports import formats
from heinit_sim.reports.formats import Row, rounded, ten_digits
from heinit_sim.reports.number_range import FLOAT32_LAYERS, float32_layers, range_rows
from heinit_sim.simulation import ratio_spread

PASSES: tuple[Pass, ...] = ("forward", "backward")
NUMBERS = (
    "log10_variance_first",
    "log10_variance_last",
    *(f"{theory}{d}_decades_per_layer" for d in PASSES for theory in ("", "theory_")),
)
"""The columns of `summary.csv` that the table shows as numbers."""
_LOSS = (
    *("loss_mean", "loss_se", "loss_median", "loss_p05", "loss_p95"),
    *("theory_loss", "uniform_loss"),
)
INPUT, OUTPUT = "log10_input_variance", "log10_output_second_moment"
STABLE = ("drift_decades_per_layer", "allowed_decades_per_layer")
_OTHERS = (INPUT, OUTPUT, *STABLE, *(f"{d}_decades_per_layer_se" for d in PASSES))
_JACOBIAN = (
    *(f"log10_jacobian_second_moment_{name}" for name in ("mean", "se", "median")),
    "theory_log10_jacobian_second_moment",
    *(f"log10_largest_singular_value_{name}" for name in ("median", "p05", "p95")),
    "theory_log10_largest_singular_value",
    "log10_condition_number_median",
)


def csv_files(result: SweepResult) -> dict[str, str]:
    """The CSV files of a run: name -> text."""
    files: dict[str, Iterable[Row]] = {}
    files |= {"layers.csv": layer_rows(result), "summary.csv": summary_rows(result)}
    for name in result.config.record.ratio_records:
        rows = range_rows(result) if name == "range" else ratio_rows(result, name)
        files[RATIO_FILES[name]] = rows
    if has_width_slopes(result.config):
        files[WIDTH_SLOPES_FILE] = width_slope_rows(result)
    return {name: formats.to_csv(rows) for name, rows in files.items()}


def layer_rows(result: SweepResult) -> Iterator[Row]:
    """The rows of `layers.csv`: those of the result, rounded."""
    for row in results.layer_rows(result):
        numbers = [key for key in row if key.startswith(("log10_", "theory_log10_"))]
        yield row | {key: rounded(row[key]) for key in numbers}


def ratio_rows(result: SweepResult, record: RatioRecord) -> Iterator[Row]:
    """The rows of a file of ratios: one per condition, quantity and layer."""
    names = list(dict.fromkeys(ratio for _, ratio in RATIOS[record]))
    for outcome in result.conditions:
        for quantity in dict.fromkeys(quantity for quantity, _ in RATIOS[record]):
            taken = [name for name in names if (quantity, name) in RATIOS[record]]
            spreads = {name: ratio_spread(outcome, (quantity, name)) for name in taken}
            for layer in range(outcome.condition.depth + 1):
                row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
                row |= {"quantity": quantity, "layer": layer}
                row["networks"] = max(int(spreads[name].networks[layer]) for name in taken)
                for name in names:
                    for key in ("mean", "se", "median", "p05", "p95"):
                        number = getattr(spreads[name], key)[layer] if name in spreads else math.nan
                        row[f"{name}_{key}"] = rounded(number)
                for name in names:
                    theory = outcome.theory_ratios.get((quantity, name))
                    row[f"theory_{name}"] = rounded(math.nan if theory is None else theory[layer])
                yield row


def width_slope_rows(result: SweepResult) -> Iterator[Row]:
    """The rows of `width_slopes.csv`: one per group of widths, quantity and layer."""
    for found in width_slopes(result):
        numbers = zip(found.layers, found.slopes, found.errors, strict=True)
        for layer, slope, error in numbers:
            yield {
                **found.others,
                "quantity": found.quantity,
                "layer": layer,
                "slope_per_doubling": rounded(slope),
                "se": rounded(error),
                "widths": " ".join(f"{width:g}" for width in found.widths),
            }


def summary_rows(result: SweepResult) -> list[Row]:
    """The rows of `summary.csv`: one per condition."""
    rows = []
    for outcome in result.conditions:
        row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
        activation = outcome.networks["activation", "variance"]
        row["networks"] = len(activation)
        for name, layer in (("first", 1), ("last", outcome.condition.depth)):
            row[f"log10_variance_{name}"] = rounded(np.median(activation[:, layer]).item())
        output = outcome.networks["preactivation", "second_moment"][:, -1]
        for name, values in ((INPUT, activation[:, 0]), (OUTPUT, output)):
            row[name] = rounded(np.median(values).item())
        row |= dict(zip(_LOSS, _losses(outcome), strict=True))
        trends = {direction: trend(outcome, direction) for direction in PASSES}
        for direction, fit in trends.items():
            row[f"{direction}_decades_per_layer"] = rounded(fit.decades_per_layer)
            row[f"{direction}_decades_per_layer_se"] = rounded(fit.error)
            row[f"theory_{direction}_decades_per_layer"] = rounded(fit.theory_decades_per_layer)
            row[f"{direction}_verdict"] = fit.word
            row[f"{direction}_reason"] = fit.reason
        for name, value in zip(STABLE, (fit.drift, fit.allowed), strict=True):  # of both passes
            row[name] = rounded(value)
        forward, backward = (trends[direction].word for direction in PASSES)
        row["verdict"] = forward if forward == backward else f"{forward} / {backward}"
        if result.config.record.range:
            row |= float32_layers(outcome)
        if result.config.record.jacobian:
            row |= _jacobian_columns(outcome)
        rows.append(row)
    return rows


def _jacobian_columns(outcome: ConditionResult) -> Row:
    """The size of ∂f_K/∂x of the first input, its largest singular value, and its condition."""
    unknown = np.full((len(outcome.networks["activation", "variance"]), 1), math.nan)
    size = outcome.outputs["log10_jacobian_second_moment"]
    values = outcome.outputs.get("log10_singular_values", unknown)
    with np.errstate(invalid="ignore"):  # of a network whose singular values are all 0
        condition = np.median(values[:, 0] - values[:, -1])
    sizes, largest = spread(size), spread(values[:, :1])
    numbers = [*(getattr(sizes, name) for name in ("mean", "se", "median"))]
    numbers += [outcome.theory_outputs["log10_jacobian_second_moment"]]
    numbers += [*(getattr(largest, name) for name in ("median", "p05", "p95"))]
    numbers += [outcome.theory_outputs.get("log10_singular_values", unknown[0]), [condition]]
    return {name: rounded(float(z[0])) for name, z in zip(_JACOBIAN, numbers, strict=True)}


def _losses(outcome: ConditionResult) -> Iterator[float]:
    """Mean, error, median and quantiles of the losses of networks, theory's mean and ln V.

    Plain numbers; NaN where one is not known, or beyond the range of a float.
    """
    seen, condition = spread(outcome.outputs["log10_loss"]), outcome.condition
    with np.errstate(divide="ignore", invalid="ignore"):  # of networks that are all alike
        error = seen.mean + np.log10(LN10 * seen.se)
    theory = outcome.theory_outputs.get("log10_loss", [math.nan])
    for log10 in (seen.mean, error, seen.median, seen.p05, seen.p95, theory):
        with np.errstate(over="ignore", under="ignore"):
            loss = float(np.power(10.0, log10[0]))
        yield ten_digits(loss) if math.isfinite(loss) else math.nan
    uniform = condition.loss.name == "cross_entropy"
    yield ten_digits(math.log(condition.widths[-1])) if uniform else math.nan


def summary_rows_from_csv(text: str, config: SweepConfig) -> list[Row]:
    """The rows of a saved `summary.csv` as `summary_rows` gave them.

    Raises:
        ValueError: The text is not the `summary.csv` of that config.
    """
    rows: list[Row] = list(csv.DictReader(io.StringIO(text)))
    missing = {*NUMBERS, *_OTHERS, "networks", "verdict"}.difference(*rows[:1])
    if missing:
        raise ValueError(f"no column {min(missing)}")
    if any(None in (*row, *row.values()) for row in rows):
        raise ValueError("a row of another length than the head")
    for row, condition in zip(rows, config.conditions, strict=True):
        row |= {"condition": condition.index, **condition.swept, "networks": int(row["networks"])}
        columns = (*NUMBERS, *_OTHERS, *(_JACOBIAN if config.record.jacobian else ()))
        # of losses runs of earlier versions have none
        row |= {column: float(row.get(column) or "nan") for column in (*columns, *_LOSS)}
        layers = {column: row[column] for column in FLOAT32_LAYERS if column in row}
        row |= {column: int(text) if text else math.nan for column, text in layers.items()}
    return rows
