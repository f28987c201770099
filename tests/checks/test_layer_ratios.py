"""Ratios of single layers against their stated cumulants, over many small networks."""

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from heinit_sim.activations import network_activation
from heinit_sim.checks.layer_ratios import (
    LayerRatios,
    _leaky_cumulants,
    _relu_cumulants,
    chi_square_scores,
    iter_layer_ratios,
)
from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import INPUT_0, MEASURES, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.theory.assumptions import homogeneous_slope
from tests.conditions import condition, unpredicted, with_layers
from tests.rows import slow_but

Array = np.ndarray
N_NETWORKS = 3000
SHIFT = 7 / math.sqrt(N_NETWORKS)  # of a mean, in standard deviations: above any bound here
LEVEL = 1e-4
RELU = condition((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4))
BIASED = with_layers(RELU, bias_variances=(0.3,) * 4)
MEANS = (0.6, -0.4, 1.5, 0.8)
CONSTANT = {
    f"{activation}, {kind}": with_layers(of, activation=activation, bias_means=MEANS)
    for activation in ("relu", "tanh", "softplus")
    for kind, of in (("constant biases", RELU), ("biases about a mean", BIASED))
}


def leaky(alpha: Slope) -> Condition:
    return with_layers(RELU, activation="prelu", options={"negative_slope": alpha})


CONDITIONS = {
    "relu": RELU,
    "narrow relu": with_layers(RELU, widths=(3, 2, 3, 2, 1), weight_variances=(0.9, 0.5, 0.8, 0.7)),
    "leaky": leaky(0.2),
    "leaky, narrow": with_layers(leaky(0.3), widths=(3, 2, 1, 2, 1)),
    "leaky, negative": leaky(-0.5),
    "leaky, steep": leaky(30.0),
    "absolute value": leaky(-1.0),
    "linear": with_layers(RELU, activation="linear"),
    "slopes by layer": leaky(tuple([0.0, 0.3, 1.0, -0.5][k % 4] for k in range(RELU.depth))),
    "sine": with_layers(RELU, activation="sin"),
    "tanh": with_layers(RELU, activation="tanh"),
    "tanh, biases": with_layers(BIASED, activation="tanh"),
    "softplus, biases": with_layers(BIASED, activation="softplus"),
    "relu, biases": BIASED,
    "target": replace(RELU, loss=Loss(target=0.7)),
    **CONSTANT,
}


def simulate(condition: Condition, trials: int = N_NETWORKS) -> ConditionResult:
    return unpredicted(SweepConfig("x", (condition,), {}, trials, 11)).conditions[0]


def ratios_of(result: ConditionResult) -> list[LayerRatios]:
    condition = result.condition
    activation = network_activation(condition)
    return list(iter_layer_ratios(result, activation, homogeneous_slope(condition)))


def quantities(result: ConditionResult) -> list[tuple[Quantity, str]]:
    return [(ratios.quantity, ratios.statistic) for ratios in ratios_of(result)]


def scores(ratios: LayerRatios) -> Array:
    """|z| of mean, variance and third cumulant of each layer: (3, n_layers)."""
    deviation = np.where(np.isnan(ratios.ratio), 0.0, ratios.ratio - ratios.mean)
    valid = ~np.isnan(ratios.ratio) & (np.broadcast_to(ratios.variance, deviation.shape) > 0)
    zs = []
    for power, expected in ((1, 0.0), (2, ratios.variance), (3, ratios.third)):
        gap = np.where(valid, deviation**power - expected, 0.0)
        n = np.maximum(valid.sum(axis=0), 1)
        error = np.sqrt((gap**2).sum(axis=0) / n / n)
        zs.append(np.abs(gap.sum(axis=0) / n) / np.where(error > 0, error, 1.0))
    return np.array(zs)


def largest_z(found: list[LayerRatios]) -> float:
    """Over Bonferroni's bound for means and variances.

    Third cumulants have errors of errors that are skewed: their |z| are halved.
    """
    zs = np.concatenate([scores(ratios) / [[1.0], [1.0], [2.0]] for ratios in found], axis=1)
    return float(zs.max()) / NormalDist().inv_cdf(1 - LEVEL / 2 / zs.size)


@pytest.mark.parametrize("name", slow_but(CONDITIONS, "relu"))
def test_every_ratio_has_the_cumulants_it_states(name: str) -> None:
    found = ratios_of(simulate(CONDITIONS[name]))
    assert largest_z(found) < 1
    for ratios in found:
        assert largest_z([ratios._replace(mean=ratios.mean + SHIFT * np.sqrt(ratios.variance))]) > 1
        assert largest_z([ratios._replace(variance=2 * ratios.variance)]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", CONSTANT)
def test_other_constant_biases_are_found(name: str) -> None:
    wrong = with_layers(CONSTANT[name], bias_means=(0.8, -0.6, 1.9, 1.1))
    result = simulate(CONSTANT[name], 1000)
    assert largest_z(ratios_of(replace(result, condition=wrong))) > 1


def test_the_third_cumulant_is_that_of_a_shifted_square() -> None:
    first = ratios_of(simulate(CONSTANT["relu, biases about a mean"], 3))[0]
    n = 8
    shift = np.broadcast_to(first.mean, first.ratio.shape)[:, 0] / n - 1
    third = np.broadcast_to(first.third, first.ratio.shape)[:, 0]
    # of n squares of N(√λ, 1): 8 n (1 + 3 λ)
    np.testing.assert_allclose(third, 8 * n * (1 + 3 * shift), rtol=1e-12, atol=0)
    assert (third > 1.1 * 8 * n).all()


@pytest.mark.slow
def test_deviations_of_layers_are_uncorrelated() -> None:
    found = ratios_of(simulate(leaky(0.2)))
    assert [len(ratios.layers) for ratios in found] == [4, 3, 4, 3]
    for ratios in found:
        deviation = (ratios.ratio - ratios.mean) / np.sqrt(ratios.variance)
        for i in range(len(ratios.layers)):
            for j in range(i):
                product = deviation[:, i] * deviation[:, j]
                # 4 quantities, 6 pairs at most: 24 · P(|z| > 4.7) < 1e-4
                assert abs(product.mean()) < 4.7 * product.std() / math.sqrt(N_NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [RELU, BIASED, CONSTANT["tanh, constant biases"]])
def test_averages_over_a_batch_keep_the_mean_and_spread_less(condition: Condition) -> None:
    batch = simulate(replace(condition, n_inputs=4))
    found = [s for s in ratios_of(batch) if s.statistic == "second_moment"]
    known = (
        ["preactivation", "activation"]
        if condition.activates[0].function == "relu"
        else ["preactivation"]
    )
    assert [s.quantity for s in found] == known
    for ratios in found:
        assert scores(ratios)[0].max() < 4.5  # 14 · P(|z| > 4.5) < 1e-4
        spread = np.nanvar(ratios.ratio, axis=0)
        variance = np.mean(np.broadcast_to(ratios.variance, ratios.ratio.shape), axis=0)
        assert (spread < variance).all()


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_cumulants_of_the_mixture_are_sums_over_its_parts(n: int) -> None:
    chances = np.array([math.comb(n, m) for m in range(1, n + 1)]) / (2**n - 1)
    nu = np.arange(n)
    # E χ²_ν = ν, E (χ²_ν)² = ν (ν+2), E (χ²_ν)³ = ν (ν+2) (ν+4)
    first, second, third = (chances @ p for p in (nu, nu * (nu + 2), nu * (nu + 2) * (nu + 4)))
    expected = first, second - first**2, third - 3 * first * second + 2 * first**3
    for found, value in zip(_relu_cumulants(np.array([float(n)])), expected, strict=True):
        # sums of terms up to n³
        np.testing.assert_allclose(found, [value], rtol=0, atol=1e-14 * n**3)


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("alpha", [0.2, -0.5, 3.0])
def test_cumulants_of_leaky_slopes_are_sums_over_the_positive_units(n: int, alpha: float) -> None:
    m = np.arange(n + 1)
    chances = np.array([math.comb(n, k) for k in m]) / 2**n
    # given m, R ~ χ²_{m−1} + α² χ²_{n−m−1}, and χ²_ν has the cumulants ν, 2ν, 8ν
    one, two, three = (
        c * ((m - 1) + alpha ** (2 * power) * (n - m - 1)) for power, c in ((1, 1), (2, 2), (3, 8))
    )
    raw = one, two + one**2, three + 3 * one * two + one**3
    first, second, third = (chances @ moment for moment in raw)
    cos2, along = 0.7, 0.9
    t = (1 - cos2) + alpha**2 * cos2
    b2 = 4 * cos2 * (1 - cos2) * (1 - alpha**2) ** 2 * along
    expected = (  # those of t w² + b w, w ~ N(0, 1), are t, 2 t² + b² and 8 t³ + 6 t b²
        first + t,
        second - first**2 + 2 * t**2 + b2,
        third - 3 * first * second + 2 * first**3 + 8 * t**3 + 6 * t * b2,
    )
    found = _leaky_cumulants(*(np.array([z]) for z in (float(n), alpha, along, t)))
    for cumulant, value in zip(found, expected, strict=True):
        # sums of terms up to (n max(1, α²))³
        atol = 1e-13 * (n * max(1, alpha**2)) ** 3
        np.testing.assert_allclose(cumulant, [value], rtol=0, atol=atol)


def test_a_sum_more_skewed_than_one_chi_square_is_not_tested() -> None:
    # One ReLU unit's ratio has the variance 6 − 1 and the third cumulant 60 − 18 + 2: skewness
    # 3.9, and 3.9/√2 for two networks; that of one pre-activation, χ²_1, is √8.
    unit = with_layers(RELU, widths=(3, 1, 1), weight_variances=(0.5, 0.5))
    for trials, tested in ((1, set()), (2, {None, 1})):
        preactivation, activation, *_ = ratios_of(simulate(unit, trials))
        assert set(chi_square_scores(activation)) == tested
        assert set(chi_square_scores(preactivation)) >= {None, 0}


@pytest.mark.parametrize(("log10_mean", "tested"), [(8.9, True), (9.1, False)])
def test_the_spread_about_a_mean_a_billion_times_larger_is_untested(
    log10_mean: float, tested: bool
) -> None:
    biased = with_layers(RELU, widths=(4, 4, 1), weight_variances=(0.25, 0.25))
    biased = with_layers(biased, bias_means=(10.0**log10_mean,) * 2)
    level = dict.fromkeys(MEASURES, np.zeros((1, 2)))  # q = σ² ‖h‖² = 1
    preactivation = ratios_of(ConditionResult(biased, {}, {}, {}, {}, 0, None, networks=level))[0]
    assert (preactivation.variance > 0).all() == tested
    assert (preactivation.variance > 0).any() == tested


FORWARD = [("preactivation", INPUT_0), ("activation", INPUT_0)]
BATCH = [("preactivation", "second_moment"), ("activation", "second_moment")]
BACKWARD = [("grad_activation", INPUT_0), ("grad_preactivation", INPUT_0)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (RELU, FORWARD + BACKWARD),
        (leaky(-1.0), FORWARD + BACKWARD),
        (replace(RELU, n_inputs=2), FORWARD + BACKWARD + BATCH),
        (replace(RELU, loss=Loss(target=0.1)), FORWARD),
        (BIASED, FORWARD),
        (with_layers(RELU, activation="tanh"), FORWARD),
        (with_layers(RELU, activation="tanh", n_inputs=2), FORWARD + BATCH[:1]),
        (replace(BIASED, n_inputs=2), FORWARD + BATCH),
    ],
)
def test_what_is_yielded(condition: Condition, expected: list[tuple[str, str]]) -> None:
    assert quantities(simulate(condition, 3)) == expected


def test_dead_networks_have_no_ratios_behind_and_none_backward() -> None:
    result = simulate(with_layers(RELU, widths=(3, 2, 2, 2, 1)), 200)
    dead = np.isneginf(result.networks["activation", INPUT_0])
    assert 0 < dead[:, -1].mean() < 1
    forward, activation, *backward = ratios_of(result)
    assert np.array_equal(np.isnan(forward.ratio), dead)
    assert np.array_equal(np.isnan(activation.ratio), dead[:, :-1])
    for ratios in backward:
        assert np.array_equal(np.isnan(ratios.ratio).all(axis=1), dead[:, -1])
        assert np.array_equal(np.isnan(ratios.ratio).any(axis=1), dead[:, -1])


def test_dead_networks_that_are_not_homogeneous_have_none_either() -> None:
    result = simulate(with_layers(RELU, activation="relu6", widths=(3, 1, 1, 1, 1)), 50)
    dead = np.isneginf(result.networks["activation", INPUT_0])
    _, activation = ratios_of(result)
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
    found = {s.quantity: s for s in ratios_of(replace(result, networks=networks))}
    ratio = found[quantity].ratio[0, 1]
    assert ratio == math.inf or ratio < 1e-300


@pytest.mark.parametrize(("variance", "tested"), [(1e8, True), (1e14, False)])
def test_units_that_are_all_but_saturated_are_not_tested(variance: float, tested: bool) -> None:
    # Var a² is about 1/√q: of 1e-4 and of 1e-7
    flat = with_layers(RELU, activation="tanh", weight_variances=(variance,) * 4)
    activation = ratios_of(simulate(flat, 3))[1]
    assert (np.broadcast_to(activation.variance > 0, activation.ratio.shape) == tested).all()
