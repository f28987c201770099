"""What the width takes of infinite-width theory, against networks and against cases without."""

import math

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import PASS_OF
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.figures.axes.curves import QUANTITIES, curves_of
from heinit_sim.figures.axes.key import layers_key
from heinit_sim.reports.prediction import prediction_rows, to_prediction_table
from heinit_sim.reports.run import layer_rows, summary_rows
from heinit_sim.reports.summary_table import to_summary_table
from heinit_sim.theory.infinite_width.finite_layers import relative_biases
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.predictions import LARGEST_BIAS, predict, predict_sweep
from tests.commands import printed
from tests.conditions import condition, unpredicted
from tests.figures.helpers import SHEET
from tests.rows import slow_but

Array = np.ndarray


def biases_of(of: Condition) -> Array:
    log10 = mean_field(of)["preactivation", "variance"][:-1]
    return relative_biases(of, math.log(10) * log10)


def network(name: str, width: int, depth: int, scale: float, mean: float = 0.0) -> Condition:
    means = (mean,) * (depth + 1)
    return condition((width,) * (depth + 1) + (1,), scale / width, name, 1, bias_means=means)


def measured(of: Condition, n_networks: int) -> tuple[Array, Array]:
    """Bias of E[h_k²] relative to infinite width, from layer 1 on, and its standard error."""
    config = SweepConfig("x", (of,), {}, n_networks, 1)
    networks = unpredicted(config).conditions[0].networks["activation", "second_moment"]
    wide = mean_field(of)["activation", "second_moment"]
    ratio = 10 ** (networks - wide)[:, 1:]
    return ratio.mean(axis=0) - 1, ratio.std(axis=0, ddof=1) / math.sqrt(n_networks)


# First order in 1/width: what is left is of the order of its square, here taken four times.
@pytest.mark.parametrize(
    ("of", "n_networks"),
    slow_but(
        [
            (network("tanh", 20, 12, 1.0), 400),
            (network("tanh", 100, 30, 1.0), 100),
            (network("gelu", 100, 10, 2.0), 300),
            (network("relu", 300, 3, 2.0, -0.5), 400),
            (network("elu", 40, 10, 1.2), 2000),
        ],
        (network("tanh", 20, 12, 1.0), 400),
    ),
)
def test_networks_are_off_by_what_is_worked_out_beforehand(of: Condition, n_networks: int) -> None:
    expected = biases_of(of)[1:]
    mean, error = measured(of, n_networks)
    assert (np.abs(mean - expected) < 5 * error + 4 * expected**2).all()


def test_the_bias_goes_as_one_over_the_width() -> None:
    biases = [biases_of(network("tanh", width, 6, 1.3))[-1] for width in (1000, 10_000)]
    np.testing.assert_allclose(biases[0] / biases[1], 10.0, rtol=1e-2, atol=0)


@pytest.mark.parametrize("name", ["relu", "linear"])
def test_homogeneous_activations_keep_the_mean_at_any_width(name: str) -> None:
    biased = condition((5,) * 30 + (1,), 0.3, name, 1, bias_variances=(0.2,) * 30)
    assert np.abs(biases_of(biased)).max() < 1e-9
    assert predict([biased], 0)[0].misfit is None


CONFIG = """
name: narrow
network: {depth: 8, width: 300, input_dim: 300, activation: relu}
init: {scheme: he_normal, bias: -0.5}
inputs: {count: 1}
trials: 3
"""


def test_units_that_a_bias_turns_off_are_too_few_for_infinite_width() -> None:
    (of,) = parse_config(CONFIG).conditions
    (narrow,) = predict([of], 0)
    assert narrow.misfit == 4
    for quantity, direction in PASS_OF.items():
        known = np.isfinite(narrow.theory[quantity, "second_moment"])
        first = 4 if direction == "forward" else 0
        assert known[:first].all()
        assert not known[first:].any()
        assert narrow.theory_kind(quantity, 5) == ""
    biases = biases_of(of)
    assert np.abs(biases[:4]).max() < LARGEST_BIAS < biases[4]


def test_tables_and_figures_say_where_theory_ends() -> None:
    config = parse_config(CONFIG)
    prediction = predict_sweep(config)
    rows = prediction_rows(prediction)
    assert [row["misfit_layer"] for row in rows] == [4, 4]
    shown = "\n".join(printed(to_prediction_table(config, rows)))
    assert "Mean —: from layer 4 on too narrow for infinite width." in shown
    curves = {direction: curves_of(prediction, direction, SHEET) for direction in QUANTITIES}
    key = layers_key(prediction, curves, banded=False)
    assert "Theory ends where layers are too narrow" in key.notes

    result: SweepResult = unpredicted(config)
    kinds = [row["theory_kind"] for row in layer_rows(result) if row["quantity"] == "activation"]
    assert kinds == ["mean_field"] * 4 + [""] * 5
    table = "\n".join(printed(to_summary_table(config, summary_rows(result))))
    assert "(—)" in table
    assert "layers are too narrow for it" in table


def test_where_theory_fits_nothing_is_said() -> None:
    config = parse_config(CONFIG.replace("relu", "tanh").replace(", bias: -0.5", ""))
    result = unpredicted(config)
    assert result.conditions[0].misfit is None
    table = "\n".join(printed(to_summary_table(config, summary_rows(result))))
    assert "(—)" not in table
