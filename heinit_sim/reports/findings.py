"""Findings as a table, as JUnit XML, as GitHub's annotations and step summary."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING

from heinit_sim.checks import failed
from heinit_sim.experiment.labels import printable
from heinit_sim.experiment.results import Finding
from heinit_sim.reports.formats import markdown_text, plain_table

if TYPE_CHECKING:
    from rich.table import Table

LISTED = 30
"""Most findings that are listed whole; of more, only those that failed are."""
_ROWS = 1000  # GitHub takes 1 MiB of step summary, and none of a longer one


def summary(findings: Sequence[Finding]) -> str:
    """How many held or did not, e.g. "2 of 14 did not hold"."""
    wrong, n = len(failed(findings)), sum(finding.tested for finding in findings)
    if wrong:
        return f"{wrong} of {n} did not hold"
    if findings and not n:
        return "nothing could be tested"
    return f"{n} of {n} held" + ", not all tested" * (n < len(findings))


def to_table(findings: Sequence[Finding]) -> "Table":
    """A line for each finding, those that failed first; of many only these."""
    from rich.text import Text

    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("checked", overflow="fold")
    table.add_column("found", overflow="fold")
    wrong = failed(findings)
    tested = [finding for finding in findings if finding.tested]
    shown = wrong if len(findings) > LISTED else sorted(tested, key=lambda finding: finding.held)
    for finding in shown:
        word, style = ("ok", None) if finding.held else ("FAILED", "red")
        table.add_row(word, Text(finding.name), Text(finding.reason), style=style)
    return table


def finding_values(findings: Sequence[Finding]) -> list[dict[str, object]]:
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
    facts = {"name": printable(name), **counts, "skipped": skipped}
    suite = ET.SubElement(suites, "testsuite", facts)
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


def to_annotations(findings: Sequence[Finding], file: str | None = None) -> str:
    """GitHub's workflow commands, one line per finding that failed.

    Args:
        findings: What was checked.
        file: The config, as seen from the repository's root; None for one that is no file.

    Source of the escapes: the `Command` of github.com/actions/toolkit.
    """
    place = "" if file is None else f"file={_escaped(printable(file), ':,')},"
    return "".join(
        f"::error {place}{f'line={f.line or 1},' * bool(place)}title={_escaped(f.name, ':,')}::"
        f"{_escaped(f.reason)}\n"
        for f in failed(findings)
    )


def to_markdown(findings: Sequence[Finding], name: str) -> str:
    """Markdown for `$GITHUB_STEP_SUMMARY`: how many held, and a table of those that failed."""
    lines = [f"### {markdown_text(name)}: {summary(findings)}", ""]
    wrong = failed(findings)
    if wrong:
        lines += ["| checked | found |", "| --- | --- |"]
        lines += [f"| {markdown_text(f.name)} | {markdown_text(f.reason)} |" for f in wrong[:_ROWS]]
        lines += ["", f"… and {len(wrong) - _ROWS} more"] * (len(wrong) > _ROWS) + [""]
    return "\n".join(lines) + "\n"


def _escaped(text: str, more: str = "") -> str:
    """Text with %, line ends and `more` characters as % and the code in hexadecimal."""
    return text.translate({ord(c): f"%{ord(c):02X}" for c in "%\r\n" + more})
