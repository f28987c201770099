import re
import xml.etree.ElementTree as ET

import pytest

from heinit_sim.checks.findings import failed
from heinit_sim.experiment.results import Finding
from heinit_sim.reports.findings import (
    finding_values,
    summary,
    to_annotations,
    to_junit,
    to_markdown,
    to_table,
)
from tests.commands import printed

HELD = Finding("expect[0], init.variance = 0.02: forward", True, "forward is stable")
FAILED = Finding("expect[1]: backward", False, "backward is exploding, 100 % off: <1> & more")
NASTY = Finding('a\x1b[31m"<&>\ud800\ufffe|`*_', False, "50 %\r\n::error::x,y:z\x00\x85")


def table_lines(findings: list[Finding]) -> list[str]:
    return [line.strip() for line in printed(to_table(findings), 120) if line]


def test_a_summary_counts() -> None:
    assert summary([HELD, FAILED, NASTY]) == "2 of 3 did not hold"
    assert summary([HELD, HELD]) == "2 of 2 held"
    assert failed([HELD, FAILED]) == [FAILED]


def test_the_table_has_a_line_per_finding_and_failures_first() -> None:
    _, _, first, second = table_lines([HELD, FAILED])
    assert first.startswith("FAILED   expect[1]: backward ")
    assert first.endswith("backward is exploding, 100 % off: <1> & more")
    assert second.startswith("ok       expect[0], init.variance = 0.02: forward ")


def test_of_many_findings_only_failures_are_listed() -> None:
    assert len(table_lines([HELD] * 29 + [FAILED])) == 2 + 30
    assert len(table_lines([HELD] * 30 + [FAILED] * 3)) == 2 + 3


def test_junit_says_what_was_found() -> None:
    text = to_junit([HELD, FAILED], "figure_7_4")
    assert text == to_junit([HELD, FAILED], "figure_7_4")
    assert text.startswith('<?xml version="1.0" encoding="utf-8"?>\n<testsuites ')
    root = ET.fromstring(text.encode())
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    assert suite.attrib == {
        "name": "figure_7_4",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    held, wrong = suite
    assert held.attrib == {"classname": "figure_7_4", "name": HELD.name}
    assert len(held) == 0
    (failure,) = wrong
    assert failure.tag == "failure"
    assert failure.get("message") == failure.text == FAILED.reason


def test_junit_of_any_text_is_xml() -> None:
    case = ET.fromstring(to_junit([NASTY], "a\x00b").encode())[0][0]
    assert case.get("name") == 'a\\x1b[31m"<&>\\ud800\\ufffe|`*_'
    assert case[0].text == "50 %\\r\\n::error::x,y:z\\x00\\x85"


def test_nothing_found_is_an_empty_suite() -> None:
    assert ET.fromstring(to_junit([], "x").encode())[0].get("tests") == "0"
    assert to_annotations([]) == ""
    assert to_markdown([], "x") == "### x: 0 of 0 held\n\n"


def unescaped(text: str) -> str:
    return re.sub("%([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), text)


@pytest.mark.parametrize("finding", [FAILED, NASTY])
def test_an_annotation_is_one_command_that_reads_back(finding: Finding) -> None:
    line = to_annotations([HELD, finding])
    assert line.count("\n") == 1
    assert "\r" not in line
    match = re.fullmatch(r"::error title=([^:,]*)::(.*)\n", line)
    assert match
    assert unescaped(match[1]) == finding.name
    assert unescaped(match[2]) == finding.reason


def test_an_annotation_escapes_what_github_reads() -> None:
    finding = Finding("a: b, 5 %", False, "1 % of x:\r\ny, z")
    assert to_annotations([finding]) == ("::error title=a%3A b%2C 5 %25::1 %25 of x:%0D%0Ay, z\n")


def test_an_annotation_stands_at_its_line_of_the_config() -> None:
    found = [Finding("a", False, "x"), Finding("b", False, "y", line=7)]
    assert to_annotations(found, "a,b:c.yaml") == (
        "::error file=a%2Cb%3Ac.yaml,line=1,title=a::x\n"
        "::error file=a%2Cb%3Ac.yaml,line=7,title=b::y\n"
    )


def test_the_step_summary_is_a_table_of_what_failed() -> None:
    assert to_markdown([HELD, FAILED], "figure_7_4") == (
        "### figure\\_7\\_4: 1 of 2 did not hold\n"
        "\n"
        "| checked | found |\n"
        "| --- | --- |\n"
        "| expect\\[1\\]: backward | backward is exploding, 100 % off: \\<1\\> \\& more |\n"
        "\n"
    )
    assert to_markdown([NASTY], "x").count("\n") == 6
    assert re.findall(r"(?<!\\)\|", to_markdown([NASTY], "x").splitlines()[4]) == ["|"] * 3


def test_a_long_step_summary_is_cut_below_what_github_takes() -> None:
    text = to_markdown([FAILED] * 20_000, "x")
    assert "… and 19000 more\n" in text
    assert len(text.encode()) < 2**20


def test_findings_for_json_are_plain() -> None:
    assert finding_values([FAILED]) == [
        {"name": FAILED.name, "held": False, "reason": FAILED.reason}
    ]
