"""Ratios of single layers against their stated cumulants, over many small networks."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from heinit_sim.activations import make_activation
from heinit_sim.checks.layer_ratios import Steps, _mixture, iter_steps
from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import INPUT_0, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.assumptions import homogeneous_slope

Array = np.ndarray
N_NETWORKS = 10_000
LEVEL = 1e-4
RELU = Condition(0, {}, (7, 8, 6, 5, 3), "relu", {}, (0.3, 0.2, 0.5, 0.4), 1, 0.0)
BIASED = replace(RELU, bias_variances=(0.3,) * 4)


def leaky(alpha: Slope) -> Condition:
    return replace(RELU, activation="prelu", activation_options={"negative_slope": alpha})


CONDITIONS = {
    "relu": RELU,
    "narrow relu": replace(RELU, widths=(3, 2, 3, 2, 1), weight_variances=(0.9, 0.5, 0.8, 0.7)),
    "leaky": leaky(0.2),
    "leaky, narrow": replace(leaky(0.3), widths=(3, 2, 1, 2, 1)),
    "leaky, negative": leaky(-0.5),
    "leaky, steep": leaky(30.0),
    "absolute value": leaky(-1.0),
    "linear": replace(RELU, activation="linear"),
    "slopes by layer": leaky(tuple([0.0, 0.3, 1.0, -0.5][k % 4] for k in range(RELU.depth))),
    "sine": replace(RELU, activation="sin"),
    "tanh": replace(RELU, activation="tanh"),
    "tanh, biases": replace(BIASED, activation="tanh"),
    "softplus, biases": replace(BIASED, activation="softplus"),
    "relu, biases": BIASED,
    "target": replace(RELU, target=0.7),
}


def simulate(condition: Condition, trials: int = N_NETWORKS) -> ConditionResult:
    return run_sweep(SweepConfig("x", (condition,), {}, trials, 11), 1).conditions[0]


def steps_of(result: ConditionResult) -> list[Steps]:
    condition = result.condition
    activation = make_activation(condition.activation, condition.activation_options)
    return list(iter_steps(result, activation, homogeneous_slope(condition)))


def quantities(result: ConditionResult) -> list[tuple[Quantity, str]]:
    return [(steps.quantity, steps.statistic) for steps in steps_of(result)]


def scores(steps: Steps) -> Array:
    """|z| of mean, variance and third cumulant of each layer: (3, n_layers)."""
    deviation = np.where(np.isnan(steps.ratio), 0.0, steps.ratio - steps.mean)
    valid = ~np.isnan(steps.ratio) & (np.broadcast_to(steps.variance, deviation.shape) > 0)
    zs = []
    for power, expected in ((1, 0.0), (2, steps.variance), (3, steps.third)):
        gap = np.where(valid, deviation**power - expected, 0.0)
        n = np.maximum(valid.sum(axis=0), 1)
        error = np.sqrt((gap**2).sum(axis=0) / n / n)
        zs.append(np.abs(gap.sum(axis=0) / n) / np.where(error > 0, error, 1.0))
    return np.array(zs)


def largest_z(found: list[Steps]) -> float:
    """Over Bonferroni's bound for means and variances.

    Third cumulants have errors of errors that are skewed: their |z| are halved.
    """
    zs = np.concatenate([scores(steps) / [[1.0], [1.0], [2.0]] for steps in found], axis=1)
    return float(zs.max()) / NormalDist().inv_cdf(1 - LEVEL / 2 / zs.size)


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_ratio_has_the_cumulants_it_states(name: str) -> None:
    found = steps_of(simulate(CONDITIONS[name]))
    assert largest_z(found) < 1
    for steps in found:
        assert largest_z([steps._replace(mean=steps.mean + 0.1 * np.sqrt(steps.variance))]) > 1
        assert largest_z([steps._replace(variance=2 * steps.variance)]) > 1


def test_deviations_of_layers_are_uncorrelated() -> None:
    for steps in steps_of(simulate(leaky(0.2))):
        deviation = (steps.ratio - steps.mean) / np.sqrt(steps.variance)
        for i in range(len(steps.layers)):
            for j in range(i):
                product = deviation[:, i] * deviation[:, j]
                # 4 quantities, 6 pairs at most: 24 · P(|z| > 4.7) < 1e-4
                assert abs(product.mean()) < 4.7 * product.std() / math.sqrt(N_NETWORKS)


def test_averages_over_a_batch_keep_the_mean_and_spread_less() -> None:
    for condition in (replace(RELU, n_inputs=4), replace(BIASED, n_inputs=4)):
        found = [s for s in steps_of(simulate(condition)) if s.statistic == "second_moment"]
        assert [s.quantity for s in found] == ["preactivation", "activation"]
        for steps in found:
            assert scores(steps)[0].max() < 4.5  # 14 · P(|z| > 4.5) < 1e-4
            spread = np.nanvar(steps.ratio, axis=0)
            assert (spread < np.broadcast_to(steps.variance, spread.shape)).all()


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_cumulants_of_the_mixture_are_sums_over_its_parts(n: int) -> None:
    chances = np.array([math.comb(n, m) for m in range(1, n + 1)]) / (2**n - 1)
    nu = np.arange(n)
    # E χ²_ν = ν, E (χ²_ν)² = ν (ν+2), E (χ²_ν)³ = ν (ν+2) (ν+4)
    first, second, third = (chances @ p for p in (nu, nu * (nu + 2), nu * (nu + 2) * (nu + 4)))
    expected = first, second - first**2, third - 3 * first * second + 2 * first**3
    for found, value in zip(_mixture(np.array([float(n)])), expected, strict=True):
        # sums of terms up to n³
        np.testing.assert_allclose(found, [value], rtol=0, atol=1e-14 * n**3)


FORWARD = [("preactivation", INPUT_0), ("activation", INPUT_0)]
BATCH = [("preactivation", "second_moment"), ("activation", "second_moment")]
BACKWARD = [("grad_activation", INPUT_0), ("grad_preactivation", INPUT_0)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (RELU, FORWARD + BACKWARD),
        (leaky(-1.0), FORWARD + BACKWARD),
        (replace(RELU, n_inputs=2), FORWARD + BACKWARD + BATCH),
        (replace(RELU, target=0.1), FORWARD),
        (BIASED, FORWARD),
        (replace(RELU, activation="tanh"), FORWARD),
        (replace(RELU, activation="tanh", n_inputs=2), FORWARD + BATCH[:1]),
        (replace(BIASED, n_inputs=2), FORWARD + BATCH),
    ],
)
def test_what_is_yielded(condition: Condition, expected: list[tuple[str, str]]) -> None:
    assert quantities(simulate(condition, 3)) == expected


def test_dead_networks_have_no_ratios_behind_and_none_backward() -> None:
    result = simulate(replace(RELU, widths=(3, 2, 2, 2, 1)), 200)
    dead = np.isneginf(result.networks["activation", INPUT_0])
    assert 0 < dead[:, -1].mean() < 1
    forward, activation, *backward = steps_of(result)
    assert np.array_equal(np.isnan(forward.ratio), dead)
    assert np.array_equal(np.isnan(activation.ratio), dead[:, :-1])
    for steps in backward:
        assert np.array_equal(np.isnan(steps.ratio).all(axis=1), dead[:, -1])
        assert np.array_equal(np.isnan(steps.ratio).any(axis=1), dead[:, -1])


def test_dead_networks_that_are_not_homogeneous_have_none_either() -> None:
    result = simulate(replace(RELU, activation="relu6", widths=(3, 1, 1, 1, 1)), 50)
    dead = np.isneginf(result.networks["activation", INPUT_0])
    _, activation = steps_of(result)
    assert np.array_equal(np.isnan(activation.ratio), dead[:, :-1])


@pytest.mark.parametrize("quantity", ["preactivation", "grad_activation", "grad_preactivation"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, 1e5])
@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_what_is_lost_where_a_network_lives_is_not_taken_for_dead(
    quantity: Quantity, value: float, alpha: float
) -> None:
    result = simulate(leaky(alpha), 5)
    networks = {measure: log10.copy() for measure, log10 in result.networks.items()}
    networks[quantity, INPUT_0][0, 1] = value
    found = {s.quantity: s for s in steps_of(replace(result, networks=networks))}
    ratio = found[quantity].ratio[0, 1]
    assert ratio == math.inf or ratio < 1e-300


def test_units_that_are_all_but_saturated_are_not_tested() -> None:
    flat = replace(RELU, activation="tanh", weight_variances=(1e14,) * 4)
    activation = steps_of(simulate(flat, 3))[1]
    assert (np.broadcast_to(activation.variance, activation.ratio.shape) == 0).all()
