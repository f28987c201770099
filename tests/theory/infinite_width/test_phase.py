import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.theory.infinite_width.edge_of_chaos import (
    critical_weight_variance,
    length_slopes,
)
from heinit_sim.theory.infinite_width.phase import (
    condition_phase,
    condition_weight_scale,
    length_fixed_point,
    phase,
)
from heinit_sim.theory.infinite_width.quadrature import (
    layer_moments,
    product_of_slopes,
    product_of_values,
    slope_gap,
)
from tests.conditions import Blocks, Images, condition, with_layers
from tests.rows import slow_but

RELU, TANH = make_activation("relu", {}), make_activation("tanh", {})
LINEAR, GELU = make_activation("linear", {}), make_activation("gelu", {})
Z = np.arange(-10, 10, 0.004) + 0.002
WEIGHTS = np.exp(-(Z**2) / 2) * 0.004 / math.sqrt(2 * math.pi)


def plain_length_map(a: Activation, weight_scale: float, bias_variance: float, q: float) -> float:
    """By the midpoint rule, exact for smooth functions and good to 0.004²/12 = 1e-6 at a kink."""
    f = math.sqrt(q) * Z
    return weight_scale * float(WEIGHTS @ a.value(f, np.empty_like(f)) ** 2) + bias_variance


def correlation_map(
    a: Activation, weight_scale: float, bias_variance: float, q: float, c: float
) -> float:
    return (weight_scale * product_of_values(a, q, c) + bias_variance) / q


@pytest.mark.parametrize(
    ("deviation", "q", "chi1", "c", "word"),
    [
        (1.3, 0.607, 0.940, 1.0, "ordered"),
        (2.5, 4.079, 1.585, 0.122, "chaotic"),
        (4.0, 12.604, 2.367, 0.030, "chaotic"),
    ],
)
def test_tanh_with_biases_is_where_poole_and_others_have_it(
    deviation: float, q: float, chi1: float, c: float, word: str
) -> None:
    found = phase(TANH, deviation**2, 0.3**2, deviation**2 + 0.3**2)
    assert (round(found.q, 3), round(found.chi1, 3), round(found.c, 3)) == (q, chi1, c)
    assert found.word == word


@pytest.mark.parametrize(
    "name", sorted(set(ACTIVATIONS) - {"linear", "leaky_relu", "prelu", "softplus"})
)
@pytest.mark.parametrize("q0", slow_but([0.3, 3.0], 3.0))
def test_length_ends_where_plain_iteration_ends(name: str, q0: float) -> None:
    a = make_activation(name, {})
    q = q0
    for _ in range(200):
        q = plain_length_map(a, 1.1, 0.05, q)
    np.testing.assert_allclose(length_fixed_point(a, 1.1, 0.05, q0), q, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("a", "weight_scale", "bias_variance", "q0", "expected"),
    [
        (RELU, 1.9, 0.0, 2.0, 0.0),
        (RELU, 2.0, 0.0, 0.37, 0.37),
        (RELU, math.sqrt(2) ** 2, 0.0, 0.37, 0.37),
        (RELU, 2.1, 0.0, 2.0, math.inf),
        (RELU, 2.0, 0.1, 2.0, math.inf),
        (RELU, 1.5, 0.1, 2.0, 0.4),
        (LINEAR, 0.5, 0.1, 2.0, 0.2),
        (LINEAR, 1.0, 0.0, 5.0, 5.0),
        (TANH, 1.0, 0.0, 1.0, 0.0),
        (TANH, 0.5, 0.0, 1e-20, 0.0),
        (GELU, 2.0, 0.0, 1.0, 0.0),
        (GELU, 3.0, 0.0, 3.0, math.inf),
        (GELU, 3.0, 0.0, 1e15, math.inf),
        (make_activation("elu", {}), 2.0, 0.0, 2.0, math.inf),
    ],
)
def test_length_that_collapses_stays_or_diverges_is_told_so(
    a: Activation, weight_scale: float, bias_variance: float, q0: float, expected: float
) -> None:
    found = length_fixed_point(a, weight_scale, bias_variance, q0)
    assert found == expected or abs(found / expected - 1) < 1e-15


@pytest.mark.parametrize("excess", [1e-2, 1e-4, 1e-6, 1e-8])
def test_length_of_tanh_just_above_criticality_is_its_power_law(excess: float) -> None:
    # E[tanh²(√q z)] = q − 2q² + (17/3)·q³ − …, so q* = e/2 + O(e²) for σ²_w = 1 + e.
    found = length_fixed_point(TANH, 1 + excess, 0.0, 1.0)
    assert abs(found / (excess / 2) - 1) < 3 * excess + 2.0**-52 / excess * 4


def test_length_between_two_fixed_points_of_gelu_depends_on_the_inputs() -> None:
    # E[a²] at q = 1 in closed form (Tsuchida et al. 2020): q = 1 is a fixed point, but repels.
    scale = 1 / (1 / 4 + math.asin(1 / 2) / (2 * math.pi) + 1 / (2 * math.pi * math.sqrt(3)))
    assert length_fixed_point(GELU, scale, 0.0, 0.99) == 0.0
    assert length_fixed_point(GELU, scale, 0.0, 1.01) == math.inf
    assert math.isnan(phase(GELU, scale, 0.0, 1.0).xi_q)


@pytest.mark.parametrize("q0", slow_but([0.1, 0.99, 1.0, 1.01, 30.0], 0.99))
@pytest.mark.parametrize("name", ["gelu", "silu", "mish"])
def test_a_length_that_repels_is_named_from_either_side(name: str, q0: float) -> None:
    a = make_activation(name, {})
    scale = 1 / float(layer_moments(a, np.array(1.0)).second)
    found = phase(a, scale, 0.0, q0)
    np.testing.assert_allclose(found.repels, 1.0, rtol=1e-9, atol=0)
    # mish and gelu above it: plain iteration leaves it too
    q = 1.0 + 1e-3 * (1 if q0 >= 1 else -1)
    moved = plain_length_map(a, scale, 0.0, q) - 1
    assert abs(moved) > abs(q - 1)


@pytest.mark.parametrize(
    ("name", "scale", "bias"), [("tanh", 2.5, 0.1), ("tanh", 2.5, 0.0), ("relu", 2.0, 0.0)]
)
def test_no_length_repels_where_all_end_alike(name: str, scale: float, bias: float) -> None:
    assert math.isnan(phase(make_activation(name, {}), scale, bias, 0.7).repels)


def test_relu_maps_correlations_as_cho_and_saul_and_iterates_as_published() -> None:
    c, iterates = 0.0, {}
    for layer in range(1, 51):
        expected = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / math.pi
        c = correlation_map(RELU, 2.0, 0.0, 2.0, c)
        assert abs(c - expected) < 1e-12
        iterates[layer] = round(c, 4)
    assert [iterates[layer] for layer in (1, 2, 10, 20, 50)] == [
        *(0.3183, 0.4937, 0.8715, 0.9484, 0.9879)
    ]


@pytest.mark.parametrize("a", [TANH, RELU, make_activation("hard_tanh", {})])
@pytest.mark.parametrize("c", [0.1, 0.6, 0.9])
def test_correlation_slope_is_the_difference_quotient_of_the_map(a: Activation, c: float) -> None:
    step = 2.0**-12
    up, down = (correlation_map(a, 1.5, 0.1, 2.0, c + s) for s in (step, -step))
    # The error is step²/6 times the third derivative: for ReLU 1.5 c/π (1−c²)^−1.5, at most 5.2.
    # The others' are of that order; what remains is the rounding of the maps.
    error = 1.5 * product_of_slopes(a, 2.0, c) - (up - down) / (2 * step)
    assert abs(error) < 10 * step**2 + 2.0**-50 / step


@pytest.mark.parametrize("deviation", slow_but([2.0, 2.5, 4.0], 2.0))
@pytest.mark.parametrize("c0", slow_but([0.0, 0.9], 0.0))
def test_correlation_ends_as_plain_iteration_at_its_depth_scale(
    deviation: float, c0: float
) -> None:
    found = phase(TANH, deviation**2, 0.09, 1.0)
    c = c0
    distances = []
    for _ in range(80):
        c = correlation_map(TANH, deviation**2, 0.09, found.q, c)
        distances.append(abs(c - found.c))
    assert distances[-1] < 1e-4
    settled = next(n for n, distance in enumerate(distances) if distance < 1e-4)
    rate = math.log(distances[settled] / distances[settled + 10]) / 10
    # A distance d changes the rate by a relative d f''/f', both of order 1.
    assert abs(rate * found.xi_c - 1) < 1e-2


def test_length_nears_its_fixed_point_at_its_depth_scale() -> None:
    found = phase(TANH, 1.69, 0.09, 1.78)
    q, distances = 1.78, []
    for _ in range(20):
        q = plain_length_map(TANH, 1.69, 0.09, q)
        distances.append(abs(q - found.q))
    rate = math.log(distances[9] / distances[14]) / 5
    assert abs(rate * found.xi_q - 1) < 10 * distances[9]


def test_depth_scales_are_infinite_at_criticality() -> None:
    for a, weight_scale in ((RELU, 2.0), (LINEAR, 1.0)):
        found = phase(a, weight_scale, 0.0, 1.0)
        assert (found.word, found.xi_q, found.xi_c) == ("critical", math.inf, math.inf)
    assert math.isnan(phase(LINEAR, 1.0, 0.0, 1.0).c)
    assert phase(RELU, 2.0, 0.0, 1.0).c == 1.0


@pytest.mark.parametrize(("a", "weight_scale"), [(TANH, 0.5), (TANH, 1.0), (RELU, 1.0)])
def test_signals_that_vanish_have_no_correlation(a: Activation, weight_scale: float) -> None:
    found = phase(a, weight_scale, 0.0, 1.0)
    assert found.q == 0.0
    assert not math.isnan(found.xi_q)
    assert math.isnan(found.xi_c)
    assert math.isnan(found.c)


def test_angles_stay_where_tanh_becomes_linear_and_close_by_a_power_law_for_relu() -> None:
    # Plain iteration with the variance as it shrinks, by a grid of pairs of the midpoint rule.
    u1, u2 = np.meshgrid(Z[::10], Z[::10])
    weights = np.outer(WEIGHTS[::10], WEIGHTS[::10])
    weights /= weights.sum()
    ends = {}
    for name, a, scale in (("tanh", TANH, 0.5), ("relu", RELU, 1.0)):
        q, c, path = 1.0, 0.3, []
        for _ in range(40):
            first, second = math.sqrt(q) * u1, math.sqrt(q) * (c * u1 + math.sqrt(1 - c * c) * u2)
            first, second = a.value(first, first.copy()), a.value(second, second.copy())
            length = float((weights * first**2).sum())
            c, q = float((weights * first * second).sum()) / length, scale * length
            path.append(c)
        ends[name] = path
    assert abs(ends["tanh"][39] - ends["tanh"][29]) < 1e-4
    assert ends["tanh"][39] < 0.5  # not 1
    # 1 − c is about 9π²/2k² after k layers of ReLU (Hayou et al. 2019), not e^(−k/1.44).
    assert 0.01 < 1 - ends["relu"][39] < 9 * math.pi**2 / 2 / 40**2


def test_critical_word_speaks_of_gradients_even_where_signals_diverge() -> None:
    found = phase(RELU, 2.0, 0.3, 2.3)
    assert (found.word, found.chi1, found.q) == ("critical", 1.0, math.inf)
    assert math.isnan(found.critical_weight_variance)


def test_ordered_networks_forget_at_the_rate_of_their_gradients() -> None:
    found = phase(TANH, 1.69, 0.09, 1.78)
    assert found.c == 1.0
    np.testing.assert_allclose(found.xi_c, -1 / math.log(found.chi1), rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("excess", "gap", "xi"),
    [
        (1e-8, 1.316e-8, 4.69e8),
        (1e-7, 1.316e-7, 4.69e7),
        (1e-6, 1.316e-6, 4.69e6),
        (1e-5, 1.3156e-5, 469084),
    ],
)
def test_correlations_of_tanh_just_above_the_edge_of_chaos(
    excess: float, gap: float, xi: float
) -> None:
    found = phase(TANH, critical_weight_variance(TANH, 0.05) + excess, 0.05, 1.0)
    assert found.word == "chaotic"
    np.testing.assert_allclose((1 - found.c, found.xi_c), (gap, xi), rtol=5e-4, atol=0)


def test_depth_scale_of_a_stated_weight_variance() -> None:
    found = phase(TANH, 1.760955, 0.05, 1.0)
    np.testing.assert_allclose(found.xi_c, 1.30e7, rtol=5e-3, atol=0)


def gap_of_erf(weight_scale: float, q: float) -> float:
    """1 − c* by Williams' closed form, from asin x − asin y without a difference of the two."""

    def excess(gap: float) -> float:
        x = 2 * q / (1 + 2 * q)
        y = x * (1 - gap)
        root_x, root_y = math.sqrt(1 - x * x), math.sqrt(1 - y * y)
        sine = x * x * gap * (2 - gap) / (x * root_y + y * root_x)
        return weight_scale * 2 / math.pi * math.asin(sine) / q / gap - 1

    low, high = 1e-14, 1.0
    for _ in range(200):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return low


@pytest.mark.parametrize("excess", slow_but([1e-7, 1e-4, 0.1, 2.0], 1e-4))
def test_correlations_of_erf_are_those_of_its_closed_form(excess: float) -> None:
    a = make_activation("erf", {})
    scale = critical_weight_variance(a, 0.05) + excess
    found = phase(a, scale, 0.05, 1.0)
    gap = gap_of_erf(scale, found.q)
    slope = scale * 4 / math.pi / math.sqrt((1 + 2 * found.q) ** 2 - (2 * found.q * (1 - gap)) ** 2)
    # χ₁ − 1, of about excess/4, is good to 1e-14
    rtol = 1e-10 + 1e-13 / excess
    np.testing.assert_allclose(1 - found.c, gap, rtol=rtol + 1e-16 / gap, atol=0)
    np.testing.assert_allclose(found.xi_c, -1 / math.log(slope), rtol=1e-9 + 3e-15 / gap, atol=0)


@pytest.mark.parametrize(
    "name", slow_but(["tanh", "erf", "gelu", "silu", "sin", "hard_tanh"], "tanh", "hard_tanh")
)
def test_depth_scale_just_below_the_edge_of_chaos_is_that_of_gradients(name: str) -> None:
    a = make_activation(name, {})
    scale = critical_weight_variance(a, 1.0)
    for excess in (1e-8, 1e-6) if math.isfinite(scale) else ():
        found = phase(a, scale - excess, 1.0, 1.0)
        chi1 = (scale - excess) * layer_moments(a, np.array(found.q)).slope
        assert (found.word, found.c) == ("ordered", 1.0)
        np.testing.assert_allclose(found.xi_c, 1 / (1 - chi1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("excess", [1e-7, 1e-5])
def test_kinks_bring_correlations_as_close_as_the_square_of_the_distance(excess: float) -> None:
    # l(d) = σ²_w Σ p(k) √(q d/π) for slopes that jump by 1 at the kinks ±1, p the density of u; the
    # loss, 2/3 of it, is χ₁ − 1, and the slope there χ₁ − l = 1 − (χ₁ − 1)/2
    a = make_activation("hard_tanh", {})
    scale = critical_weight_variance(a, 0.05) + excess
    found = phase(a, scale, 0.05, 1.0)
    density = math.exp(-1 / (2 * found.q)) / math.sqrt(2 * math.pi * found.q)
    root = (found.chi1 - 1) * 3 / 2 / (scale * 2 * density * math.sqrt(found.q / math.pi))
    next_order = 2 * root
    np.testing.assert_allclose(1 - found.c, root**2, rtol=next_order + 3e-16 / root**2, atol=0)
    np.testing.assert_allclose(found.xi_c, 2 / (found.chi1 - 1), rtol=next_order, atol=0)


@pytest.mark.parametrize("name", ["tanh", "gelu", "sin", "hard_tanh", "relu", "elu"])
@pytest.mark.parametrize("gap", [0.01, 0.6, 1.7])
def test_the_gap_of_slopes_is_what_their_product_lacks(name: str, gap: float) -> None:
    a = make_activation(name, {})
    expected = float(layer_moments(a, np.array(0.7)).slope) - product_of_slopes(a, 0.7, 1 - gap)
    np.testing.assert_allclose(slope_gap(a, 0.7, gap), expected, rtol=1e-8, atol=0)


def test_diverging_networks_have_no_correlation_to_end_at() -> None:
    found = phase(RELU, 3.0, 0.1, 1.0)
    assert (found.q, found.chi1, found.word) == (math.inf, 1.5, "chaotic")
    unknown = (found.xi_q, found.xi_c, found.c, found.critical_weight_variance)
    assert all(math.isnan(number) for number in unknown)


def test_condition_of_equal_layers_has_their_weight_scale_whatever_its_ends() -> None:
    found = condition_weight_scale(condition((7, 100, 100, 100, 1), 0.02), TANH)
    assert found == 2.0
    assert condition_weight_scale(condition((7, 50, 1), 0.02), TANH) == 1.0


def test_condition_starts_from_what_its_inputs_give() -> None:
    found = condition_phase(condition((30, 100, 100, 1), 0.02), RELU)
    assert found
    np.testing.assert_allclose(found.q, 30 * 0.02, rtol=1e-12, atol=0)
    shifted = replace(
        condition((30, 100, 100, 1), 0.02), inputs=Inputs("normal", mean=5.0, std=3.0)
    )
    found = condition_phase(shifted, RELU)
    assert found
    np.testing.assert_allclose(found.q, 30 * (5**2 + 3**2) * 0.02, rtol=1e-12, atol=0)


def test_condition_starts_from_what_the_biases_of_layer_0_add() -> None:
    # σ²_w = 2 of ReLU without further biases keeps the length it begins with
    biased = with_layers(condition((30, 100, 100, 1), 0.02), bias_variances=(0.25, 0.0, 0.0))
    found = condition_phase(biased, RELU)
    assert found
    np.testing.assert_allclose(found.q, 30 * 0.02 + 0.25, rtol=1e-12, atol=0)


def test_unequal_layers_have_a_phase_only_where_a_mean_tells_it() -> None:
    uneven = condition((10, 20, 80, 20, 1), (0.1, 0.1, 0.025, 0.1))
    scale = condition_weight_scale(uneven, RELU)
    assert scale
    # the exponential of a mean of logarithms of order 1
    np.testing.assert_allclose(scale, 2.0, rtol=1e-14, atol=0)
    uneven = condition((10, 20, 80, 20, 1), (0.1, 0.1, 0.1, 0.1))
    scale = condition_weight_scale(uneven, RELU)
    assert scale
    np.testing.assert_allclose(scale, math.sqrt(2.0 * 8.0), rtol=1e-12, atol=0)
    curved = with_layers(uneven, activation="tanh")
    assert condition_weight_scale(curved, TANH) is None
    assert condition_phase(curved, TANH) is None


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_second_moments_grow_with_the_length_as_the_solver_assumes(name: str) -> None:
    a = make_activation(name, {"negative_slope": -0.5} if name in ("leaky_relu", "prelu") else {})
    # A sine that turns many times has reached 1/2, but for rounding.
    largest = 1e6 if math.isinf(a.period) else 10.0
    assert (length_slopes(a, np.geomspace(1e-6, largest, 100)) > 0).all()
    assert np.abs(length_slopes(a, np.array([1e6]))).max() < 2


VARIANCES = [5e-324, 1e-300, 1e300, 1.7e308]
ANY = [*itertools.product(VARIANCES, ["relu", "tanh", "gelu", "softplus"])]


@pytest.mark.parametrize(
    ("variance", "name"),
    slow_but(ANY, *(row for row in ANY if row[0] == 1.7e308 or row[1] == "relu")),
)
def test_any_variance_has_a_phase_or_none_without_a_warning(variance: float, name: str) -> None:
    found = condition_phase(condition((5, 8, 8, 1), variance, name), make_activation(name, {}))
    assert found is None or found.word == ("ordered" if variance < 1 else "chaotic")
    assert (found is None) == (variance > 1e307)


def test_a_circular_convolution_has_the_phase_of_its_fans() -> None:
    kernels = Images((4, 4), 3, (2, 8, 8, 8), "circular")
    cnn = condition((32, 128, 128, 128, 1), 0.02, images=kernels)
    assert condition_weight_scale(cnn, TANH) == 0.02 * 9 * 8
    critical = condition_phase(with_layers(cnn, weight_variances=(0.3, 2 / 72, 2 / 72, 1.0)), RELU)
    assert critical
    assert critical.word == "critical"
    np.testing.assert_allclose(critical.q, 0.3 * 9 * 2, rtol=1e-12, atol=0)  # E[x²] = 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"blocks": Blocks()},
            (
                "network.block has no phase, must be [weights, activation], or add for growth; "
                "a network of stages has one row of steps for each layer"
            ),
        ),
        (
            {"images": Images((4, 4), 3, (2, 8, 8, 8), "zero")},
            "an edge of zeros has no one phase, must be padding: circular",
        ),
        ({"bias_means": (0.5,) * 4}, "a constant bias has no phase, must be bias_variance alone"),
    ],
)
def test_networks_of_no_one_phase_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        condition_phase(condition((32, 128, 128, 128, 1), 0.02, **options), TANH)
    assert caught.value.problems == [said]
