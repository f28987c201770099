"""The findings of `verify` as a page of the terminal, as tables and as values for JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from heinit_sim.reports.formats import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from heinit_sim.derivation import Row, Verification

# Columns of the page and their widths: 80 with a blank between any two.
_COLUMNS = {"": 4, "identity": 40, "left": 9, "right": 9, "± error": 7, "z": 6}
_NUMBERS = ("left", "right", "± error", "z")
_PAGE = sum(_COLUMNS.values()) + len(_COLUMNS) - 1


def to_identity_page(verification: Verification) -> Table:
    """The lecturer's page, 80 columns wide: an identity with its numbers, then what it says."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    page = Table.grid()
    page.add_column(max_width=_PAGE)
    page.add_row(Text(f"{_page_title(verification)}\n", style="bold"))
    page.add_row(_page_line(_COLUMNS, "dim"))
    for group, rows in groupby(verification.rows, key=lambda row: row.group):
        page.add_row(Text(f"\n{group}", style="bold"))
        for row in rows:
            word, style = ("pass", "green") if row.held else ("FAIL", "bold red")
            page.add_row(_page_line((word, f"{row.left} = {row.right}", *_row_numbers(row)), style))
            page.add_row(Padding(Text(row.explanation, style="dim"), (0, 0, 0, 5)))
    page.add_row(Text(f"\n{_legend(verification)}"))
    return page


def to_identity_tables(verification: Verification) -> list[Table]:
    """The page as one table for each group, with the source of each identity.

    Its title stands in the first table's, the legend in the last one's caption.
    """
    tables = []
    for group, rows in groupby(verification.rows, key=lambda row: row.group):
        tables.append(plain_table(title=group))
        for header in ("identity", "left", "right", "± error", "z", "", "what it says", "source"):
            right = header in _NUMBERS
            tables[-1].add_column(header, justify="right" if right else "left")
        for row in rows:
            word, identity = "pass" if row.held else "FAIL", f"{row.left} = {row.right}"
            tables[-1].add_row(identity, *_row_numbers(row), word, row.explanation, row.source)
    tables[0].title = f"{_page_title(verification)}\n{tables[0].title}"
    tables[-1].caption = _legend(verification)
    return tables


def to_identity_document(verification: Verification) -> dict[str, Any]:
    """The identities with all numbers, for JSON."""
    from heinit_sim.derivation import LEVEL  # which only `verify` loads

    probe = verification.probe
    return {
        "network": {
            "widths": list(probe.widths),
            "activation": str(probe.activates[0].function),
            "negative_slope": verification.slope,
            "weight_variances": list(probe.weight_variances),
        },
        "seed": verification.seed,
        "level": LEVEL,
        "largest_z": verification.bound,
        "held": all(row.held for row in verification.rows),
        "rows": [asdict(row) for row in verification.rows],
    }


def _page_line(cells: Iterable[str], style: str) -> Table:
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for name, width in _COLUMNS.items():
        if name == "identity":  # on a narrow terminal it wraps and the numbers stay whole
            line.add_column(ratio=1)
        else:
            justify: Literal["left", "right"] = "right" if name else "left"
            line.add_column(min_width=width, justify=justify, no_wrap=True)
    line.add_row(*map(Text, cells), style=style)  # as they are: brackets are no markup
    return line


def _row_numbers(row: Row) -> tuple[str, str, str, str]:
    left, right = (_fitted_number(value, ".4g", 9) for value in (row.left_value, row.right_value))
    z = "exact" if row.z is None else _fitted_number(row.z, "+.2f", 6)
    return left, right, f"{row.error:.2g}", z


def _fitted_number(value: float, form: str, width: int) -> str:
    """A number in the format `form`, or shorter where that is wider than `width`."""
    sign = "+" if form.startswith("+") else ""
    texts = [format(value, way) for way in (form, f"{sign}.3g", f"{sign}.1g")]
    return next((text for text in texts if len(text) <= width), texts[-1])


def _page_title(verification: Verification) -> str:
    probe, depth = verification.probe, verification.condition.depth
    hidden = sorted(set(probe.widths[1:-1]))
    layers = f"{probe.depth} hidden layers" if depth > 1 else "1 hidden layer"
    layers += f" (of {depth})" if depth > probe.depth else ""
    widths = f"{hidden[0]}" if len(hidden) == 1 else f"{hidden[0]} … {hidden[-1]}"
    alpha = f", α = {verification.slope:g}" if probe.activates[0].function == "leaky_relu" else ""
    return f"Identities: {layers}, D_h = {widths}, {probe.activates[0].function}{alpha}"


def _legend(verification: Verification) -> str:
    from heinit_sim.derivation import LEVEL  # which only `verify` loads

    held = sum(row.held for row in verification.rows)
    counts = sorted({row.networks for row in verification.rows if row.z is not None})
    lines = [f"{held} of {len(verification.rows)} identities hold."]
    if counts:
        among = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        lines.append(
            f"Means over {among} independent networks, ± the standard error of left − right over "
            f"them. A row passes if |z| ≤ {verification.bound:.2f}: correct code fails any of "
            f"the {sum(row.z is not None for row in verification.rows)} at all with probability "
            f"{LEVEL:g} (two-sided, Bonferroni)."
        )
    lines.append("Exact rows hold for each network; there, ± is what rounding allows.")
    lines.append("h = a(f), f′ = β + Ω h with β = 0, D_h units to D_h′: a prime is the next layer.")
    return "\n".join(lines)
