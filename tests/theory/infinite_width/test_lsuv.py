"""The recursion against checked numbers, plain loops and a Monte Carlo of wide layers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.activations import RELU, make_activation
from heinit_sim.config.load import parse_config
from heinit_sim.experiment.quantities import PASS_OF, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.infinite_width.mean_field import mean_field
from heinit_sim.theory.infinite_width.quadrature import layer_moments

Array = np.ndarray


def condition(
    widths: tuple[int, ...],
    variance: float,
    activation: str = "tanh",
    bias_variance: float = 0.0,
    target: float = 0.0,
) -> Condition:
    variances = (variance,) * (len(widths) - 1)
    biases = (bias_variance,) * len(variances) if bias_variance else ()
    return Condition(0, {}, widths, activation, {}, variances, 1, target, (), biases)


@pytest.mark.parametrize("name", ["tanh", "gelu", "sigmoid", "relu"])
def test_the_recursion_is_the_plain_loop(name: str) -> None:
    widths, v, b, y = (7, 40, 30, 20, 3), 0.05, 0.09, 0.4
    activation = make_activation(name, {})
    found = mean_field(condition(widths, v, name, b, y), activation)
    q, h = [], [1.0]
    for k in range(4):
        q.append(widths[k] * v * h[-1] + b)
        h.append(float(layer_moments(activation, np.array(q[-1])).second))
    gradient = [4 * (q[-1] + y**2)]
    to_units = []
    for k in range(3, -1, -1):
        to_units.append(widths[k + 1] * v * gradient[-1])
        if k:
            moments = layer_moments(activation, np.array(q[k - 1]))
            gradient.append(float(moments.slope) * to_units[-1])
    expected: dict[Quantity, Array | list[float]] = {
        "preactivation": q,
        "activation": h[:-1],
        "grad_preactivation": gradient[::-1],
        "grad_activation": to_units[::-1],
        "grad_weight": np.array(gradient[::-1]) * h[:-1],
    }
    assert expected.keys() == PASS_OF.keys()
    for quantity, values in expected.items():
        log10 = found[quantity, "second_moment"]
        np.testing.assert_allclose(log10, np.log10(values), rtol=0, atol=1e-13)


def test_tanh_settles_at_the_fixed_point_of_poole_et_al() -> None:
    for sigma_w, q_star, chi1 in ((1.3, 0.607, 0.940), (2.5, 4.079, 1.585), (4.0, 12.604, 2.367)):
        deep = condition((1000,) * 200 + (1,), sigma_w**2 / 1000, "tanh", 0.09)
        found = mean_field(deep, make_activation("tanh", {}))
        assert round(10 ** float(found["preactivation", "second_moment"][150]), 3) == q_star
        gradients = found["grad_activation", "second_moment"]
        assert round(10 ** float(gradients[100] - gradients[101]), 3) == chi1


def test_variances_are_second_moments_less_the_squared_mean() -> None:
    found = mean_field(
        condition((50, 60, 70, 2), 0.02, "softplus", 0.1), make_activation("softplus", {})
    )
    q = 10 ** found["preactivation", "second_moment"]
    moments = layer_moments(make_activation("softplus", {}), q[:-1])
    variance = 10 ** found["activation", "variance"]
    np.testing.assert_allclose(variance[1:], moments.second - moments.mean**2, rtol=1e-12, atol=0)
    centred: tuple[Quantity, ...] = ("preactivation", "grad_preactivation", "grad_weight")
    for quantity in centred:
        log10 = found[quantity, "variance"]
        assert np.array_equal(log10[:-1], found[quantity, "second_moment"][:-1])
        assert math.isnan(log10[-1])  # the output layer is not wide


def test_relu_variance_is_the_lectures_share_of_the_second_moment() -> None:
    found = mean_field(condition((100,) * 4 + (1,), 0.02, "relu"), RELU)
    gap = found["activation", "variance"] - found["activation", "second_moment"]
    np.testing.assert_allclose(gap[1:], math.log10(1 - 1 / math.pi), rtol=1e-13, atol=0)


def test_no_number_is_given_where_a_float_could_not_hold_it() -> None:
    found = mean_field(condition((100,) * 300 + (1,), 100.0, "gelu"), make_activation("gelu", {}))
    log10 = found["activation", "second_moment"]
    assert np.isfinite(log10[:50]).all()
    assert np.isnan(log10[-50:]).all()
    bounded = mean_field(condition((100,) * 300 + (1,), 100.0), make_activation("tanh", {}))
    assert np.isfinite(bounded["grad_activation", "second_moment"]).all()


CONFIG = """
name: wide
network: {{depth: 4, width: 400, input_dim: 400, activation: {name}}}
init: {{variance: {variance}, bias_variance: 0.09}}
inputs: {{count: 2}}
trials: 60
seed: 3
"""


def z_scores(name: str, expected_of: str, variance: float = 0.005) -> Array:
    """Forward second moments of wide simulated networks against the recursion at 0.005."""
    config = parse_config(CONFIG.format(name=name, variance=variance))
    networks = run_sweep(config).conditions[0].networks
    expected = replace(config.conditions[0], weight_variances=(0.005,) * 5)
    theory = mean_field(expected, make_activation(expected_of, {}))
    scores = []
    quantities: tuple[Quantity, ...] = ("preactivation", "activation")
    for quantity in quantities:
        ratio = 10 ** (networks[quantity, "second_moment"] - theory[quantity, "second_moment"])
        error = ratio.std(axis=0, ddof=1) / math.sqrt(len(ratio))
        scores.append(((ratio.mean(axis=0) - 1) / error)[:-1])  # one output unit is not wide
    return np.concatenate(scores)


# Eight means of 60 networks; finite width shifts them by 1/400 at most, against errors of
# 0.7 % and more. Two-sided 1e-4 in all, Student's t of 59 degrees of freedom: 5.1.
BOUND = 5.1


@pytest.mark.parametrize("name", ["tanh", "gelu", "silu", "sigmoid", "relu"])
def test_wide_networks_with_biases_agree_with_the_recursion(name: str) -> None:
    assert np.abs(z_scores(name, name)).max() < BOUND


def test_twins_with_the_wrong_activation_or_a_variance_ten_percent_off_are_found() -> None:
    assert np.abs(z_scores("gelu", "silu")).max() > BOUND
    assert np.abs(z_scores("tanh", "tanh", 0.0055)).max() > BOUND


def test_layers_at_the_same_variance_keep_slopes_of_their_own() -> None:
    options = {"negative_slope": (1.0, 0.0)}
    of = replace(condition((4, 4, 4, 1), 0.25, "prelu"), activation_options=options)
    found = mean_field(of, make_activation("prelu", options))["activation", "second_moment"]
    np.testing.assert_allclose(10**found, [1.0, 1.0, 0.5], rtol=1e-14, atol=0)
