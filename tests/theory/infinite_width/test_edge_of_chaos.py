import itertools
import math

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.theory.infinite_width.edge_of_chaos import (
    chaos_onset,
    critical_line,
    critical_weight_variance,
    crossing,
    edge_of_chaos,
    length_slopes,
)
from heinit_sim.theory.infinite_width.phase import length_fixed_point
from heinit_sim.theory.infinite_width.quadrature import layer_moments
from tests.rows import slow_but


def activation(name: str) -> Activation:
    return make_activation(name, {"negative_slope": 0.5} if name in ("leaky_relu", "prelu") else {})


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_length_slope_is_the_difference_quotient_of_the_second_moment(name: str) -> None:
    turns = math.isfinite(activation(name).period)  # its moments have all but reached their limits
    q, step = np.array([0.01, 0.6, 1.0, 3.0 if turns else 30.0]), 2.0**-10
    up, down = (layer_moments(activation(name), q * (1 + s)).second for s in (step, -step))
    quotient = (up - down) / (2 * step * q)
    # The third logarithmic derivative of a second moment is a few times the first at most.
    np.testing.assert_allclose(
        length_slopes(activation(name), q), quotient, rtol=10 * step**2, atol=0
    )


def test_critical_line_of_erf_is_williams_closed_form() -> None:
    q = np.array([0.1, 1.0, 10.0])
    scale = math.pi / 4 * np.sqrt(1 + 4 * q)
    line = critical_line(activation("erf"), q)
    np.testing.assert_allclose(line.weight_scale, scale, rtol=1e-12, atol=0)
    bias_variance = q - scale * 2 / math.pi * np.arcsin(2 * q / (1 + 2 * q))
    np.testing.assert_allclose(line.bias_variance, bias_variance, rtol=1e-10, atol=0)
    assert line.attracting.all()


SETTLING = ["tanh", "erf", "softsign", "elu", "selu", "sigmoid", "relu6"]
BIASES = [1e-6, 0.09, 1.0]


@pytest.mark.parametrize(
    ("name", "bias_variance"),
    slow_but(
        itertools.product(SETTLING, BIASES), *zip(SETTLING, itertools.cycle(BIASES), strict=False)
    ),
)
def test_chi_is_one_where_plain_iteration_ends_critical(name: str, bias_variance: float) -> None:
    a = activation(name)
    scale = critical_weight_variance(a, bias_variance)
    q = length_fixed_point(a, scale, bias_variance, scale + bias_variance)
    for _ in range(50):  # it is a fixed point, and stays one
        q = scale * float(layer_moments(a, np.array(q)).second) + bias_variance
    assert abs(scale * float(layer_moments(a, np.array(q)).slope) - 1) < 1e-8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("relu", 2.0),
        ("linear", 1.0),
        ("leaky_relu", 1.6),
        ("tanh", 1.0),
        ("erf", math.pi / 4),
        ("hard_tanh", 1.0),
        ("relu6", 2.0),
        ("elu", 1.0),
    ],
)
def test_without_biases_the_slopes_at_zero_decide(name: str, expected: float) -> None:
    found = critical_weight_variance(activation(name), 0.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("name", "bias_variance"),
    [
        *(("relu", 0.1), ("linear", 1e-9), ("gelu", 0.0), ("gelu", 0.05), ("silu", 0.0)),
        *(("mish", 0.0), ("softplus", 0.0), ("softplus", 1.0)),
    ],
)
def test_no_variance_is_critical_where_no_length_settles(name: str, bias_variance: float) -> None:
    assert math.isnan(critical_weight_variance(activation(name), bias_variance))


@pytest.mark.parametrize("name", ["gelu", "silu", "mish"])
def test_lengths_leave_the_critical_point_of_a_bump_without_biases(name: str) -> None:
    line = critical_line(activation(name), np.array([0.5]))
    scale, bias_variance = float(line.weight_scale[0]), float(line.bias_variance[0])
    assert not line.attracting[0]
    q = 0.5 * 1.001
    for _ in range(100):
        q = scale * float(layer_moments(activation(name), np.array(q)).second) + bias_variance
    assert q > 0.5 * 1.01


@pytest.mark.parametrize(
    "name", slow_but(["tanh", "erf", "relu", "gelu", "silu", "softplus"], "tanh", "relu", "silu")
)
@pytest.mark.parametrize("bias_variance", slow_but([0.0, 0.05, 0.3], 0.05))
def test_chaos_sets_in_within_a_few_per_cent_of_the_onset(name: str, bias_variance: float) -> None:
    a = activation(name)
    onset = float(chaos_onset(a, np.array([bias_variance]))[0])
    for factor, chaotic in ((0.93, False), (1.07, True)):
        scale = factor * onset
        q = length_fixed_point(a, scale, bias_variance, scale + bias_variance)
        q = min(max(q, 1e-30), 1e24)
        assert (scale * float(layer_moments(a, np.array(q)).slope) >= 1) == chaotic


def test_edge_of_tanh_is_its_critical_line_from_the_axis_to_the_top() -> None:
    edge = edge_of_chaos(activation("tanh"), 0.3)
    assert not len(edge.leap)
    # q = 1e-30 stands for the axis: a relative 1e-12 from its limit at most
    np.testing.assert_allclose(edge.continuous[0], [1.0, 0.0], rtol=1e-12, atol=0)
    assert edge.continuous[-1, 1] == 0.3
    assert (np.diff(edge.continuous, axis=0) > 0).all()
    for scale, bias_variance in edge.continuous[::50]:
        expected = critical_weight_variance(activation("tanh"), float(bias_variance))
        np.testing.assert_allclose(scale, expected, rtol=1e-6, atol=0)


def test_edge_of_relu_is_a_point_and_chaos_begins_above_it() -> None:
    edge = edge_of_chaos(activation("relu"), 0.3)
    assert edge.continuous.tolist() == [[2.0, 0.0]]
    assert edge.leap.tolist() == [[2.0, 0.0], [2.0, 0.3]]


@pytest.mark.slow
def test_edge_of_gelu_leaps_below_its_critical_line() -> None:
    edge = edge_of_chaos(activation("gelu"), 0.3)
    assert edge.leap[-1, 1] == edge.continuous[0, 1]
    assert edge.leap[0, 1] == 0.0
    assert (np.diff(edge.points[:, 1]) >= 0).all()


def test_crossing_finds_a_root_to_the_last_bits() -> None:
    found = crossing(lambda q: 3.0 - q**2, 1.0, 2.0)
    np.testing.assert_allclose(found, math.sqrt(3), rtol=2.0**-51, atol=0)
