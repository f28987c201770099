import numpy as np
import pytest
from rich.text import Text

from heinit_sim.cli.console import print_table
from heinit_sim.config import parse_config
from heinit_sim.experiment.results import SweepResult
from heinit_sim.reports import formats
from heinit_sim.reports.run import summary_rows
from heinit_sim.reports.summary_table import _STYLES, to_summary_table
from tests.commands import printed
from tests.conditions import unpredicted
from tests.reports.configs import SMALL


@pytest.fixture(scope="module")
def result() -> SweepResult:
    return unpredicted(parse_config(SMALL))


def rendered(result: SweepResult, width: int) -> list[str]:
    rows = summary_rows(result)
    return printed(to_summary_table(result.config, rows, width), width)


def test_table_fits_eighty_columns_without_cutting(result: SweepResult) -> None:
    lines = rendered(result, 80)
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert [line.split()[0] for line in lines if line.strip()[:3] in {"0.2", "0.5"}] == [
        "0.25",
        "0.5",
    ]
    # the same rows at any width: no cell is wrapped
    assert sum("(+0" in line for line in lines) == sum(
        "(+0" in line for line in rendered(result, 200)
    )


def test_table_shows_each_number_under_its_head(result: SweepResult) -> None:
    line = next(line for line in rendered(result, 80) if line.strip().startswith("0.25"))
    row = summary_rows(result)[0]
    slopes = [
        f"{row['forward_decades_per_layer']:+z.3f}",
        f"({row['theory_forward_decades_per_layer']:+z.3f})",
        f"{row['backward_decades_per_layer']:+z.3f}",
        f"({row['theory_backward_decades_per_layer']:+z.3f})",
    ]
    assert line.split()[3:] == [*slopes, row["verdict"]]


def test_a_verdict_of_two_words_fits_eighty_columns() -> None:
    tapering = SMALL.replace("width: 8", "width: [160, 40, 10]").replace(
        "init.variance: [0.25, 0.5]", "init.variance: [0.2]"
    )
    mixed = unpredicted(parse_config(tapering))
    row = summary_rows(mixed)[0]
    assert row["forward_verdict"] != row["backward_verdict"]
    assert row["verdict"] == f"{row['forward_verdict']} / {row['backward_verdict']}"
    lines = rendered(mixed, 80)
    assert max(map(len, lines)) <= 80
    assert row["forward_verdict"] + " /" in "".join(lines)
    assert any(line.split() == [row["backward_verdict"]] for line in lines)  # below the other
    assert sum("(theory)" in line for line in lines) == 1  # which costs no theory
    cell = to_summary_table(mixed.config, [row]).columns[-1]._cells[0]
    assert isinstance(cell, Text)
    assert [span.style for span in cell.spans] == [
        _STYLES[row[f"{direction}_verdict"]] for direction in ("forward", "backward")
    ]


def test_a_wide_table_says_what_stable_stands_for_and_shows_the_output(
    result: SweepResult,
) -> None:
    wide = "\n".join(rendered(result, 120))
    (row,) = [row for row in summary_rows(result) if "stable" in row["verdict"]]
    drift, allowed = row["drift_decades_per_layer"], row["allowed_decades_per_layer"]
    assert f"({drift:+z.3f} ± {allowed:.3f} allowed)" in wide
    assert "E[f_K²]" in wide
    output = np.median(
        result.conditions[row["condition"]].networks["preactivation", "second_moment"][:, -1]
    )
    assert formats.power_text(output) in wide
    narrow = "\n".join(rendered(result, 80))
    assert f"stable: {drift:+z.3f} ± {allowed:.3f}" in narrow
    assert "allowed" not in narrow


def test_a_single_channel_is_not_many() -> None:
    cnn = "network: {kind: cnn, depth: 2, image: [3], kernel: 1, channels: "
    for channels, text in ((1, "1 channel"), (2, "2 channels")):
        given = f"name: a\ntrials: 2\n{cnn}{channels}}}\ninit: {{scheme: he_normal}}\n"
        title = rendered(unpredicted(parse_config(given)), 80)[0]
        assert text in title.split(", ")


def test_columns_move_together_before_a_word_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "name: x\nnetwork: {depth: 20, width: 2, input_dim: 2, activation: elu}\n"
        "init: {variance: 1}\ntrials: 2\n"
        "sweep: {init.variance: [1e3, 1e30], network.activation: [softplus, elu]}"
    )
    result = unpredicted(parse_config(text))
    rows = summary_rows(result)
    for columns, whole in (("80", True), ("60", False)):
        monkeypatch.setenv("COLUMNS", columns)
        print_table(to_summary_table(result.config, rows))
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        assert any(" activation " in line for line in lines) == whole
