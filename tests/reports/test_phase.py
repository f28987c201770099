import math

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.reports.formats import ten_digits, to_csv, to_json_values
from heinit_sim.reports.phase import phase_rows, to_phase_table
from heinit_sim.theory.infinite_width.phase import phase
from tests.commands import printed
from tests.rows import slow_but

CONFIG = """
name: figure_7_4
network: {depth: 50, width: 100, input_dim: 100, activation: relu}
init: {}
sweep: {init.variance: [0.001, 0.01, 0.02, 0.1, 1.0]}
"""


def with_activation(activation: str, text: str = CONFIG) -> SweepConfig:
    return parse_config(text.replace("activation: relu", f"activation: {activation}"))


def text(config: SweepConfig) -> str:
    return "\n".join(printed(to_phase_table(config, phase_rows(config))))


def test_rows_hold_the_phase_of_each_condition() -> None:
    config = with_activation("tanh")
    for row, condition in zip(phase_rows(config), config.conditions, strict=True):
        scale = 100 * condition.weight_variances[0]
        found = phase(make_activation("tanh", {}), scale, 0.0, scale)
        assert (row["condition"], row["weight_scale"]) == (condition.index, ten_digits(scale))
        assert row["init.variance"] == condition.weight_variances[0]
        expected = (found.q, found.chi1, found.xi_q, found.xi_c, found.c)
        shown = [row[k] for k in ("q", "chi1", "xi_q", "xi_c", "c")]
        np.testing.assert_array_equal(shown, [*map(ten_digits, expected)])
        assert row["phase"] == found.word
        critical = [row["critical_weight_scale"], row["critical_weight_variance"]]
        # quadrature next to q = 0 is a relative 1e-12 from its limit at most
        np.testing.assert_allclose(critical, [1.0, 0.01], rtol=1e-12, atol=0)


def test_table_of_figure_7_4_finds_he_at_the_edge_of_chaos() -> None:
    lines = [line.split() for line in text(parse_config(CONFIG)).splitlines()]
    assert ["0.02", "2", "0", "2", "1", "critical", "0.02", "∞", "∞", "1"] in lines
    assert ["0.01", "1", "0", "0", "0.5", "ordered", "0.02", "1.443", "—", "—"] in lines
    assert ["0.1", "10", "0", "∞", "5", "chaotic", "0.02", "—", "—", "—"] in lines


@pytest.mark.parametrize(
    "activation",
    slow_but(["relu", "tanh", "gelu", "sigmoid", "softplus"], "relu", "tanh", "softplus"),
)
def test_table_fits_a_terminal_of_80_columns_uncut(activation: str) -> None:
    shown = text(with_activation(activation, CONFIG.replace("0.02,", "0.0234567,")))
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_grid_fits_as_well() -> None:
    grid = CONFIG.replace("sweep: {", "sweep: {network.depth: [10, 50], ")
    shown = text(with_activation("tanh", grid.replace("depth: 50, ", "")))
    assert "…" not in shown
    assert "depth" in shown or "K" in shown


def test_unknown_numbers_are_empty_in_csv_null_in_json_and_infinite_ones_are_told() -> None:
    rows = phase_rows(parse_config(CONFIG))
    assert to_csv(rows).splitlines()[-1].endswith("inf,50.0,chaotic,2.0,0.02,,,,")
    assert to_json_values(rows)[-1]["c"] is None
    assert to_json_values(rows)[-1]["q"] is None


def test_a_network_without_a_phase_says_nothing() -> None:
    uneven = CONFIG.replace("depth: 50, width: 100", "depth: 3, width: [100, 50, 100]")
    row = phase_rows(with_activation("tanh", uneven))[0]
    assert row["phase"] == ""
    for column in ("weight_scale", "q", "chi1", "critical_weight_variance", "xi_q", "xi_c", "c"):
        assert math.isnan(row[column])
    shown = text(with_activation("tanh", uneven))
    assert "—" in shown
    assert "phase —: layers have no common finite σ²_w" in shown


@pytest.mark.parametrize("swept", ["init.bias_variance", "init.variance"])
def test_variance_of_biases_has_one_column_whether_swept_or_not(swept: str) -> None:
    config = CONFIG.replace("init: {}", "init: {variance: 0.02}" * (swept == "init.bias_variance"))
    config = config.replace("init.variance: ", f"{swept}: ") if "{variance" in config else CONFIG
    found = parse_config(config)
    assert text(found).count("σ²_b") == 1
    assert "bias_variance" in phase_rows(found)[0]


@pytest.mark.parametrize(
    ("activation", "init", "notes"),
    [
        ("relu", "{variance: 0.02}", 0),
        ("relu", "{variance: 0.02, bias_variance: 0.3}", 3),
        ("relu", "{variance: 0.01}", 1),
        ("softplus", "{variance: 0.01}", 1),
        ("tanh", "{variance: 0.02}", 0),
    ],
)
def test_notes_in_narrow_lines_say_what_is_missing(activation: str, init: str, notes: int) -> None:
    single = CONFIG.replace("init: {}", f"init: {init}")
    config = with_activation(activation, single[: single.index("sweep")])
    lines = [line.rstrip() for line in text(config).splitlines()]
    below = lines[max(n for n, line in enumerate(lines) if not line) + 1 :]
    caption = to_phase_table(config, phase_rows(config)).caption
    assert below == str(caption).splitlines()
    assert len(below) == 2 + notes


def test_critical_column_is_empty_where_layers_differ_in_width() -> None:
    uneven = CONFIG.replace("depth: 50, width: 100", "depth: 3, width: [100, 50, 100]")
    assert "σ²_Ω crit —: hidden layers differ in width" in text(parse_config(uneven))


def test_a_fixed_point_that_repels_is_told() -> None:
    config = parse_config(
        "name: a\nnetwork: {depth: 5, width: 9, input_dim: 9, activation: silu}\n"
        "init: {scheme: variance_scaling, gain: second_moment}\n"
    )
    assert "q = 1 repels: signals stay on\nneither side, whatever the phase" in text(config)
    assert phase_rows(config)[0]["repels"] == 1.0
    assert "repels" not in text(with_activation("tanh"))
