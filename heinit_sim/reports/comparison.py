"""How two runs compare: as lines, as a table and as a document for JSON."""

import math
from typing import TYPE_CHECKING

from heinit_sim.checks import Comparison
from heinit_sim.checks.comparison import LEVEL
from heinit_sim.experiment.labels import to_text

if TYPE_CHECKING:
    from rich.table import Table

_WORST = 20
"""So many rows of a comparison are shown."""


def comparison_lines(found: Comparison, rtol: float) -> list[str]:
    """Whether two runs are the same, what differs beside the rows, and what was compared."""
    if found.exact:
        measure = f"largest relative difference {found.largest:.1g}"
        how = f"the numbers of every network, same config, within {rtol:g}"
    else:
        measure = f"smallest p = {found.smallest_p:.2g}, a difference is below {found.level:.2g}"
        if math.isnan(found.smallest_p):
            measure = "no row has two live networks in both runs"
        how = f"means over networks of log10, by Welch's t, family-wise level {LEVEL:g}"
    verdict = "same" if found.exact else f"no difference found in {found.n_rows} rows"
    if found.held and not found.n_rows:
        verdict = f"nothing could be compared: {measure}"
    if not found.held:
        verdict = f"different in {' and '.join(_differences(found))}"
    more = len(found.mismatches) - _WORST
    return [
        f"{verdict}: {measure}" if found.n_rows else verdict,
        *found.mismatches[:_WORST],
        *[f"… and {more} more"] * (more > 0),
        f"compared: {how}",
        f"rows: {found.n_rows} of condition, quantity, statistic and layer; {found.matched}",
        *(f"configs: {text}" for text in found.settings),
        *(f"left out: {text}" for text in found.left_out),
    ]


def _differences(found: Comparison) -> list[str]:
    """What differs, in words, e.g. "12 of 60 rows"."""
    what = [f"{len(found.rows)} of {found.n_rows} rows"] if found.rows else []
    for lines, name in ((found.depths, "the depth"), (found.dead, "the share of dead networks")):
        what += [f"{name} of {len(lines)} condition{'s' * (len(lines) > 1)}"] * bool(lines)
    for lines, name in ((found.histograms, "histograms"), (found.cosines, "cosines")):
        what += [f"the {name} of {len(lines)} layer{'s' * (len(lines) > 1)}"] * bool(lines)
    return what


def to_comparison_table(found: Comparison) -> "Table":
    """The rows that differ most."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), collapse_padding=True)
    size = "rel. diff." if found.exact else "decades"
    swept = found.rows[0].swept
    for header in (*([", ".join(swept)] if swept else []), "quantity", "statistic"):
        table.add_column(header, overflow="fold")
    for header in ("layer", size, "std. errors"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in found.rows[:_WORST]:
        values = [Text(", ".join(map(to_text, row.swept.values())))] if swept else []
        decades = abs(row.decades) * math.log(10) if found.exact else row.decades
        size = f"{decades:.1e}" if found.exact else f"{decades:+.3g}"
        errors = "—" if math.isnan(row.standard_errors) else f"{row.standard_errors:+.1f}"
        table.add_row(*values, *row.measure, str(row.layer), size, errors)
    more = len(found.rows) - _WORST
    table.caption = f"… and {more} more" if more > 0 else None
    return table


def to_comparison_document(found: Comparison) -> dict[str, object]:
    """The comparison for JSON, where infinity is "inf" and what is not defined null."""
    if found.exact:
        measured = {"largest_relative_difference": _number(found.largest)}
    else:
        measured = {
            "largest_standard_errors": _number(found.largest),
            "smallest_p": _number(found.smallest_p),
            "level": _number(found.level),
        }
    rows = [
        {
            "condition": dict(row.swept),
            "quantity": row.measure[0],
            "statistic": row.measure[1],
            "layer": row.layer,
            "decades": _number(row.decades),
            "standard_errors": _number(row.standard_errors),
        }
        for row in found.rows
    ]
    return {
        "same": found.held,
        "compared": "numbers" if found.exact else "means of log10",
        "conditions": found.n_conditions,
        "paired": found.matched,
        "rows": found.n_rows,
        **measured,
        "different": rows,
        "mismatches": list(found.mismatches),
        "configs": list(found.settings),
        "left_out": list(found.left_out),
    }


def _number(value: float) -> object:
    if math.isfinite(value):
        return value
    return None if math.isnan(value) else repr(value)
