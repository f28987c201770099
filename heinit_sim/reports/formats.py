"""Rows as CSV text and as values for JSON; tables as Markdown and LaTeX; numbers as their text."""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from heinit_sim.experiment.labels import ends_apart, printable
from heinit_sim.experiment.latex import MACROS, escaped

if TYPE_CHECKING:
    from rich.table import Table

TableFormat = Literal["table", "markdown", "latex", "csv", "json"]
"""How a command prints what it has a table for."""
Row = dict[str, Any]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")  # how what a spreadsheet evaluates begins
_MATHEMATICS = re.compile(
    r"(?<![\w./-])((?:σ²|[Dhfξ])_(?:[A-Za-zΩ]|\d+)²?"
    r"|[-+]\d+(?:\.\d+)?(?:e[-+]\d+)?|\d+(?:\.\d+)?e[-+]\d+)(?![\w./-])"
)
# How the table heads a swept key; any other key is headed by its own name.
SYMBOLS = {
    "init.variance": "σ²_Ω",
    "init.bias_variance": "σ²_b",
    "network.width": "D_h",
    "network.depth": "K",
    "network.kernel": "k",
    "loss.target": "y",
    "inputs.distribution": "inputs",
    "inputs.normalisation": "normed",
}


def swept_heads(paths: Iterable[str]) -> list[str]:
    """Heads of the columns of swept keys, no two alike."""
    return [SYMBOLS.get(path, end) for path, end in ends_apart(paths).items()]


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


def markdown_text(text: str) -> str:
    """Text that Markdown takes for nothing but text, also in a cell."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", printable(text))


def to_markdown(tables: Sequence["Table"]) -> str:
    """Tables of the terminal in GitHub's Markdown, each between its title and its caption."""
    lines = []
    for table in tables:
        heads, *rows = _cells(table, markdown_text)
        rule = ["---:" if column.justify == "right" else "---" for column in table.columns]
        title, caption = (_plain(text).splitlines() for text in (table.title, table.caption))
        lines += [*(f"**{markdown_text(line)}**" for line in title), *[""] * bool(title)]
        lines += [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
        lines += ["", *map(markdown_text, caption)] if caption else []
        lines.append("")
    return "\n".join(lines[:-1])


def to_latex(tables: Sequence["Table"]) -> str:
    """Tables of the terminal in LaTeX, as those of booktabs; titles and captions are comments."""
    lines = [r"% \usepackage{booktabs}"]
    for table in tables:
        heads, *rows = _cells(table, latex_text)
        aligned = "".join("r" if column.justify == "right" else "l" for column in table.columns)
        title, caption = (_plain(text).splitlines() for text in (table.title, table.caption))
        lines += [f"% {printable(line)}" for line in title]
        lines += [f"\\begin{{tabular}}{{{aligned}}}", r"  \toprule", f"  {' & '.join(heads)} \\\\"]
        lines.append(r"  \midrule")
        for cells, row in zip(rows, table.rows, strict=True):
            guard = "{}" * cells[0].startswith(("[", "*"))  # an argument of the line's end before
            lines.append(f"  {guard}{' & '.join(cells)} \\\\")
            lines += [r"  \addlinespace"] * (row.end_section and row is not table.rows[-1])
        lines += [r"  \bottomrule", r"\end{tabular}", *(f"% {printable(line)}" for line in caption)]
    return "\n".join(lines)


def latex_text(text: str) -> str:
    """Text that LaTeX sets as it stands; numbers and the symbols of this house as mathematics.

    A number is mathematics where it has a sign or an exponent, as in "-1.3" and "8.9e-66".
    """
    parts = map(_latex_part, _MATHEMATICS.split(printable(text)))
    return re.sub(r"(?<!\\)\$\$", " ", "".join(parts))  # formulas side by side are one


def _latex_part(text: str) -> str:
    if not _MATHEMATICS.fullmatch(text):
        return escaped(text)
    base, underscore, index = text.partition("_")
    mantissa, exponential, exponent = text.partition("e")
    if underscore:
        square = "^2" * ("²" in text)
        symbol, index = (MACROS.get(s.rstrip("²"), s.rstrip("²")) for s in (base, index))
        return f"${symbol}{square}_{{{index}}}$"
    return f"${mantissa}\\times10^{{{int(exponent)}}}$" if exponential else f"${text}$"


def _cells(table: "Table", escaped: Callable[[str], str]) -> list[list[str]]:
    """The head of a table and its rows, cell by cell; a line's end in one is a blank."""
    columns = [[column.header, *column.cells] for column in table.columns]
    rows = zip(*columns, strict=True)
    return [[escaped(" ".join(_plain(cell).split())) for cell in row] for row in rows]


def _plain(text: Any) -> str:
    """A text of Rich without its styles; empty for None."""
    return getattr(text, "plain", text) or ""


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
