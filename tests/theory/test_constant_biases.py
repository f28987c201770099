"""Biases that are one number: Gaussian averages about a mean, mean field, steps and refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from heinit_sim.activations import make_activation
from heinit_sim.checks.layer_ratios import LayerRatios, iter_layer_ratios
from heinit_sim.checks.theory_agreement import check
from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.quantities import INPUT_0, Measure
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports.phase import phase_rows
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.assumptions import homogeneous_slope
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.quadrature import about, even_moments, layer_moments
from tests.conditions import layer_specs, with_layers
from tests.configs import problems
from tests.rows import slow_but

Array = np.ndarray
NETWORK = "name: a\nnetwork: {depth: 2, width: 4, input_dim: 3, activation: tanh}\n"


def wide(activation: str, bias: str, width: int = 300, trials: int = 100) -> SweepConfig:
    return parse_config(
        f"name: a\ntrials: {trials}\nnetwork: {{depth: 4, width: {width}, input_dim: {width}, "
        f"output_dim: 3, activation: {activation}}}\ninputs: {{count: 3}}\nloss: {{target: 0.2}}\n"
        f"init: {{scheme: he_normal, {bias}}}\n"
    )


def trapezoid(name: str, mean: float, q: float, powers: tuple[int, ...]) -> list[float]:
    """E[a(f)^p], f ~ N(mean, q), by a sum on a fine grid that has the kinks on it."""
    activation = make_activation(name, {})
    step = 2.0**-12
    low = math.floor(mean - 12 * math.sqrt(q)) - 1
    f: Array = low + step * np.arange(int((24 * math.sqrt(q) + 4) / step))
    density = np.exp(-((f - mean) ** 2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    a = activation.value(f, np.empty_like(f))
    return [float((a**p * density).sum() * step) for p in powers]


@pytest.mark.parametrize("name", ["relu", "tanh", "gelu", "softplus", "hard_tanh", "elu", "sin"])
@pytest.mark.parametrize(("mean", "q"), [(0.5, 1.0), (-3.0, 0.2), (2.0, 9.0), (7.0, 1.5)])
def test_averages_about_a_mean_are_those_of_a_fine_grid(name: str, mean: float, q: float) -> None:
    first, second, fourth, sixth = trapezoid(name, mean, q, (1, 2, 4, 6))
    shifted = about(make_activation(name, {}), mean)
    found = layer_moments(shifted, np.array(q))
    # The sum's error is that of its kinks, step²/12 of the jump in slope, on moments of any size.
    for value, expected in ((found.mean, first), (found.second, second)):
        assert_allclose(value, expected, rtol=1e-6, atol=1e-8)
    moments = even_moments(shifted, np.array([q]))
    expected_moments = (second, fourth / second**2, sixth / second**3)
    if second > 1e-6:
        for value, expected in zip(moments, expected_moments, strict=True):
            assert_allclose(value, expected, rtol=2e-5, atol=0)
    turned = layer_moments(about(make_activation(name, {}), -mean), np.array(q)).mean
    assert abs(float(turned) - first) > 1e-3  # a wrong sign is seen


@pytest.mark.parametrize("q", [0.3, 30.0, 1e4, 1e12])
def test_a_sine_about_a_mean_stays_periodic(q: float) -> None:
    found = layer_moments(about(make_activation("sin", {}), 0.7), np.array(q))
    swing = 0.5 * math.cos(1.4) * math.exp(-2 * q)  # of E[sin² f], f ~ N(0.7, q)
    assert_allclose(found.second, 0.5 - swing, rtol=1e-13, atol=0)
    assert_allclose(found.slope, 0.5 + swing, rtol=1e-13, atol=0)


def test_no_mean_is_the_activation_itself() -> None:
    tanh = make_activation("tanh", {})
    assert about(tanh, 0.0) is tanh


def test_constant_biases_are_added_to_every_unit() -> None:
    both = [
        parse_config(NETWORK + f"trials: 3\ninit: {{variance: 1e-30, {bias}}}\n")
        for bias in ("bias: 0.5", "bias: 0.5, bias_variance: 1e-20")
    ]
    h = math.tanh(0.5)
    for config in both:
        (one,) = run_sweep(config).conditions
        expected = np.log10([0.25, 0.25, 0.25])
        for found in one.networks["preactivation", "second_moment"]:
            assert_allclose(found, expected, rtol=0, atol=1e-8)
        for found in one.networks["activation", "second_moment"]:
            assert_allclose(found[1:], np.log10([h**2] * 2), rtol=0, atol=1e-8)


@pytest.mark.parametrize("residual", ["null", "{branch_layers: 2}"])
@pytest.mark.parametrize("readout", ["flatten", "mean"])
def test_constant_biases_are_added_at_all_positions(readout: str, residual: str) -> None:
    text = (
        f"name: a\ntrials: 3\nnetwork: {{kind: cnn, depth: 3, image: [3, 2], kernel: 3, "
        f"channels: 4, readout: {readout}, residual: {residual}, output_dim: 2}}\n"
        "init: {scheme: he_normal, bias: 0.5, bias_variance: %s}\ninputs: {count: 2}\n"
    )
    constant, all_but = (run_sweep(parse_config(text % b)).conditions[0] for b in (0, 1e-30))
    for measure, log10 in constant.networks.items():
        # Biases that stray by 1e-15 from 0.5 move nothing by more than rounding does.
        assert_allclose(log10, all_but.networks[measure], rtol=0, atol=1e-9)


def test_biases_may_differ_by_layer_and_be_swept() -> None:
    layers = "[{variance: 1, bias: 2}, {variance: 1}, {variance: 1, bias_variance: 3}]"
    (condition,) = parse_config(NETWORK + f"init: {layers}\n").conditions
    assert (condition.bias_means, condition.bias_variances) == ((2.0, 0.0, 0.0), (0.0, 0.0, 3.0))
    swept = parse_config(NETWORK + "init: {variance: 1}\nsweep: {init.bias: [0, -1]}\n")
    assert [c.bias_means for c in swept.conditions] == [(0.0,) * 3, (-1.0,) * 3]
    assert [homogeneous_slope(replace(c, activation="relu")) for c in swept.conditions] == [0, None]
    one, other = run_sweep(replace(swept, trials=2)).conditions
    m: Measure = ("preactivation", "second_moment")
    assert not np.array_equal(one.networks[m], other.networks[m])


def gap(result: ConditionResult, condition: Condition, measure: Measure) -> Array:
    """Mean over networks against mean field, in standard errors and room for finite width."""
    networks = 10 ** result.networks[measure][:, :-1]
    theory = (
        10
        ** mean_field(
            condition, make_activation(condition.activation, condition.activation_options)
        )[measure][:-1]
    )
    error: Array = networks.std(axis=0, ddof=1) / math.sqrt(len(networks))
    # The recursion's error is a few parts in 1/D per layer.
    found: Array = np.abs(networks.mean(axis=0) - theory) / (error + 3 / 300 * theory)
    return found


BOTH = "bias: -0.7, bias_variance: 0.3"


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "sin"])
@pytest.mark.parametrize("bias", slow_but(["bias: 0.4", BOTH], BOTH))
def test_mean_field_is_what_wide_networks_show(activation: str, bias: str) -> None:
    (result,) = run_sweep(wide(activation, bias)).conditions
    condition = result.condition
    twin = with_layers(condition, bias_means=[0.5 * mean for mean in condition.bias_means])
    wrong = 0.0
    for measure in (("preactivation", "second_moment"), ("activation", "second_moment")):
        assert gap(result, condition, measure)[1:].max() < 4
        wrong = max(wrong, gap(result, twin, measure)[1:].max())
    assert wrong > 4


def test_mean_field_of_one_layer_is_a_closed_form() -> None:
    config = wide("linear", "bias: 0.5")
    (condition,) = config.conditions
    found = mean_field(condition, make_activation("linear", {}))
    q = [2.0]
    for _ in range(4):
        q.append(2 * (q[-1] + 0.25))
    second = np.log10(np.array(q) + 0.25)
    assert_allclose(found["preactivation", "second_moment"], second, rtol=0, atol=1e-9)
    assert_allclose(found["preactivation", "variance"][:-1], np.log10(q[:-1]), rtol=0, atol=1e-9)
    last = np.log10(4 * (q[-1] + (0.5 - 0.2) ** 2))
    assert_allclose(found["grad_preactivation", "second_moment"][-1], last, rtol=0, atol=1e-9)


# -- steps -----------------------------------------------------------------------------------------


def simulate(condition: Condition, trials: int) -> ConditionResult:
    return run_sweep(SweepConfig("x", (condition,), {}, trials, 0)).conditions[0]


def found_steps(result: ConditionResult, claimed: Condition) -> list[LayerRatios]:
    activation = make_activation(claimed.activation, claimed.activation_options)
    return list(iter_layer_ratios(replace(result, condition=claimed), activation, None))


def scores(steps: LayerRatios) -> tuple[float, float]:
    """z of the ratio's mean and of its variance, each over networks, largest of the layers."""
    mean, variance = np.broadcast_arrays(steps.mean, steps.variance, steps.ratio)[:2]
    deviation = (steps.ratio - mean) / np.sqrt(variance)
    root = math.sqrt(len(deviation))
    z = np.nanmean(deviation, axis=0) / np.nanstd(deviation, axis=0, ddof=1) * root
    squares = deviation**2 - 1  # NaN where a network is dead
    z2 = np.nanmean(squares, axis=0) / np.nanstd(squares, axis=0, ddof=1) * root
    return float(np.abs(z).max()), float(np.abs(z2).max())


def biased(activation: str, bias_variance: float) -> Condition:
    means = (0.6, -0.4, 1.5, 0.8)
    layers = layer_specs((0.3, 0.2, 0.5, 0.4), (), (bias_variance,) * 4, means)
    return Condition(0, {}, (7, 8, 6, 5, 3), activation, {}, layers, 1, 0.0)


@pytest.mark.parametrize("activation", slow_but(["relu", "tanh", "softplus"], "relu"))
@pytest.mark.parametrize("bias_variance", slow_but([0.0, 0.3]))
def test_steps_have_the_predicted_mean_and_variance(activation: str, bias_variance: float) -> None:
    condition = biased(activation, bias_variance)
    result = simulate(condition, 5000)
    right = found_steps(result, condition)
    assert [steps.quantity for steps in right] == ["preactivation", "activation"]
    for steps in right:
        assert max(scores(steps)) < 5
    wrong = with_layers(condition, bias_means=(0.8, -0.6, 1.9, 1.1))
    assert max(max(scores(steps)) for steps in found_steps(result, wrong)) > 5


def test_the_third_cumulant_is_that_of_a_shifted_square() -> None:
    condition = biased("relu", 0.3)
    steps = found_steps(simulate(condition, 2000), condition)[0]
    rng = np.random.default_rng(0)
    n, off = 8, (np.broadcast_to(steps.mean, steps.ratio.shape)[0, 0] / 8) - 1
    draws = ((rng.standard_normal((400_000, n)) + math.sqrt(off)) ** 2).sum(axis=1)
    centred = draws - draws.mean()
    third = np.broadcast_to(steps.third, steps.ratio.shape)[0, 0]
    error = (centred**3).std() / math.sqrt(len(draws))
    assert abs((centred**3).mean() - third) < 5 * error
    assert abs((centred**3).mean() - 8 * n) > 5 * error  # that of no mean


def test_check_holds_and_finds_another_bias() -> None:
    config = wide("tanh", "bias: 0.5, bias_variance: 0.1", width=40, trials=50)
    result = run_sweep(config)
    assert all(finding.held for finding in check(result))
    (one,) = result.conditions
    claimed = with_layers(one.condition, bias_means=(0.8,) * 5)
    wrong = replace(result, conditions=(replace(one, condition=claimed),))
    assert not all(finding.held for finding in check(wrong))


@pytest.mark.slow
def test_batches_keep_the_mean_of_the_steps() -> None:
    condition = replace(biased("tanh", 0.0), n_inputs=3)
    found = found_steps(simulate(condition, 5000), condition)
    assert {(s.quantity, s.statistic) for s in found} == {
        ("preactivation", INPUT_0),
        ("activation", INPUT_0),
        ("preactivation", "second_moment"),
    }
    for steps in found:
        z, z2 = scores(steps)
        spread = np.var(steps.ratio, axis=0) - np.mean(steps.variance + 0 * steps.ratio, axis=0)
        assert z < 5
        assert z2 < 5 or (spread < 0).all()  # it can but shrink


def test_constant_biases_have_no_phase() -> None:
    config = parse_config(NETWORK + "init: {variance: 1, bias: 0.5}\n")
    with pytest.raises(ConfigError, match="a constant bias has no phase"):
        phase_rows(config)


@pytest.mark.parametrize("activation", ["relu", "softplus", "gelu", "tanh"])
@pytest.mark.parametrize("bias", ["1e6", "-1e6", "-9"])
@pytest.mark.parametrize("init", ["scheme: he_normal", "scheme: lsuv", "variance: 1e-300"])
def test_units_all_on_or_all_off_are_no_mistake(activation: str, bias: str, init: str) -> None:
    network = f"network: {{depth: 3, width: 20, input_dim: 10, activation: {activation}}}"
    config = parse_config(f"name: z\ntrials: 5\n{network}\ninit: {{{init}, bias: {bias}}}\n")
    assert all(finding.held for finding in check(run_sweep(config)))


def test_a_layer_without_a_bias_behind_units_that_are_all_off_is_no_mistake() -> None:
    layers = "[{variance: 0.01, bias: -9}, {variance: 1}, {variance: 1, bias: 1}]"
    network = "network: {depth: 2, width: 8, input_dim: 8, activation: relu}"
    config = parse_config(f"name: z\ntrials: 5\n{network}\ninit: {layers}\n")
    assert all(finding.held for finding in check(run_sweep(config)))


def test_a_constant_beyond_reason_is_refused() -> None:
    assert problems(NETWORK + "init: {variance: 1, bias: 1e7}\n") == [
        (
            "c.yaml:3:27: error: init.bias: too large (10000000.0), "
            "must be a number from -1000000 to 1000000"
        )
    ]
