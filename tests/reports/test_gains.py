import json

import pytest

from heinit_sim.activations import ACTIVATIONS
from heinit_sim.reports.gains import gain_page, gain_rows, meaning, to_gain_markdown
from heinit_sim.theory.infinite_width.gains import all_gains, gains_of
from tests.commands import heinit_sim


def test_table_shows_every_activation_in_80_columns() -> None:
    found = heinit_sim("gains")
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    starts = {line.split()[0] for line in lines if line.strip()}
    assert set(ACTIVATIONS) <= starts
    assert ["gelu", "1/√E[a²]", "1.5335", "1.072", "kept", "grows", "×32.4"] in [
        line.split() for line in lines
    ]


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
    lines = to_gain_markdown(all_gains()).splitlines()
    assert {line.count("|") for line in lines} == {7}
    assert lines[1].replace(" ", "") == "|---|---|---:|---:|---|---|"
    assert heinit_sim("gains", "--markdown").stdout.splitlines() == lines


def test_meaning_is_told_in_words() -> None:
    he, _, pytorch = gains_of("tanh").gains
    assert meaning(he) == "over 50 layers: forward kept, gradient² ×3.58e+03 (×1.178 at first)"
    assert meaning(pytorch).startswith("over 50 layers: forward ×1.18, gradient² ×")
    assert meaning(gains_of("relu").gains[0]) == "over 50 layers: forward kept, gradient² kept"
