"""A run as rows, as its CSV files and as the summary table of the terminal."""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from heinit_sim.checks import ALIKE, trend, width_slopes
from heinit_sim.experiment import results
from heinit_sim.experiment.labels import digits_apart, swept_text
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.records import RATIO_FILES, RATIOS, RatioRecord
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.steps import Add, distinct, matrices
from heinit_sim.experiment.sweep_config import Condition, SlopeQuantity, SweepConfig
from heinit_sim.experiment.width_groups import WIDTH_SLOPES_FILE, has_width_slopes
from heinit_sim.numerics.spread import LN10, spread
from heinit_sim.reports import formats
from heinit_sim.reports.formats import Row, rounded, ten_digits
from heinit_sim.reports.number_range import FLOAT32_LAYERS, float32_layers, range_rows
from heinit_sim.simulation import ratio_spread
from heinit_sim.theory import assumptions
from heinit_sim.theory.infinite_width import largest_ln_q

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_PASSES: tuple[Pass, ...] = ("forward", "backward")
# The columns of `summary.csv` that the table shows as numbers.
_NUMBERS = (
    "log10_variance_first",
    "log10_variance_last",
    *(f"{theory}{d}_decades_per_layer" for d in _PASSES for theory in ("", "theory_")),
)
_LOSS = (
    *("loss_mean", "loss_se", "loss_median", "loss_p05", "loss_p95"),
    *("theory_loss", "uniform_loss"),
)
_INPUT, _OUTPUT = "log10_input_variance", "log10_output_second_moment"
_STABLE = ("drift_decades_per_layer", "allowed_decades_per_layer")
_OTHERS = (_INPUT, _OUTPUT, *_STABLE, *(f"{d}_decades_per_layer_se" for d in _PASSES))
_JACOBIAN = (
    *(f"log10_jacobian_second_moment_{name}" for name in ("mean", "se", "median")),
    "theory_log10_jacobian_second_moment",
    *(f"log10_largest_singular_value_{name}" for name in ("median", "p05", "p95")),
    "theory_log10_largest_singular_value",
    "log10_condition_number_median",
)
_EXCESS = 1.1  # times ln V, from which a first cross entropy is called large
_SHORT = 12  # a swept value of so many characters leaves the table within 80 columns
_WIDE = 120  # columns that have room for what stable stands for, and for both ends
_STYLES = {"vanishing": "blue", "stable": "green", "exploding": "red", "undecided": "yellow"}


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


def width_notes(result: SweepResult) -> list[str]:
    """A line for each group of widths: how its outputs, and their update, grow with the width."""
    if not has_width_slopes(result.config):
        return []
    symbols: dict[SlopeQuantity, str] = {"preactivation_update": "Δf_K", "preactivation": "f_K"}
    lines: dict[str, list[str]] = {}
    for found in width_slopes(result, symbols):
        others = (f"{path} = {swept_text(path, value)}" for path, value in found.others.items())
        grows = f"{symbols[found.quantity]} {found.slopes[-1]:+.2f} ± {found.errors[-1]:.2f}"
        lines.setdefault(", ".join(others), []).append(grows)
    unit = "per doubling of width (log2 of the root mean square)"
    notes = (f"{about}: {', '.join(texts)} {unit}" for about, texts in lines.items())
    return [note.removeprefix(": ") for note in notes]


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
        for name, values in ((_INPUT, activation[:, 0]), (_OUTPUT, output)):
            row[name] = rounded(np.median(values).item())
        row |= dict(zip(_LOSS, _losses(outcome), strict=True))
        trends = {direction: trend(outcome, direction) for direction in _PASSES}
        for direction, fit in trends.items():
            row[f"{direction}_decades_per_layer"] = rounded(fit.decades_per_layer)
            row[f"{direction}_decades_per_layer_se"] = rounded(fit.error)
            row[f"theory_{direction}_decades_per_layer"] = rounded(fit.theory_decades_per_layer)
            row[f"{direction}_verdict"] = fit.word
            row[f"{direction}_reason"] = fit.reason
        for name, value in zip(_STABLE, (fit.drift, fit.allowed), strict=True):  # of both passes
            row[name] = rounded(value)
        forward, backward = (trends[direction].word for direction in _PASSES)
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
    missing = {*_NUMBERS, *_OTHERS, "networks", "verdict"}.difference(*rows[:1])
    if missing:
        raise ValueError(f"no column {min(missing)}")
    if any(None in (*row, *row.values()) for row in rows):
        raise ValueError("a row of another length than the head")
    for row, condition in zip(rows, config.conditions, strict=True):
        row |= {"condition": condition.index, **condition.swept, "networks": int(row["networks"])}
        columns = (*_NUMBERS, *_OTHERS, *(_JACOBIAN if config.record.jacobian else ()))
        # of losses runs of earlier versions have none
        row |= {column: float(row.get(column) or "nan") for column in (*columns, *_LOSS)}
        layers = {column: row[column] for column in FLOAT32_LAYERS if column in row}
        row |= {column: int(text) if text else math.nan for column, text in layers.items()}
    return rows


def to_summary_table(config: SweepConfig, rows: Sequence[Row], width: int = 80) -> "Table":
    """The summary table of a run, 80 columns wide for one swept key.

    Args:
        config: The run's config.
        rows: Its `summary_rows`, or the same read back from `summary.csv`.
        width: Columns that there are; from 120 on, both ends of the network are shown, and which
            slopes are called stable.
    """
    from rich.text import Text

    depths = {c.depth for c in config.conditions}
    last = f"h_{depths.pop()}" if len(depths) == 1 else "h_K"
    # A grid or long names need the room.
    swept = swept_cells(config, rows)
    longest = max((len(text) for texts in swept for text in texts), default=0)
    wide = width >= _WIDE
    theory = wide or (len(config.sweep) < 2 and longest <= _SHORT)
    table = swept_table(config, _title(config))
    for header in ("Var h_1", f"Var {last}", *(["E[f_K²]"] if wide else [])):
        table.add_column(Text(header), justify="right", no_wrap=True)
    for direction in _PASSES:
        header = f"{direction} (theory)" if theory else direction
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row, texts in zip(rows, swept, strict=True):
        first, last_layer, *slopes = (row[column] for column in _NUMBERS)
        powers = (first, last_layer, *([row[_OUTPUT]] if wide else []))
        allowed = f"{_stable_text(row)} allowed" if wide else ""
        table.add_row(
            *texts,
            *(formats.power_text(log10_value) for log10_value in powers),
            *(formats.slopes_text(*slopes[i : i + 1 + theory]) for i in (0, 2)),
            _verdict_cell(row, allowed),
            style=_STYLES.get(str(row["verdict"])),
        )
    facts = [
        {f"stable: {_stable_text(row)}" for row in rows},
        {f"Var x: {formats.power_text(row[_INPUT])}" for row in rows},
    ]
    shared = "; ".join(fact.pop() for fact in facts if len(fact) == 1)
    table.caption = f"Medians over networks; forward, backward: decades per layer\n{shared}".strip()
    ends = [row[column] for row in rows for column in _NUMBERS[2:]]
    pairs = zip(ends[::2], ends[1::2], strict=True)  # measured, of theory
    if theory and any(math.isnan(b) and not math.isnan(a) for a, b in pairs):
        table.caption += "\n(—): infinite width is not known, or layers are too narrow for it"
    return table


def _stable_text(row: Row) -> str:
    """The slopes that are called stable, e.g. "-0.011 ± 0.020"."""
    drift, allowed = (row[column] for column in _STABLE)
    return f"{drift:+z.3f} ± {allowed:.3f}"


def _verdict_cell(row: Row, allowed: str) -> "Text":
    """The words of both passes, each in its colour, and the slopes that are called stable."""
    from rich.text import Text

    words = [(word, _STYLES.get(word, "")) for word in str(row["verdict"]).split(" / ")]
    cell = Text(" / ").join(Text(word, style) for word, style in words)
    return cell.append(f" ({allowed})") if allowed and "stable" in dict(words) else cell


def notes(config: SweepConfig, rows: Sequence[Row]) -> list[str]:
    """A line for each condition where slopes do not tell all: scales, the loss, inputs made alike.

    Inputs are where their variance is not within a factor of 10 of 1; the last layer is where its
    σ²·fan_in is not within a factor of 10 of that of the layer before; a cross entropy is where it
    is more than 10 % above ln V, that of outputs which are all equal.
    """
    lines = []
    for row, condition in zip(rows, config.conditions, strict=True):
        about = f"{condition.label}: " if condition.label else ""
        if 1 < abs(row[_INPUT]) < math.inf:
            size = formats.power_text(row[_INPUT])
            text = "which every layer's variance and the loss carry on; normalise the inputs"
            lines.append(f"{about}the variance of the inputs is {size}, {text}")
        scales = condition.weight_scales
        if scales[-1] > 10 * scales[-2] > 0 or 10 * scales[-1] < scales[-2]:
            size = formats.power_text(row[_OUTPUT])
            text = f"the last layer's σ² is {scales[-1]:.3g} times 1/fan_in"
            lines.append(f"{about}the output's second moment is {size}: {text}")
        if _EXCESS * row["uniform_loss"] < row["loss_median"]:
            lines.append(f"{about}{_loss_note(row, condition)}")
        if ALIKE in row["forward_reason"]:
            lines.append(f"{about}{row['forward_reason'].rpartition('; ')[2]}")
    return lines


def _loss_note(row: Row, condition: Condition) -> str:
    """What a cross entropy far above ln V means, and the σ² of the last layer that mends it."""
    uniform = row["uniform_loss"]
    text = f"the loss is {row['loss_median']:.4g}, ln V is {uniform:.4g}"
    text += ": outputs differ before anything is learnt"
    if not assumptions.has_normal_outputs(condition) or not math.isfinite(row[_OUTPUT]):
        return text
    spec, ln_second = condition.specs[-1], LN10 * row[_OUTPUT]
    ln_allowed = largest_ln_q(_EXCESS * uniform, condition.widths[-1])
    of_biases = spec.bias_variance * math.exp(-ln_allowed)
    of_all = (spec.bias_variance + spec.bias_mean**2) * math.exp(-max(ln_second, ln_allowed))
    if spec.weight_variance == 0 or of_biases >= 1 or of_all >= 1:
        return f"{text}, which biases alone make them do"
    ln_ratio = ln_allowed + math.log1p(-of_biases) - ln_second - math.log1p(-of_all)
    variance = math.exp(math.log(spec.weight_variance) + ln_ratio)
    return f"{text}; σ² of the last layer of {variance:.2g} or less brings it within 10 %"


def swept_table(config: SweepConfig, title: str) -> "Table":
    """A table without rows, with a column for each swept key."""
    roomy = "init" in config.sweep or "network.block" in config.sweep  # their values take room
    padding = (0, 1, 0, 0) if roomy else (0, 1)
    table = formats.plain_table(padding=padding, title_style="bold", title=title)
    for head in formats.swept_heads(config.sweep):
        table.add_column(head, justify="right")
    return table


def swept_cells(config: SweepConfig, rows: Sequence[Row]) -> list[list[str]]:
    """For each row the texts of its swept values, which differ where the values do."""
    forms = {path: f"{{:.{digits_apart(values)}g}}".format for path, values in config.sweep.items()}
    return [[swept_text(path, row[path], form) for path, form in forms.items()] for row in rows]


def _title(config: SweepConfig) -> str:
    networks = "1 network" if config.trials == 1 else f"{config.trials} networks"
    depths = {condition.depth for condition in config.conditions}
    facts = [f"{config.name}: {networks} per condition"]
    facts += [f"K = {depth}" for depth in depths if len(depths) == 1]
    return ", ".join([*facts, *_layer_facts(config.conditions)])


def _layer_facts(conditions: Sequence[Condition]) -> Iterator[str]:
    """Yield each fact that all hidden layers of all conditions share, e.g. "D_h = 100"."""
    dense = (c for c in conditions if not c.is_convolutional)
    units = {width for c in dense for width in c.widths[1:-1]}
    rows = [distinct(c.layers[:-1]) for c in conditions]
    convolutions = [
        weights for each in rows for row in each for weights in matrices(row) if weights.window
    ]
    channels = {weights.channels[1] for weights in convolutions}
    windows = [weights.window for weights in convolutions if weights.window]
    kernels = {f"k = {w.kernel}" for w in windows if len(w.image) == 1}
    kernels |= {f"{w.kernel}×{w.kernel}" for w in windows if len(w.image) == 2}
    images = {"×".join(map(str, w.image)) + f" {w.padding}" for w in windows}
    adds = [[step for row in each for step in row if isinstance(step, Add)] for each in rows]
    scales = {add.scale for each in adds for add in each} if all(adds) else set()
    facts = (
        {f"D_h = {width}" for width in units},
        {f"{count} channel{'s' * (count > 1)}" for count in channels},
        kernels,
        images,
        {f"s = {scale:.4g}" for scale in scales},
    )
    yield from (fact.pop() for fact in facts if len(fact) == 1)
