"""Findings as a table, as JUnit XML, as GitHub's annotations and step summary; comparisons.

Never prints or saves.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heinit_sim.checks import check
from heinit_sim.comparison import LEVEL, Comparison
from heinit_sim.documents import printable
from heinit_sim.expectations import check_expectations
from heinit_sim.records import Finding
from heinit_sim.results import SweepResult
from heinit_sim.texts import to_text

if TYPE_CHECKING:
    from rich.table import Table

LISTED = 20
"""So many findings are listed whole; of more only those that failed."""
_ROWS = 1000
"""GitHub takes 1 MiB of step summary, and none of a longer one."""
_WORST = 20
"""So many rows of a comparison are shown."""
_IN_DATA = "%\r\n"
_IN_PROPERTY = "%\r\n:,"


def find(result: SweepResult, alpha: float) -> list[Finding]:
    """All that is checked of a result: what its config expects, and what theory says.

    Args:
        result: A simulated sweep.
        alpha: Probability that a correct simulation disagrees with theory anywhere.
    """
    return check_expectations(result) + check(result, alpha)


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that did not hold."""
    return [finding for finding in findings if not finding.held]


def summary(findings: Sequence[Finding]) -> str:
    """How many held or did not, e.g. "2 of 14 did not hold"."""
    wrong, n = len(failed(findings)), sum(finding.tested for finding in findings)
    held = f"{wrong} of {n} did not hold" if wrong else f"{n} of {n} held"
    if n == len(findings):
        return held
    return f"{held}, {len(findings) - n} not tested" if n else "nothing could be tested"


def to_table(findings: Sequence[Finding]) -> "Table":
    """A line for each finding, those that failed first; of many only these."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    table.add_column("checked", overflow="fold")
    table.add_column("found", overflow="fold")
    wrong = failed(findings)
    shown = wrong if len(findings) > LISTED else sorted(findings, key=lambda finding: finding.held)
    for finding in shown:
        word, style = ("ok" if finding.tested else "—", None) if finding.held else ("FAILED", "red")
        table.add_row(word, Text(finding.name), Text(finding.reason), style=style)
    return table


def to_json_values(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """The findings for JSON; null is neither held nor not."""
    return [
        {"name": f.name, "held": f.held if f.tested else None, "reason": f.reason} for f in findings
    ]


def to_junit(findings: Sequence[Finding], name: str) -> str:
    """JUnit XML, one test case per finding; the same findings give the same bytes.

    Args:
        findings: What was checked.
        name: Of the suite.
    """
    wrong, skipped = str(len(failed(findings))), str(sum(not f.tested for f in findings))
    counts = {"tests": str(len(findings)), "failures": wrong, "errors": "0"}
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(
        suites, "testsuite", {"name": printable(name), **counts, "skipped": skipped}
    )
    for finding in findings:
        names = {"classname": printable(name), "name": printable(finding.name)}
        case = ET.SubElement(suite, "testcase", names)
        if not finding.held:
            reason = printable(finding.reason)
            ET.SubElement(case, "failure", {"message": reason, "type": "CheckFailed"}).text = reason
        elif not finding.tested:
            ET.SubElement(case, "skipped", {"message": printable(finding.reason)})
    ET.indent(suites)
    body = ET.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def to_annotations(findings: Sequence[Finding]) -> str:
    """GitHub's workflow commands, one line per finding that failed.

    Source of the escapes: the `Command` of github.com/actions/toolkit.
    """
    return "".join(
        f"::error title={_escaped(f.name, _IN_PROPERTY)}::{_escaped(f.reason, _IN_DATA)}\n"
        for f in failed(findings)
    )


def to_markdown(findings: Sequence[Finding], name: str) -> str:
    """Markdown for `$GITHUB_STEP_SUMMARY`: how many held, and a table of those that failed."""
    lines = [f"### {_plain(name)}: {summary(findings)}", ""]
    wrong = failed(findings)
    if wrong:
        lines += ["| checked | found |", "| --- | --- |"]
        lines += [f"| {_plain(f.name)} | {_plain(f.reason)} |" for f in wrong[:_ROWS]]
        lines += ["", f"… and {len(wrong) - _ROWS} more"] * (len(wrong) > _ROWS) + [""]
    return "\n".join(lines) + "\n"


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


def _escaped(text: str, characters: str) -> str:
    """Each of these characters as % and its code in hexadecimal."""
    codes = {ord(character): f"%{ord(character):02X}" for character in characters}
    return text.translate(codes)


def _plain(text: str) -> str:
    """Text that Markdown takes as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~&])", r"\\\1", printable(text))
