"""A run as rows, as its CSV files and as the summary table of the terminal."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from heinit_sim.checks import trend
from heinit_sim.experiment.labels import swept_text
from heinit_sim.experiment.quantities import PASS_OF, STATISTICS, Pass
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics.spread import spread
from heinit_sim.reports import formats
from heinit_sim.reports.formats import Row, rounded
from heinit_sim.simulation import COSINE_QUANTITIES, cosine_spread

if TYPE_CHECKING:
    from rich.table import Table

_PASSES: tuple[Pass, ...] = ("forward", "backward")
# The columns of `summary.csv` that the table shows as numbers.
_NUMBERS = (
    "log10_variance_first",
    "log10_variance_last",
    *(f"{theory}{d}_decades_per_layer" for d in _PASSES for theory in ("", "theory_")),
)
_ERRORS = tuple(f"{d}_decades_per_layer_se" for d in _PASSES)
_SHORT = 12  # a swept value of so many characters leaves the table within 80 columns
_STYLES = {"vanishing": "blue", "stable": "green", "exploding": "red"}


def csv_files(result: SweepResult) -> dict[str, str]:
    """The CSV files of a run: name -> text."""
    files: dict[str, Iterable[Row]] = {}
    files |= {"layers.csv": layer_rows(result), "summary.csv": summary_rows(result)}
    if result.config.cosine:
        files["cosines.csv"] = cosine_rows(result)
    return {name: formats.to_csv(rows) for name, rows in files.items()}


def layer_rows(result: SweepResult) -> Iterator[Row]:
    """The rows of `layers.csv`: one per condition, quantity and layer."""
    for outcome in result.conditions:
        for quantity, direction in PASS_OF.items():
            spreads = {s: spread(outcome.networks[quantity, s]) for s in STATISTICS}
            for layer in range(outcome.condition.depth + 1):
                row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
                row |= {"pass": direction, "quantity": quantity, "layer": layer}
                row["networks"] = len(outcome.networks[quantity, "variance"])
                for s in STATISTICS:
                    for name in ("mean", "se", "median", "p05", "p95"):
                        row[f"log10_{s}_{name}"] = rounded(getattr(spreads[s], name)[layer])
                for s in STATISTICS:
                    row[f"theory_log10_{s}"] = rounded(outcome.theory[quantity, s][layer])
                row["theory_kind"] = outcome.theory_kind(quantity, layer)
                yield row


def cosine_rows(result: SweepResult) -> Iterator[Row]:
    """The rows of `cosines.csv`: one per condition, quantity and layer."""
    for outcome in result.conditions:
        for quantity in COSINE_QUANTITIES:
            seen = cosine_spread(outcome, quantity)
            for layer in range(outcome.condition.depth + 1):
                row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
                row |= {"quantity": quantity, "layer": layer}
                row["networks"] = int(seen.networks[layer])
                for name in ("mean", "se", "median", "p05", "p95"):
                    row[f"cosine_{name}"] = rounded(getattr(seen, name)[layer])
                row["theory_cosine"] = rounded(outcome.theory_cosines[quantity][layer])
                yield row


def summary_rows(result: SweepResult) -> list[Row]:
    """The rows of `summary.csv`: one per condition."""
    rows = []
    for outcome in result.conditions:
        row: Row = {"condition": outcome.condition.index, **outcome.condition.swept}
        activation = outcome.networks["activation", "variance"]
        row["networks"] = len(activation)
        for name, layer in (("first", 1), ("last", outcome.condition.depth)):
            row[f"log10_variance_{name}"] = rounded(np.median(activation[:, layer]).item())
        trends = {direction: trend(outcome, direction) for direction in _PASSES}
        for direction, fit in trends.items():
            row[f"{direction}_decades_per_layer"] = rounded(fit.decades_per_layer)
            row[f"{direction}_decades_per_layer_se"] = rounded(fit.error)
            row[f"theory_{direction}_decades_per_layer"] = rounded(fit.theory_decades_per_layer)
            row[f"{direction}_verdict"] = fit.word
            row[f"{direction}_reason"] = fit.reason
        forward, backward = (trends[direction].word for direction in _PASSES)
        row["verdict"] = forward if forward == backward else f"{forward} / {backward}"
        rows.append(row)
    return rows


def summary_rows_from_csv(text: str, config: SweepConfig) -> list[Row]:
    """The rows of a saved `summary.csv` as `summary_rows` gave them.

    Raises:
        ValueError: The text is not the `summary.csv` of that config.
    """
    rows: list[Row] = list(csv.DictReader(io.StringIO(text)))
    missing = {*_NUMBERS, *_ERRORS, "networks", "verdict"}.difference(*rows[:1])
    if missing:
        raise ValueError(f"no column {min(missing)}")
    if any(None in (*row, *row.values()) for row in rows):
        raise ValueError("a row of another length than the head")
    for row, condition in zip(rows, config.conditions, strict=True):
        row |= {"condition": condition.index, **condition.swept, "networks": int(row["networks"])}
        row |= {column: float(row[column] or "nan") for column in (*_NUMBERS, *_ERRORS)}
    return rows


def to_summary_table(config: SweepConfig, rows: Sequence[Row]) -> "Table":
    """The summary table of a run, 80 columns wide for one swept key.

    Args:
        config: The run's config.
        rows: Its `summary_rows`, or the same read back from `summary.csv`.
    """
    depths = {c.depth for c in config.conditions}
    last = f"h_{depths.pop()}" if len(depths) == 1 else "h_K"
    # A grid, long names or a verdict of two words need the room.
    texts = [*(swept_text(path, row[path]) for path in config.sweep for row in rows)]
    short = len(config.sweep) < 2 and max(map(len, texts), default=0) <= _SHORT
    theory = short and all("/" not in row["verdict"] for row in rows)
    table = swept_table(config, _title(config))
    for header in ("Var h_1", f"Var {last}"):
        table.add_column(header, justify="right", no_wrap=True)
    for direction in _PASSES:
        header = f"{direction} (theory)" if theory else direction
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        first, last_layer, *slopes = (row[column] for column in _NUMBERS)
        table.add_row(
            *(swept_text(path, row[path]) for path in config.sweep),
            *(formats.power_text(log10_variance) for log10_variance in (first, last_layer)),
            *(formats.slopes_text(*slopes[i : i + 1 + theory]) for i in (0, 2)),
            str(row["verdict"]),
            style=_STYLES.get(str(row["verdict"])),
        )
    table.caption = "Medians over networks; forward, backward: decades per layer"
    return table


def swept_table(config: SweepConfig, title: str) -> "Table":
    """A table without rows, with a column for each swept key."""
    roomy = "init" in config.sweep or "network.residual" in config.sweep  # their values take room
    padding = (0, 1, 0, 0) if roomy else (0, 1)
    table = formats.plain_table(padding=padding, title_style="bold", title=title)
    for path in config.sweep:
        table.add_column(formats.SYMBOLS.get(path, path.rpartition(".")[2]), justify="right")
    return table


def _title(config: SweepConfig) -> str:
    networks = "1 network" if config.trials == 1 else f"{config.trials} networks"
    depths = {condition.depth for condition in config.conditions}
    facts = [f"{config.name}: {networks} per condition"]
    facts += [f"K = {depth}" for depth in depths if len(depths) == 1]
    return ", ".join([*facts, *_layer_facts(config.conditions)])


def _layer_facts(conditions: Sequence[Condition]) -> Iterator[str]:
    """Yield each fact that all hidden layers of all conditions share, e.g. "D_h = 100"."""
    units = {width for c in conditions if not c.convolution for width in c.widths[1:-1]}
    convolutions = [c.convolution for c in conditions if c.convolution]
    channels = {count for c in convolutions for count in c.channels[1:]}
    kernels = {f"k = {c.kernel}" for c in convolutions if len(c.image) == 1}
    kernels |= {f"{c.kernel}×{c.kernel}" for c in convolutions if len(c.image) == 2}
    images = {"×".join(map(str, c.image)) + f" {c.padding}" for c in convolutions}
    scales = {c.residual.scale for c in conditions if c.residual}
    if not all(c.residual for c in conditions):
        scales = set()
    facts = (
        {f"D_h = {width}" for width in units},
        {f"{count} channel{'s' * (count > 1)}" for count in channels},
        kernels,
        images,
        {f"s = {scale:.4g}" for scale in scales},
    )
    yield from (fact.pop() for fact in facts if len(fact) == 1)
