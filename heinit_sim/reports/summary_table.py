"""The summary table of a run, and tables with a column for each swept key."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from heinit_sim.experiment.labels import digits_apart, swept_text
from heinit_sim.experiment.steps import Add, distinct, matrices
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports import formats
from heinit_sim.reports.formats import Row
from heinit_sim.reports.run import INPUT, NUMBERS, OUTPUT, PASSES, STABLE

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_SHORT = 12  # a swept value of so many characters leaves the table within 80 columns
_WIDE = 120  # columns that have room for what stable stands for, and for both ends
_STYLES = {"vanishing": "blue", "stable": "green", "exploding": "red", "undecided": "yellow"}


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
    for direction in PASSES:
        header = f"{direction} (theory)" if theory else direction
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict")
    for row, texts in zip(rows, swept, strict=True):
        first, last_layer, *slopes = (row[column] for column in NUMBERS)
        powers = (first, last_layer, *([row[OUTPUT]] if wide else []))
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
        {f"Var x: {formats.power_text(row[INPUT])}" for row in rows},
    ]
    shared = "; ".join(fact.pop() for fact in facts if len(fact) == 1)
    table.caption = f"Medians over networks; forward, backward: decades per layer\n{shared}".strip()
    ends = [row[column] for row in rows for column in NUMBERS[2:]]
    pairs = zip(ends[::2], ends[1::2], strict=True)  # measured, of theory
    if theory and any(math.isnan(b) and not math.isnan(a) for a, b in pairs):
        table.caption += "\n(—): infinite width is not known, or layers are too narrow for it"
    return table


def _stable_text(row: Row) -> str:
    """The slopes that are called stable, e.g. "-0.011 ± 0.020"."""
    drift, allowed = (row[column] for column in STABLE)
    return f"{drift:+z.3f} ± {allowed:.3f}"


def _verdict_cell(row: Row, allowed: str) -> "Text":
    """The words of both passes, each in its colour, and the slopes that are called stable."""
    from rich.text import Text

    words = [(word, _STYLES.get(word, "")) for word in str(row["verdict"]).split(" / ")]
    cell = Text(" / ").join(Text(word, style) for word, style in words)
    return cell.append(f" ({allowed})") if allowed and "stable" in dict(words) else cell


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
