"""Rows as CSV text and as values for JSON; numbers as text of a table."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

Row = dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # how what a spreadsheet evaluates begins
# How the table heads a swept key; any other key is headed by its own name.
SYMBOLS = {
    "init.variance": "σ²_Ω",
    "init.bias_variance": "σ²_b",
    "network.width": "D_h",
    "network.depth": "K",
    "network.kernel": "k",
    "network.residual.scale": "s",
    "network.residual.branch_layers": "layers",
    "loss.target": "y",
    "inputs.distribution": "inputs",
    "inputs.normalisation": "normed",
}


def plain_table(**style: Any) -> "Table":
    """An empty table of the terminal, with a rule below its head alone.

    Args:
        style: Of `rich.table.Table`; Rich is loaded here, when a table is first asked for.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, pad_edge=False, **style)


def rounded(value: float) -> float:
    """The number to 1e-8: decades, slopes and cosines, of which other processors differ by 1e-12.

    A zero has no sign; what is infinite or NaN stays so.
    """
    return round(float(value), 8) + 0.0


def ten_digits(value: float) -> float:
    """The number to ten significant digits, for what is no logarithm; a zero has no sign."""
    return float(f"{value:.10g}") + 0.0


def to_csv(rows: Iterable[Row]) -> str:
    """CSV text: a header, LF line ends, shortest round-trip floats, empty for NaN.

    A text that a spreadsheet would take for a formula has an apostrophe before it, as has one that
    begins with an apostrophe itself; a reason, which is a sentence, is none.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for n, row in enumerate(rows):
        if n == 0:
            writer.writerow(row)
        writer.writerow([_cell(value, key) for key, value in row.items()])
    return text.getvalue()


def to_json_values(rows: Sequence[Row]) -> list[Row]:
    """The rows for JSON, which knows neither NaN nor infinity: both are null."""
    return [{key: _json_value(value) for key, value in row.items()} for row in rows]


def _cell(value: object, key: str = "") -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    if isinstance(value, str):
        formula = value.startswith(_FORMULA) and not key.endswith("_reason")
        return f"'{value}" if formula else value
    plain = value is None or isinstance(value, bool | list | tuple | Mapping)
    return json.dumps(value) if plain else value


def _json_value(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def power_text(log10_value: float) -> str:
    """10^log10_value in scientific notation, at any magnitude."""
    if not math.isfinite(log10_value):
        return "0" if log10_value < 0 else "—"
    exponent = math.floor(log10_value)
    mantissa = f"{10 ** (log10_value - exponent):.1f}"
    if mantissa == "10.0":
        mantissa, exponent = "1.0", exponent + 1
    return f"{mantissa}e{exponent:+03d}"


def slopes_text(measured: float, theory: float | None = None) -> str:
    """A slope, with theory's in parentheses."""
    text = "—" if math.isnan(measured) else f"{measured:+z.3f}"
    return text if theory is None else f"{text} ({slopes_text(theory)})"
