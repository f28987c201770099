import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.verdict import trend
from heinit_sim.config.load import parse_config
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.experiment.quantities import MEASURES, Pass
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.simulation.sweep import run_sweep

CONFIG = """
name: test
network: {{depth: {depth}, width: {width}, input_dim: {width}}}
init: {{variance: {variance}}}
inputs: {{count: 3}}
trials: {trials}
seed: {seed}
"""


def simulate(
    variance: float, *, width: int = 100, depth: int = 50, trials: int = 20, seed: int = 0
) -> ConditionResult:
    text = CONFIG.format(variance=variance, width=width, depth=depth, trials=trials, seed=seed)
    return run_sweep(parse_config(text)).conditions[0]


@pytest.mark.parametrize(
    ("variance", "word"),
    [
        (0.001, "vanishing"),
        (0.01, "vanishing"),
        (0.02, "stable"),
        (0.1, "exploding"),
        (1.0, "exploding"),
    ],
)
def test_figure_7_4_is_called_what_it_is(variance: float, word: str) -> None:
    found = simulate(variance)
    assert {trend(found, "forward").word, trend(found, "backward").word} == {word}


def test_he_is_stable_for_every_one_of_forty_seeds() -> None:
    words = set()
    for seed in range(40):
        found = simulate(0.02, seed=seed, trials=4)
        words |= {trend(found, "forward").word, trend(found, "backward").word}
    assert words == {"stable"}


def test_a_variance_ten_percent_off_he_is_not_stable() -> None:
    # 50 · log10(1.1) = 2.1 decades
    assert trend(simulate(0.022, trials=100), "forward").word == "exploding"
    assert trend(simulate(0.018, trials=100), "backward").word == "vanishing"


def with_medians(values: np.ndarray) -> ConditionResult:
    """One network whose variances are given, layer by layer, for both passes."""
    blank = simulate(0.02, width=4, depth=len(values) - 1, trials=1)
    networks = dict.fromkeys(blank.networks, values[np.newaxis])
    return replace(blank, networks=networks)


def test_slope_is_the_least_squares_line_in_the_direction_of_the_pass() -> None:
    values = np.array([99.0, 0.0, -0.5, -0.7, -1.5])  # layer 0 is the input and not fitted
    found = with_medians(values)
    slope = np.polyfit(np.arange(1, 5), values[1:], 1)[0]
    assert math.isclose(trend(found, "forward").decades_per_layer, slope, rel_tol=1e-13)
    assert math.isclose(trend(found, "backward").decades_per_layer, -slope, rel_tol=1e-13)


def test_a_dead_median_network_has_vanished_in_both_passes() -> None:
    found = with_medians(np.array([0.0, 0.0, -1.0, -np.inf]))
    for direction in ("forward", "backward"):
        assert trend(found, direction).decades_per_layer == -math.inf
        assert trend(found, direction).word == "vanishing"


def test_one_hidden_layer_has_no_slope() -> None:
    found = trend(simulate(0.5, width=4, depth=1), "forward")
    assert math.isnan(found.decades_per_layer)
    assert found.word == "undefined"


def test_theory_beside_the_slope_is_the_mean_field_one() -> None:
    found = trend(simulate(0.01), "backward")
    assert math.isclose(found.theory_decades_per_layer, math.log10(0.5), rel_tol=1e-12)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_stable_reaches_as_far_as_it_says(direction: Pass) -> None:
    # One network of 20 hidden layers of 4 ReLU units: a spread of 20 · 5/4 = 25, so a drift of
    # −12.5 and a standard error of √(π/2 · 6/5 · 25) nats in all.
    depth, sign = 20, 1 if direction == "forward" else -1
    drift = -12.5 / depth / math.log(10)
    error = math.sqrt(math.pi / 2 * 6 / 5 * 25) / depth / math.log(10)
    allowed = 1 / depth + 3 * error
    for excess, word in (
        (0.999 * allowed, "stable"),
        (-0.999 * allowed, "stable"),
        (1.001 * allowed, "exploding"),
        (-1.001 * allowed, "vanishing"),
    ):
        line = sign * (drift + excess) * np.arange(depth + 1.0)
        assert trend(with_medians(line), direction).word == word


def test_error_of_a_slope_is_that_of_a_median_over_networks() -> None:
    found = simulate(0.02, width=30, depth=10, trials=400)
    logs = found.networks["activation", "variance"][:, 1:]
    layers = np.arange(1, 11)
    slopes = [np.polyfit(layers, network, 1)[0] for network in logs]
    expected = math.sqrt(math.pi / 2) * np.std(slopes, ddof=1) / math.sqrt(400)
    error = trend(found, "forward").error
    assert math.isclose(error, expected, rel_tol=1e-9)
    # The slope of a random walk of 10 steps of variance 5/30 in ln has the variance 6/5 per step
    # squared depth; the variance over units adds noise of its own. Within a quarter.
    predicted = math.sqrt(math.pi / 2 * 6 / 5 * (5 / 30 * 10) / 400) / 10 / math.log(10)
    assert 0.75 < error / predicted < 1.25
    assert math.isnan(trend(simulate(0.02, trials=1), "forward").error)


def test_the_drift_is_five_over_twice_the_width_for_relu() -> None:
    found = trend(simulate(0.02), "forward")
    assert math.isclose(found.drift, -5 / 200 / math.log(10), rel_tol=1e-12)
    text = "decades per layer; stable is -0.011 ± "
    assert found.reason.startswith(f"{found.decades_per_layer:+.3f} ± {found.error:.3f} {text}")


def test_where_no_spread_is_predicted_the_measured_error_counts() -> None:
    text = CONFIG.format(variance=0.01, width=100, depth=10, trials=20, seed=0)
    text = text.replace("input_dim: 100", "input_dim: 100, activation: tanh")
    found = trend(run_sweep(parse_config(text)).conditions[0], "forward")
    assert (found.drift, found.allowed) == (0.0, 0.1 + 3 * found.error)
    assert found.word == "stable"  # Var h falls like 1/2k at tanh's edge of chaos


ABOUT_A_DRIFT = [(-0.45, "vanishing"), (-0.3, "stable"), (0.0, "stable"), (0.2, "exploding")]


@pytest.mark.parametrize(("slope", "word"), ABOUT_A_DRIFT)
def test_of_convolutions_drifts_up_to_the_measured_one_are_stable(slope: float, word: str) -> None:
    """Half the variance of ln ‖h_K‖² over networks here is 0.3 decades per layer."""
    depth = 10
    convolution = Convolution((4,), 3, (1,) * (depth + 1))
    of = Condition(0, {}, (4,) * (depth + 1) + (1,), "relu", {}, (1.0,) * (depth + 1), 1, 0.0)
    of = replace(of, convolution=convolution)
    std = math.sqrt(2 * 0.3 * depth * math.log(10)) / math.log(10)
    off = np.tile([-1.0, 0.0, 1.0], 2000)
    off *= std / off.std(ddof=1)
    log10 = slope * np.arange(depth + 1.0) + off[:, np.newaxis] * (np.arange(depth + 1.0) > 0)
    networks = dict.fromkeys(MEASURES, log10)
    level = dict.fromkeys(MEASURES, np.zeros(depth + 1))
    result = ConditionResult(of, {}, {}, level, {}, 0, None, networks)
    found = trend(result, "forward")
    assert found.error < 1e-9  # all networks have the same slope
    assert found.word == word, found.reason
