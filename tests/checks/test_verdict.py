import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from heinit_sim.checks.verdict import (
    ALIKE,
    error_of_slope,
    trend,
    word_of_theory,
    words_by_scale,
)
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import MEASURES, Measure, Pass, Quantity
from heinit_sim.experiment.results import ConditionResult
from tests.checks.test_fates import networks_of, only
from tests.conditions import Images, condition, unpredicted, with_layers

CONFIG = """
name: test
network: {{depth: {depth}, width: {width}, input_dim: {width}}}
init: {{variance: {variance}}}
inputs: {{count: 3}}
trials: {trials}
seed: {seed}
"""


@cache
def simulate(
    variance: float, *, width: int = 100, depth: int = 50, trials: int = 20, seed: int = 0
) -> ConditionResult:
    text = CONFIG.format(variance=variance, width=width, depth=depth, trials=trials, seed=seed)
    return unpredicted(parse_config(text)).conditions[0]


WORDS = {
    0.001: "vanishing",
    0.01: "vanishing",
    0.02: "stable",
    0.1: "exploding",
    1.0: "exploding",
}


def test_figure_7_4_is_called_what_it_is() -> None:
    text = CONFIG.format(variance=0.02, width=100, depth=50, trials=20, seed=0)
    swept = f"sweep: {{init.variance: {[*WORDS]}}}"
    for found, word in zip(
        unpredicted(parse_config(text + swept)).conditions, WORDS.values(), strict=True
    ):
        assert {trend(found, "forward").word, trend(found, "backward").word} == {word}


@pytest.mark.slow
def test_four_he_networks_neither_vanish_nor_explode_for_any_of_forty_seeds() -> None:
    words = []
    for seed in range(40):
        found = simulate(0.02, seed=seed, trials=4)
        words += [trend(found, "forward").word, trend(found, "backward").word]
    assert set(words) == {"stable", "undecided"}  # four are too few, now and then
    assert words.count("stable") > 40


@pytest.mark.slow
def test_a_variance_ten_percent_off_he_is_not_stable() -> None:
    # 50 · log10(1.1) = 2.1 decades
    assert trend(simulate(0.022, trials=40), "forward").word == "exploding"
    assert trend(simulate(0.018, trials=40), "backward").word == "vanishing"


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
    # 400 networks of 20 hidden layers of 100 ReLU units, all alike: a spread of 20 · 5/100 = 1, so
    # a drift of −1/2 and a standard error of √(π/2 · 6/5 / 400) nats in all.
    depth, sign = 20, 1 if direction == "forward" else -1
    drift = -0.5 / depth / math.log(10)
    error = math.sqrt(math.pi / 2 * 6 / 5 / 400) / depth / math.log(10)
    for excess, beyond in ((0.999, 0.0), (1.001, 0.0), (1.0, 2.999), (1.0, 3.001)):
        for up, word in ((1, "exploding"), (-1, "vanishing")):
            slope = drift + up * (excess / depth + beyond * error)
            line = np.tile(sign * slope * np.arange(depth + 1.0), (400, 1))
            blank = with_layers(condition((100,) * (depth + 1) + (1,), 1.0))
            alike = replace(simulate(0.02, width=4, depth=depth, trials=1), condition=blank)
            networks = dict.fromkeys(alike.networks, line)
            found = trend(replace(alike, networks=networks, log_norm_spread=1.0), direction)
            expected = {0.999: "stable", 1.001: "undecided"}.get(excess, "undecided")
            assert found.word == (word if beyond > 3 else expected), (excess, beyond, up)


SETUPS = {
    "tanh, 3 × 30": "{depth: 3, width: 30, input_dim: 30, activation: tanh}",
    "relu, 10 × 20": "{depth: 10, width: 20, input_dim: 20}",
    "relu, 3 × 20": "{depth: 3, width: 20, input_dim: 20}",
    "dying relu, 6 × 5": "{depth: 6, width: 5, input_dim: 5}",
    "gelu, 6 × 20": "{depth: 6, width: 20, input_dim: 20, activation: gelu}",
    "blocks of relu, 6 × 20": "{depth: 6, width: 20, input_dim: 20, "
    "block: [activation, weights, {add: {scale: 0.5}}]}",
}
BY_QUANTITY: dict[Quantity, Pass] = {"activation": "forward", "grad_activation": "backward"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SETUPS)
def test_the_error_of_a_slope_covers_the_slope_of_all_networks(name: str) -> None:
    n, groups = 40, 150
    text = (
        f"name: x\nnetwork: {SETUPS[name]}\ninit: {{variance: {0.05 if '3 × 30' in name else 0.1}}}"
    )
    result = unpredicted(parse_config(f"{text}\ninputs: {{count: 1}}\ntrials: {n * groups}"))
    for quantity in BY_QUANTITY:
        logs = result.conditions[0].networks[quantity, "variance"][:, 1:]
        layers = np.arange(logs.shape[1])
        truth, *slopes = (
            np.polyfit(layers, np.median(group, axis=0), 1)[0]
            for group in (logs, *logs.reshape(groups, n, -1))
        )
        errors = [error_of_slope(group) for group in logs.reshape(groups, n, -1)]
        covered = np.mean(np.abs(np.array(slopes) - truth) <= errors)
        # four standard errors of a share of 150 groups
        assert abs(covered - 0.683) < 4 * math.sqrt(0.683 * 0.317 / groups), quantity
        own = np.polyfit(layers, logs[np.isfinite(logs).all(axis=1)].T, 1)[0]
        planted = math.sqrt(math.pi / 2 / n) * np.std(own, ddof=1)  # what networks share left out
        if quantity == "grad_activation" and name.startswith("tanh"):
            covered = np.mean(np.abs(np.array(slopes) - truth) <= planted)
            assert covered < 0.683 - 4 * math.sqrt(0.683 * 0.317 / groups)


def test_the_error_of_a_slope_of_many_networks_shrinks_with_their_root() -> None:
    # Of independent layers, the medians have the error √(π/2n) each.
    n, depth = 3000, 4
    logs = np.random.default_rng(0).standard_normal((n, depth))
    expected = math.sqrt(math.pi / 2 / n / np.sum((np.arange(4) - 1.5) ** 2))
    assert 0.8 < error_of_slope(logs) / expected < 1.25  # 400 draws know it to 4 %, and the density
    assert math.isnan(error_of_slope(logs[:1]))


def test_the_drift_is_five_over_twice_the_width_for_relu() -> None:
    found = trend(simulate(0.02), "forward")
    assert math.isclose(found.drift, -5 / 200 / math.log(10), rel_tol=1e-12)
    text = "decades per layer; stable is -0.011 ± "
    assert found.reason.startswith(f"{found.decades_per_layer:+.3f} ± {found.error:.3f} {text}")


def test_where_no_spread_is_predicted_the_measured_error_counts() -> None:
    text = CONFIG.format(variance=0.01, width=100, depth=10, trials=20, seed=0)
    text = text.replace("input_dim: 100", "input_dim: 100, activation: tanh")
    result = unpredicted(parse_config(text)).conditions[0]
    found = trend(result, "forward")
    assert (found.drift, found.allowed) == (0.0, 0.1)
    assert found.word == "stable"  # Var h falls like 1/2k at tanh's edge of chaos
    measure: Measure = ("activation", "variance")
    scattered = result.networks[measure] + np.linspace(-9, 9, 20)[:, np.newaxis] * np.arange(11) / 9
    networks = {**result.networks, measure: scattered}
    found = trend(replace(result, networks=networks), "forward")
    assert found.word == "undecided"
    assert f"± {found.error:.3f} is too much to tell" in found.reason


# Half the variance of ln ‖h_K‖² over networks, in decades per layer; the slope.
ABOUT_A_DRIFT = [
    (0.05, -0.16, "vanishing"),
    (0.05, -0.14, "stable"),
    (0.05, 0.09, "stable"),
    (0.05, 0.11, "exploding"),
    (0.3, -0.45, "vanishing"),
    (0.3, -0.35, "undecided"),
    (0.3, 0.05, "undecided"),
    (0.3, 0.2, "exploding"),
]


@pytest.mark.parametrize(("spread", "slope", "word"), ABOUT_A_DRIFT)
def test_drifts_of_convolutions_up_to_the_measured_one_are_allowed(
    spread: float, slope: float, word: str
) -> None:
    depth = 10
    images = Images((4,), 3, (1,) * (depth + 1))
    of = condition((4,) * (depth + 1) + (1,), 1.0, images=images)
    std = math.sqrt(2 * spread * depth * math.log(10)) / math.log(10)
    off = np.tile([-1.0, 0.0, 1.0], 2000)
    off *= std / off.std(ddof=1)
    log10 = slope * np.arange(depth + 1.0) + off[:, np.newaxis] * (np.arange(depth + 1.0) > 0)
    networks = dict.fromkeys(MEASURES, log10)
    level = dict.fromkeys(MEASURES, np.zeros(depth + 1))
    result = ConditionResult(of, {}, {}, level, {}, 0, None, networks=networks)
    found = trend(result, "forward")
    assert found.error < 1e-9  # all networks have the same slope
    assert found.word == word, found.reason


@pytest.mark.parametrize(
    ("per_layer", "word"), [(-0.7, "vanishing"), (-0.3, "vanishing"), (-0.05, "stable")]
)
def test_inputs_that_become_alike_are_a_lost_signal(per_layer: float, word: str) -> None:
    # Allowed are a factor of 10 and of 20², over 20 layers: 0.18 decades per layer.
    result = simulate(0.02, depth=20, trials=40)
    measure: Measure = ("activation", "variance_between_inputs")
    noise = np.random.default_rng(0).normal(scale=0.01, size=(40, 21))
    networks = {**result.networks, measure: per_layer * np.arange(21.0) + noise}
    found = trend(replace(result, networks=networks), "forward")
    assert found.word == word
    assert found.decades_per_layer == trend(result, "forward").decades_per_layer
    said = f"{ALIKE}: {per_layer:+.3f} ± 0.000 decades per layer, stable is -0.011 ± 0.180"
    assert (said in found.reason) == (word == "vanishing")
    flat = np.maximum(-2.0 * np.arange(21.0), -32) + noise  # no lower than rounding
    found = trend(replace(result, networks={**networks, measure: flat}), "forward")
    assert f"{ALIKE}: none is left from layer 15 on, stable is" in found.reason
    networks[measure] = np.full((40, 21), -np.inf)  # inputs that were alike from the start
    assert trend(replace(result, networks=networks), "forward").word == "stable"
    assert trend(replace(result, networks=networks), "backward").word == "stable"


SCALED = {  # width, depth, trials, seed: all words, too few networks, drift beyond what is stable
    "of five words": (100, 20, 20, 0),
    "of few": (30, 10, 3, 1),
    "narrow": (4, 20, 30, 2),
    "one": (20, 5, 1, 0),
    "dead": (1, 30, 20, 0),
}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_words_at_every_variance_are_those_of_networks_scaled_to_it(
    name: str, direction: Pass
) -> None:
    width, depth, trials, seed = SCALED[name]
    found = simulate(2 / width, width=width, depth=depth, trials=trials, seed=seed)
    stretches = words_by_scale(found, direction)
    uppers = [stretch.upper for stretch in stretches]
    assert uppers == sorted(set(uppers))
    assert uppers[-1] == math.inf
    edges = uppers[:-1]
    shifts = [edge + off for edge in edges for off in (-1e-6, 1e-6)]
    powers = np.arange(depth + 1), 2 * depth + 2 - np.arange(depth + 1)  # of h_k, of ∂ℓ/∂h_k
    for shift in (*shifts, -3.0, -0.1, 0.0, 0.1, 3.0):
        networks = {
            measure: values + shift * powers[measure[0] == "grad_activation"]
            for measure, values in found.networks.items()
        }
        scaled = trend(replace(found, networks=networks), direction)
        here = next(stretch for stretch in stretches if shift <= stretch.upper)
        assert (here.word, here.doubt) == (scaled.word, scaled.doubt.partition(":")[0]), shift


def test_theory_has_the_words_of_many_wide_networks() -> None:
    assert [word_of_theory(slope, 0.0, 50) for slope in (-0.021, -0.019, 0.019, 0.021)] == [
        *("vanishing", "stable", "stable", "exploding")
    ]
    assert word_of_theory(0.0, -0.021, 50) == "undecided"  # the drift alone is beyond a factor 10


def test_biases_that_drown_the_inputs_are_found() -> None:
    text = CONFIG.format(variance=1 / 300, width=100, depth=50, trials=10, seed=0)
    text = text.replace("init: {", "init: {bias_variance: 0.003333, ")
    result = unpredicted(parse_config(text)).conditions[0]
    found = trend(result, "forward")
    assert found.word == "vanishing"
    assert abs(found.decades_per_layer) < 0.02  # as far as the variance tells
    h = np.median(result.networks["activation", "variance_between_inputs"], axis=0)
    assert h[50] < -30


@pytest.mark.parametrize(
    ("lost", "forward", "backward"),
    [(1, "stable", "stable"), (2, "exploding", "undefined"), (3, "exploding", "undefined")],
)
def test_networks_decide_if_more_than_half_live(lost: int, forward: str, backward: str) -> None:
    result = only(networks_of(condition((4, 4, 4, 4, 1), 0.25, "tanh")))
    networks = {measure: np.zeros((4, 4)) for measure in MEASURES}
    for (quantity, _), log10 in networks.items():
        log10[:lost, 0 if quantity.startswith("grad_") else 2 :] = np.nan
    result = replace(result, networks=networks)
    assert trend(result, "forward").fate.startswith(
        f"overflow at layer 2{' or later' * (lost > 1)} in"
    )
    assert trend(result, "forward").word == forward
    assert trend(result, "backward").word == backward


def test_dead_networks_count_in_the_error_as_in_the_median() -> None:
    line = np.array([0.0, -1.0, -1.5])
    networks = np.array([line * (1 + n / 100) for n in range(-20, 21)])
    alive = error_of_slope(networks)
    networks[:10, 2] = -np.inf  # a quarter: medians move among those that live
    assert alive <= error_of_slope(networks) < 3 * alive
    networks[:18, 2] = -np.inf  # one sample in six has a dead median
    assert error_of_slope(networks) == math.inf
    networks[:22, 2] = -np.inf
    assert math.isnan(error_of_slope(networks))


def test_a_layer_of_one_unit_and_one_input_has_no_variance_to_judge_by() -> None:
    bottleneck = condition((50, 50, 1, 50, 50, 50, 1), 0.04)
    result = only(networks_of(bottleneck, 40))
    layers = result.networks["activation", "variance"]
    assert np.isneginf(layers[:, 2]).all()
    medians = np.median(layers, axis=0)[[1, 3, 4, 5]]
    slope = np.polyfit([1, 3, 4, 5], medians, 1)[0]
    assert math.isclose(trend(result, "forward").decades_per_layer, slope, rel_tol=1e-9)
    narrow = only(networks_of(condition((1, 1, 1, 1), 1.0), 40))
    assert trend(narrow, "forward").word == "undefined"
    assert "fewer than two hidden layers have a variance" in trend(narrow, "forward").reason
