import math

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
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
    text = CONFIG.replace("0.001, 0.01, 0.02, 0.1, 1.0", "0.001, 0.01, 0.1")
    config = with_activation("tanh", text)
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


MLP = """
name: mlp
network:
  depth: 25
  width: 768
  input_dim: 768
  activation: gelu_tanh
  block: [norm, {weights: {expand: 4}}, activation, weights, add]
init: {variance: 0.0004, first: {scheme: lecun_normal}}
inputs: {count: 2}
"""
POST_NORM = "[{weights: {expand: 4}}, activation, weights, add, norm]"


def growth(block: str = "", text: str = MLP) -> dict[str, float]:
    """The row of a network of 24 blocks, of factors and no logarithms."""
    given = text.replace("[norm, {weights: {expand: 4}}, activation, weights, add]", block)
    (row,) = phase_rows(parse_config(given if block else text))
    assert row.pop("blocks") == 24
    return {key.replace("log10_", ""): 10**x for key, x in row.items() if key != "condition"}


def shares(q: float) -> tuple[float, float]:
    """E[a²] and E[a'²] of GELU in its tanh form by a plain sum, a' by differences."""
    z, step = np.arange(-12, 12, 1e-3) * math.sqrt(q), 1e-5
    weight = np.exp(-(z**2) / (2 * q)) / math.sqrt(2 * math.pi) * 1e-3

    def a(z: np.ndarray) -> np.ndarray:
        return np.asarray(z / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3))))

    slope = (a(z + step) - a(z - step)) / (2 * step)
    return float(weight @ a(z) ** 2), float(weight @ slope**2)


def test_mlp_blocks_grow_as_the_numbers_of_theory_say() -> None:
    found, scale = growth(), 768 * 0.0004
    assert (round(found["forward_all"], 4), round(found["forward_first"] - 1, 4)) == (
        4.1397,
        0.1308,
    )
    second, slope = shares(scale)
    added, back = 4 * scale * second, 4 * scale**2 * slope
    q = 1 + added * np.arange(24)
    # differences of a' leave 1e-10, and log10 is rounded to 1e-8
    expected = [1 + back, 1 + back / q[-1], float(np.prod(1 + back / q))]
    backward = [found[f"backward_{k}"] for k in ("first", "last", "all")]
    np.testing.assert_allclose(backward, expected, rtol=1e-7, atol=0)
    np.testing.assert_allclose(found["forward_last"], 1 + added / q[-1], rtol=1e-7, atol=0)
    # planted: a branch that does not divide by the size of what enters
    assert abs(math.log(backward[2] / (1 + back) ** 24)) > 0.5


def test_gpt2_s_smaller_weights_and_a_norm_at_the_end_of_branches_grow_as_said() -> None:
    smaller = "{weights: {init: {variance: 0.0004/48}}}"
    found = growth(f"[norm, {{weights: {{expand: 4}}}}, activation, {smaller}, add]")
    assert round(found["forward_all"], 4) == 1.0654
    found = growth("[{weights: {expand: 4}}, activation, weights, norm, add]")
    np.testing.assert_allclose(found["forward_all"], 25, rtol=1e-7, atol=0)


def test_post_norm_keeps_signals_and_divides_gradients_by_what_blocks_add() -> None:
    found, scale = growth(POST_NORM), 768 * 0.0004
    second, slope = shares(scale)
    factor = (1 + 4 * scale**2 * slope) / (1 + 4 * scale * second)
    assert found["forward_all"] == found["forward_last"] == 1
    np.testing.assert_allclose(found["backward_last"], factor, rtol=1e-7, atol=0)
    np.testing.assert_allclose(found["backward_all"], factor**24, rtol=1e-6, atol=0)
    assert abs(factor - 1) > 1e-3


def test_branches_of_zeros_grow_by_nothing_at_all() -> None:
    zeros = "{weights: {init: {scheme: zeros}}}"
    found = growth(f"[norm, {{weights: {{expand: 4}}}}, activation, {zeros}, add]")
    assert set(found.values()) == {1.0}


def test_growth_of_a_sweep_of_blocks_fits_80_columns_and_says_what_is_not_known() -> None:
    blocks = f"[[weights, activation], {POST_NORM}, [norm, attention, weights, add]]"
    config = parse_config(
        MLP.replace(
            "inputs: {count: 2}", f"inputs: {{tokens: 3}}\nsweep: {{network.block: {blocks}}}"
        )
        .replace("  block: [norm, {weights: {expand: 4}}, activation, weights, add]\n", "")
        .replace("variance: 0.0004", "variance: 0.4")
    )
    lines = text(config).splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text(config)
    assert "growth at infinite width" in lines[0]
    assert "—: not known at infinite width" in text(config)
    rows = phase_rows(config)
    assert [math.isnan(row["backward_log10_all"]) for row in rows] == [False, False, True]
    # plain layers from layer 1 on, each 307.2 E[a²]: beyond five digits it is a power of ten
    assert rows[0]["forward_log10_all"] > 24
    assert "e+" in text(config)
    head = "condition,network.block,blocks,forward_log10_first,forward_log10_last,forward_log10_all"
    assert to_csv(rows).startswith(head)
    assert to_json_values(rows)[2]["backward_log10_all"] is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            MLP.replace("{variance: 0.0004, first: {scheme: lecun_normal}}", "{scheme: identity}"),
            "weights of a mean or of no variance have no theory",
        ),
        (MLP.replace(", weights, add]", ", weights]"), "or add for growth"),
        (MLP.replace("variance: 0.0004,", "variance: 0.0004, bias_scheme: torch,"), "uniform"),
    ],
)
def test_what_has_neither_phase_nor_growth_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        phase_rows(parse_config(text))
    (problem,) = caught.value.problems
    assert said in problem
