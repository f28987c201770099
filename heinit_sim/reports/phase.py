"""The phase of every condition as rows and as a table of the terminal. Never prints or saves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from heinit_sim.activations import network_activation
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports.formats import (
    Row,
    plain_table,
    power_text,
    rounded,
    swept_heads,
    ten_digits,
)
from heinit_sim.reports.summary_table import swept_cells
from heinit_sim.theory import assumptions, infinite_width

if TYPE_CHECKING:
    from rich.table import Table

_HEADERS = {
    "weight_scale": "σ²_w",
    "bias_variance": "σ²_b",
    "q": "q*",
    "chi1": "χ₁",
    "phase": "phase",
    "critical_weight_variance": "σ²_Ω crit",
    "xi_q": "ξ_q",
    "xi_c": "ξ_c",
    "c": "c*",
}
_GROWTH = {
    "blocks": "blocks",
    "forward_log10_first": "h² first",
    "forward_log10_last": "h² last",
    "forward_log10_all": "h² all",
    "backward_log10_first": "∂h² first",
    "backward_log10_last": "∂h² last",
    "backward_log10_all": "∂h² all",
}
_WIDTH = 80
_STYLES = {"ordered": "blue", "critical": "green", "chaotic": "red"}


def shows_growth(config: SweepConfig) -> bool:
    """Whether blocks add in any condition: all are then shown by their growth, not their phase."""
    return any(map(assumptions.has_growth, config.conditions))


def phase_rows(config: SweepConfig) -> list[Row]:
    """One row per condition: swept values, σ²_w, σ²_b and what `phase.Phase` holds of them.

    Where blocks add, the swept values and what `phase.Growth` holds instead.

    `critical_weight_scale` is the σ²_w of the edge of chaos, `critical_weight_variance` the σ²_Ω
    that gives it, where the hidden layers are equally wide. NaN where there is none, and in all
    columns but σ²_b where the condition has no phase.
    """
    rows, growth = [], shows_growth(config)
    for condition in config.conditions:
        if growth:
            rows.append({"condition": condition.index, **condition.swept, **_growth(condition)})
            continue
        activation = network_activation(condition)
        phase = infinite_width.condition_phase(condition, activation)
        known = vars(phase) if phase else {}
        # The layers after the first, without the output layer where it is the only dense one.
        without_output = condition.is_convolutional and condition.depth > 1
        fans = condition.fans[1:-1] if without_output else condition.fans[1:]
        fan_ins = {fan_in for fan_in, _ in fans}
        width = fan_ins.pop() if len(fan_ins) == 1 else math.nan
        critical = known.get("critical_weight_variance", math.nan)
        row: Row = {
            "weight_scale": infinite_width.condition_weight_scale(condition, activation),
            "bias_variance": infinite_width.condition_bias_variance(condition),
            **{key: known.get(key) for key in ("q", "chi1")},
            "phase": known.get("word", ""),
            "critical_weight_scale": critical,
            "critical_weight_variance": critical / width,
            **{key: known.get(key) for key in ("xi_q", "xi_c", "c", "repels")},
        }
        facts = {key: math.nan if value is None else value for key, value in row.items()}
        facts = {k: ten_digits(v) if isinstance(v, float) else v for k, v in facts.items()}
        rows.append({"condition": condition.index, **condition.swept, **facts})
    return rows


def _growth(condition: Condition) -> Row:
    blocks, *passes = infinite_width.condition_growth(condition)
    factors = (rounded(log10) for factors in passes for log10 in factors)
    return dict(zip(_GROWTH, (blocks, *factors), strict=True))


def to_phase_table(config: SweepConfig, rows: Sequence[Row]) -> "Table":
    """The table of `phase_rows`, 80 columns wide for one swept key."""
    growth = shows_growth(config)
    names, text = (_GROWTH, _factor) if growth else (_HEADERS, _text)
    headers = swept_heads(config.sweep)
    shown = [c for c in names if f"init.{c}" not in config.sweep]  # σ²_b may be swept
    headers += [names[column] for column in shown]
    lines = [
        [*texts, *(text(row[c]) for c in shown)]
        for texts, row in zip(swept_cells(config, rows), rows, strict=True)
    ]
    needed = sum(max(map(len, column)) for column in zip(headers, *lines, strict=True))
    padding = (0, int(needed + 2 * len(headers) < _WIDTH), 0, 0)  # room between columns, if any
    title = f"{config.name}: {'growth' if growth else 'phases'} at infinite width"
    table = plain_table(padding=padding, title_style="bold", title=title)
    for place, header in enumerate(headers):
        justify: Literal["left", "right"] = "left" if header == _HEADERS["phase"] else "right"
        table.add_column(header, justify=justify, no_wrap=place >= len(config.sweep))
    for row, line in zip(rows, lines, strict=True):
        word = row.get("phase", "")
        calm = word != "critical" or row["q"] < math.inf  # no green where signals diverge
        table.add_row(*line, style=_STYLES.get(word) if calm else None)
    convolutions = any(condition.is_convolutional for condition in config.conditions)
    notes = _growth_notes(rows) if growth else _notes(rows, "fan_in" if convolutions else "D_h")
    table.caption = "\n".join(notes)
    table.caption_justify = "left"
    return table


def _notes(rows: Sequence[Row], fan: str) -> list[str]:
    """Lines below the table, shorter than the narrowest one: what is meant and missing."""
    notes = [
        f"σ²_w = {fan} σ²_Ω; q*, c*: in deep layers;",
        "ξ in layers; phase: χ₁ below, at, above 1",
    ]
    known = [row for row in rows if row["phase"]]
    if any(row["q"] == math.inf for row in known):
        notes.append("q* = ∞: signals diverge, whatever the phase")
    repelling = [row["repels"] for row in known if row["repels"] > 0]
    if repelling:
        all_of_them = f"{min(repelling):.4g}" + " …" * (len(set(repelling)) > 1)
        notes += [f"q = {all_of_them} repels: signals stay on", "neither side, whatever the phase"]
    if any(row["q"] in (0, math.inf) for row in known):
        notes.append("ξ_c, c* —: q* is 0 or ∞")
    if any(math.isnan(row["critical_weight_scale"]) for row in known):
        notes.append("σ²_Ω crit —: χ₁ leaps past 1, or never is 1")
    edges = [row for row in known if row["critical_weight_scale"] > 0]
    if any(math.isnan(row["critical_weight_variance"]) for row in edges):
        notes.append("σ²_Ω crit —: hidden layers differ in width")
    if len(known) < len(rows):
        notes.append("phase —: layers have no common finite σ²_w, or σ²_b")
    return notes


def _growth_notes(rows: Sequence[Row]) -> list[str]:
    notes = [
        "factors of E[h²] forward, of E[(∂ℓ/∂h)²] backward,",
        "in the first block, in the last, and over all",
    ]
    if any(math.isnan(row[column]) for row in rows for column in _GROWTH):
        notes.append("—: not known at infinite width")
    return notes


def _factor(value: float) -> str:
    """Blocks as they are; a factor, given as log10, in powers of ten where it is far from 1."""
    if isinstance(value, int):
        return str(value)
    return f"{10**value:.5g}" if -2 <= value < 5 else power_text(value)


def _text(value: object) -> str:
    if isinstance(value, float):
        special = {math.inf: "∞", 0.0: "0"}
        return "—" if math.isnan(value) else special.get(value, f"{value:.4g}")
    return str(value) or "—"
