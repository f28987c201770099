"""The page, the Markdown and the JSON of `verify` show every row and every number."""

import json
import re
from dataclasses import replace

import pytest

from heinit_sim.config import parse_config
from heinit_sim.derivation.verify import DEFAULT_CONFIG, Verification, verify
from heinit_sim.reports.derivation import (
    to_identity_document,
    to_identity_page,
    to_identity_tables,
)
from heinit_sim.reports.formats import to_markdown
from tests.commands import printed


@pytest.fixture(scope="module")
def found() -> Verification:
    return verify(parse_config(DEFAULT_CONFIG).conditions[0], 0, n_networks=100)


def lines(found: Verification, width: int = 200) -> list[str]:
    return printed(to_identity_page(found), width)


def with_row(found: Verification, **changes: object) -> Verification:
    """The same, the first sampled row of it changed."""
    rows = list(found.rows)
    rows[1] = replace(rows[1], **changes)  # type: ignore[arg-type]  # fields of a row
    return replace(found, rows=tuple(rows))


def test_the_page_has_two_lines_of_80_columns_for_each_identity(found: Verification) -> None:
    for width in (80, 200):
        page = lines(found, width)
        assert max(map(len, page)) <= 80
        for row in found.rows:
            place = page.index(f"     {row.explanation}") - 1
            assert page[place].startswith(f"pass {row.left} = {row.right} ")
            numbers = page[place].split()[-4:]
            for number, value in zip(numbers, (row.left_value, row.right_value), strict=False):
                assert number in (f"{value:.4g}", f"{value:.3g}")  # where four digits are too wide
            assert numbers[3] == ("exact" if row.z is None else f"{row.z:+.2f}")


def test_a_row_that_did_not_hold_says_so_everywhere(found: Verification) -> None:
    red = with_row(found, held=False, z=-12345.6, left_value=-1.23456e-105)
    page = lines(red)
    (line,) = (line for line in page if line.startswith("FAIL"))
    assert line.startswith("FAIL E[κ f(x)] = κ E[f(x)] ")
    assert line.split()[-4] == "-1e-105"
    assert line.split()[-1] == "-1e+04"
    assert len(line) <= 80
    assert "23 of 24 identities hold." in page
    assert to_markdown(to_identity_tables(red)).count("| FAIL |") == 1
    document = to_identity_document(red)
    assert document["held"] is False
    assert [row["name"] for row in document["rows"] if not row["held"]] == ["rule 2"]
    assert to_identity_document(found)["held"] is True


def test_the_page_states_the_bound_and_its_level(found: Verification) -> None:
    text = " ".join(" ".join(lines(found)).split())
    assert f"|z| ≤ {found.bound:.2f}" in text
    assert "correct code fails any of the 20 at all with probability 0.001" in text
    assert "Means over 100 independent networks" in text


def test_markdown_has_one_row_of_eight_cells_for_each_identity(found: Verification) -> None:
    lines = to_markdown(to_identity_tables(found)).splitlines()
    assert lines[0] == "**Identities: 5 hidden layers, D\\_h = 100, relu**"
    table = [line for line in lines if " pass |" in line]
    assert len(table) == len(found.rows)
    for line, row in zip(table, found.rows, strict=True):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert len(cells) == 8
        cells = [re.sub(r"\\(.)", r"\1", cell) for cell in cells]
        assert cells[0] == f"{row.left} = {row.right}"
        assert cells[6:] == [row.explanation, row.source]


def test_the_document_holds_every_number_and_the_network(found: Verification) -> None:
    document = json.loads(json.dumps(to_identity_document(found), allow_nan=False))
    assert document["network"]["widths"] == [100] * 6 + [1]
    assert document["network"]["weight_variances"] == [0.02] * 6
    assert document["largest_z"] == found.bound
    for line, row in zip(document["rows"], found.rows, strict=True):
        assert (line["left_value"], line["right_value"]) == (row.left_value, row.right_value)
        assert (line["z"], line["error"]) == (row.z, row.error)
        assert line["networks"] == row.networks


def test_the_title_says_what_was_cut_off() -> None:
    text = "{name: n, network: {depth: 9, width: [%s], input_dim: 4, activation: leaky_relu}, %s}"
    of = parse_config(text % (", ".join("23456789" + "1"), "init: {variance: 1}")).conditions[0]
    title = lines(verify(of, 0, n_networks=100))[0]
    expected = "5 hidden layers (of 9), D_h = 2 … 6, leaky_relu, α = 0.01"
    assert title == f"Identities: {expected}"
