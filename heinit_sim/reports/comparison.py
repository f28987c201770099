"""How two runs compare: as lines, as a table and as a document for JSON."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from heinit_sim.checks import LEVEL, Comparison
from heinit_sim.experiment.labels import printable, to_text
from heinit_sim.reports.formats import plain_table, to_json_values

if TYPE_CHECKING:
    from rich.table import Table

_WORST = 20  # most rows of a comparison that are shown


def comparison_lines(comparison: Comparison, rtol: float) -> list[str]:
    """Whether two runs are the same, what differs beside the rows, and what was compared."""
    if comparison.exact:
        measure = f"largest relative difference {comparison.largest:.1g}"
        how = f"the numbers of every network, same config, within {rtol:g}"
    else:
        smallest, level = comparison.smallest_p, comparison.level
        measure = f"smallest p = {smallest:.2g}, a difference is below {level:.2g}"
        if math.isnan(smallest):
            measure = "no row has two live networks in both runs"
        how = f"means over networks of log10, by Welch's t, family-wise level {LEVEL:g}"
    n_rows = comparison.n_rows
    verdict = "same" if comparison.exact else f"no difference found in {n_rows} rows"
    if comparison.held and not n_rows:
        verdict = f"nothing could be compared: {measure}"
    if not comparison.held:
        verdict = f"different in {' and '.join(_differences(comparison))}"
    more = len(comparison.mismatches) - _WORST
    return [
        f"{verdict}: {measure}" if n_rows else verdict,
        *comparison.mismatches[:_WORST],
        *[f"… and {more} more"] * (more > 0),
        f"compared: {how}",
        f"rows: {n_rows} of condition, quantity, statistic and layer; {comparison.matched}",
        *(f"configs: {text}" for text in comparison.settings),
        *(f"left out: {text}" for text in comparison.left_out),
    ]


def _differences(comparison: Comparison) -> list[str]:
    """Name each difference in words, e.g. "12 of 60 rows"."""
    rows = [f"{len(comparison.rows)} of {comparison.n_rows} rows"] if comparison.rows else []
    counts = {
        "the depth of {} condition": len(comparison.depths),
        "the share of dead networks of {} condition": len(comparison.dead),
        "the histograms of {} layer": len(comparison.histograms),
        "the ratios of {} layer": len(comparison.ratios),
        "the losses or Jacobians of {} condition": len(comparison.outputs),
    }
    return rows + [text.format(n) + "s" * (n > 1) for text, n in counts.items() if n]


def to_comparison_table(comparison: Comparison) -> "Table":
    """The rows that differ most."""
    from rich.text import Text

    table = plain_table(padding=(0, 1, 0, 0), collapse_padding=True)
    size = "rel. diff." if comparison.exact else "decades"
    swept = comparison.rows[0].swept
    for header in (*([", ".join(swept)] if swept else []), "quantity", "statistic"):
        table.add_column(header, overflow="fold")
    for header in ("layer", size, "std. errors"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in comparison.rows[:_WORST]:
        values = [Text(_swept_text(row.swept))] if swept else []
        decades = abs(row.decades) * math.log(10) if comparison.exact else row.decades
        size = f"{decades:.1e}" if comparison.exact else f"{decades:+.3g}"
        errors = "—" if math.isnan(row.standard_errors) else f"{row.standard_errors:+.1f}"
        table.add_row(*values, *row.measure, str(row.layer), size, errors)
    more = len(comparison.rows) - _WORST
    table.caption = f"… and {more} more" if more > 0 else None
    return table


def _swept_text(swept: Mapping[str, object]) -> str:
    return printable(", ".join(map(to_text, swept.values())))


def to_comparison_document(comparison: Comparison) -> dict[str, object]:
    """The comparison for JSON; what is infinite or not defined is null."""
    exact = comparison.exact
    measured = {
        "largest_relative_difference": comparison.largest if exact else math.nan,
        "largest_standard_errors": math.nan if exact else comparison.largest,
        "smallest_p": comparison.smallest_p,
        "level": comparison.level,
    }
    rows: list[dict[str, object]] = [
        {
            "swept": dict(row.swept),
            "quantity": row.measure[0],
            "statistic": row.measure[1],
            "layer": row.layer,
            "decades": row.decades,
            "standard_errors": row.standard_errors,
        }
        for row in comparison.rows
    ]
    return {
        "same": comparison.held,
        "compared": "numbers" if comparison.exact else "means of log10",
        "n_conditions": comparison.n_conditions,
        "paired": comparison.matched,
        "n_rows": comparison.n_rows,
        **to_json_values([measured])[0],
        "different": to_json_values(rows),
        "mismatches": list(comparison.mismatches),
        "configs": list(comparison.settings),
        "left_out": list(comparison.left_out),
    }
