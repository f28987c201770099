import csv
import json

import pytest

from heinit_sim.activations import ACTIVATIONS
from heinit_sim.reports.formats import to_markdown
from heinit_sim.reports.gains import (
    fixed_point,
    gain_page,
    gain_rows,
    meaning,
    to_gain_table,
)
from heinit_sim.theory.infinite_width.gains import all_gains, gains_of
from tests.commands import heinit_sim


def test_table_shows_every_activation_in_80_columns() -> None:
    found = heinit_sim("gains")
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    starts = {line.split()[0] for line in lines if line.strip()}
    assert set(ACTIVATIONS) <= starts
    rows = [line.split() for line in lines]
    assert ["gelu", "1/√E[a²]", "1.5335", "1.072", "kept,", "repels", "268", "×32.4"] in rows
    assert ["tanh", "1/√E[a²]", "1.5925", "1.178", "kept", "1", "×3.58e+03"] in rows


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_page_of_an_activation_fits_80_columns(activation: str) -> None:
    head, _, notes = gain_page(gains_of(activation))
    assert head.startswith(f"{activation}: a(z) = ")
    assert max(map(len, (head + "\n" + notes).splitlines())) <= 80


def test_page_tells_formula_moments_sources_and_what_was_published() -> None:
    found = heinit_sim("gains", "silu")
    assert (found.returncode, found.stderr) == (0, "")
    for text in (
        *("z/(1 + e^−z)", "E[a²] = 0.3557755", "E[a'²] = 0.3794824", "Not homogeneous"),
        *("1.78719", "published as 1.7881", "He et al. 2015", "calculate_gain has no gain"),
    ):
        assert text in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= 80


def test_json_holds_every_gain_and_nothing_else_is_printed() -> None:
    found = heinit_sim("gains", "--json")
    assert (found.returncode, found.stderr) == (0, "")
    rows = json.loads(found.stdout)["gains"]
    assert rows == gain_rows(all_gains())
    assert len(rows) == 2 * len(ACTIVATIONS) + 6
    assert len({(row["activation"], row["convention"]) for row in rows}) == len(rows)


def test_markdown_is_a_table_of_as_many_columns_in_every_line() -> None:
    lines = to_markdown([to_gain_table(all_gains())]).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in table} == {8}
    assert table[1].replace(" ", "") == "|---|---|---:|---:|---|---|---|"
    for short in (["--markdown"], ["--format", "markdown"]):
        assert heinit_sim("gains", *short).stdout.splitlines() == lines


def test_csv_has_a_column_for_whatever_some_activation_has() -> None:
    rows = list(csv.DictReader(heinit_sim("gains", "--format", "csv").stdout.splitlines()))
    expected = gain_rows(all_gains())
    assert len(rows) == len(expected)
    for row, values in zip(rows, expected, strict=True):
        assert row["activation"] == values["activation"]
        assert float(row["gain"]) == values["gain"]
        assert row["negative_slope"] == str(values.get("negative_slope", ""))
        assert None not in (*row, *row.values())


def test_meaning_is_told_in_words() -> None:
    he, _, pytorch = gains_of("tanh").gains
    assert meaning(he) == "over 50 layers: forward kept, gradient² ×3.58e+03 (×1.178 at first)"
    assert meaning(pytorch).startswith("over 50 layers: forward ×1.18, gradient² ×")
    assert meaning(gains_of("relu").gains[0]) == "over 50 layers: forward kept, gradient² kept"


def test_a_gain_that_repels_does_not_read_as_if_it_were_safe() -> None:
    silu, _ = gains_of("silu").gains
    assert "forward kept, repels, " in meaning(silu)
    text = "variance: 1 repels (slope 1.173); 0.9 ends at 3.83e-06, 1.1 at 1.71e+05"
    assert fixed_point(silu) == text
    assert text in heinit_sim("gains", "silu").stdout
    (row,) = (r for r in gain_rows([gains_of("silu")]) if r["convention"] == "second_moment")
    assert (row["fixed_point"], round(row["length_slope"], 3)) == ("repels", 1.173)
    assert text in row["meaning"]
    relu, _, _ = gains_of("relu").gains
    assert fixed_point(relu) == "variance: any stays (slope 1.000); 0.9 ends at 0.9, 1.1 at 1.1"
