"""Gaussian averages of one number and of pairs against closed forms and plain sums."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.theory.infinite_width.quadrature import (
    about,
    average,
    even_moments,
    layer_moments,
    pair_average,
    product_of_values,
    radial_gap,
    slope_gap,
    smooth_gap,
    value_gap,
)
from tests.rows import slow_but

Array = np.ndarray

Q = np.logspace(-12, 12, 25)
PROMISED = 1e-10
ONE = np.array(1.0)
# E a² and E a'² at q = 1.
CHECKED = {
    "tanh": (0.3942945, 0.4644029),
    "erf": (0.4645591, 0.5694100),
    "sigmoid": (0.2933790, 0.0448362),
    "elu": (0.6449454, 0.6681020),
    "selu": (1.0, 1.0715750),
    "gelu": (0.4252215, 0.4558509),
    "silu": (0.3557755, 0.3794824),
    "softplus": (0.9212459, 0.2933790),
    "mish": (0.4523422, 0.4790838),
}


def options(name: str) -> dict[str, float]:
    return {"negative_slope": 0.2} if name in ("leaky_relu", "prelu") else {}


@pytest.mark.parametrize("name", CHECKED)
def test_moments_at_one_are_the_checked_numbers(name: str) -> None:
    moments = layer_moments(make_activation(name, {}), ONE)
    assert (round(float(moments.second), 7), round(float(moments.slope), 7)) == CHECKED[name]


def test_erf_has_its_closed_forms() -> None:  # Williams 1998
    moments = layer_moments(make_activation("erf", {}), Q)
    second = 2 / np.pi * np.arcsin(2 * Q / (1 + 2 * Q))
    slope = 4 / np.pi / np.sqrt(1 + 4 * Q)
    np.testing.assert_allclose(moments.second, second, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.slope, slope, rtol=PROMISED, atol=0)
    assert np.abs(moments.mean).max() < PROMISED


def test_gelu_has_its_closed_form() -> None:  # Tsuchida et al. 2020
    moments = layer_moments(make_activation("gelu", {}), Q)
    second = Q / 4 + Q / (2 * np.pi) * np.arcsin(Q / (1 + Q))
    second += Q**2 / (np.pi * (1 + Q) * np.sqrt(1 + 2 * Q))
    np.testing.assert_allclose(moments.second, second, rtol=PROMISED, atol=0)


def test_sine_has_its_closed_forms_at_any_number_of_turns() -> None:
    sine = make_activation("sin", {})
    moments, (second, fourth, sixth) = layer_moments(sine, Q), even_moments(sine, Q)
    np.testing.assert_allclose(moments.second, -np.expm1(-2 * Q) / 2, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.slope, (1 + np.exp(-2 * Q)) / 2, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(second, moments.second, rtol=PROMISED, atol=0)
    e = np.exp(-Q[12:])  # before, the powers of sin cancel in the closed forms
    closed = [(3 - 4 * e**2 + e**8) / 8, (10 - 15 * e**2 + 6 * e**8 - e**18) / 32]
    found = [fourth[12:] * second[12:] ** 2, sixth[12:] * second[12:] ** 3]
    np.testing.assert_allclose(found, closed, rtol=PROMISED, atol=0)


FREQUENCIES = (1e-3, 0.3, 30.0, 1e4)


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_sine_of_any_frequency_has_its_closed_forms(frequency: float) -> None:
    """sin ωz at variance q is sin z at ω² q; slopes are ω² times its."""
    activation, w2 = make_activation("sin", {"frequency": frequency}), frequency**2
    moments = layer_moments(activation, Q)
    second, slope = -np.expm1(-2 * w2 * Q) / 2, w2 * (1 + np.exp(-2 * w2 * Q)) / 2
    np.testing.assert_allclose(moments.second, second, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.slope, slope, rtol=PROMISED, atol=0)
    about_mean = layer_moments(about(activation, 12.3), Q)
    swing = np.cos(2 * frequency * 12.3) / 2 * np.exp(-2 * w2 * Q)  # E[sin² ω(m + f)] = 1/2 − swing
    np.testing.assert_allclose(about_mean.second, 0.5 - swing, rtol=1e-9, atol=0)


PAIRS = [*itertools.product(FREQUENCIES, (0.3, 1.0), (-0.5, 0.3, 0.999))]
QUICK_PAIRS = [(1e-3, 1.0, 0.3), (0.3, 0.3, 0.999), (30.0, 0.3, -0.5), (1e4, 1.0, -0.5)]


@pytest.mark.parametrize(("frequency", "q", "c"), slow_but(PAIRS, *QUICK_PAIRS))
def test_two_sines_of_any_frequency_have_the_product_of_a_closed_form(
    frequency: float, q: float, c: float
) -> None:
    sine = make_activation("sin", {"frequency": frequency})
    found = product_of_values(sine, q / frequency**2, c)
    np.testing.assert_allclose(found, math.exp(-q) * math.sinh(q * c), rtol=PROMISED, atol=0)


@pytest.mark.parametrize(("name", "alpha"), [("relu", 0.0), ("leaky_relu", 0.2), ("linear", 1.0)])
def test_rectifiers_have_theirs(name: str, alpha: float) -> None:
    moments = layer_moments(make_activation(name, options(name)), Q)
    p2 = (1 + alpha**2) / 2
    variance = p2 - (1 - alpha) ** 2 / (2 * np.pi)
    np.testing.assert_allclose(moments.second, p2 * Q, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.variance, variance * Q, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.slope, p2, rtol=PROMISED, atol=0)


MIDPOINT = [*itertools.product([1e-3, 0.3, 40.0], ACTIVATIONS)]


@pytest.mark.parametrize(
    ("q", "name"), slow_but(MIDPOINT, *(row for row in MIDPOINT if row != (40.0, "sin")))
)
def test_every_activation_agrees_with_a_midpoint_sum(name: str, q: float) -> None:
    activation = make_activation(name, options(name))
    kinks = [k / math.sqrt(q) for k in activation.kinks if abs(k) < 10 * math.sqrt(q)]
    edges = [-10.0, *kinks, 10.0]
    z, weight, cells = [], [], 200_000
    for low, high in itertools.pairwise(edges):
        z.append(low + (high - low) * (np.arange(cells) + 0.5) / cells)
        weight.append(np.full(cells, (high - low) / cells))
    nodes = np.concatenate(z)
    density = np.concatenate(weight) * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    f = math.sqrt(q) * nodes
    a = activation.value(f, np.empty_like(f))
    moments = layer_moments(activation, np.array(q))
    # The midpoint rule is off by cell²/24 times the jump of the integrand's derivative at each
    # kink; with |a'|, |a''|, |a'²|' below 10 per unit of f, so below 10 √q φ(0) per unit of z.
    error = (20 / cells) ** 2 / 24 * 10 * math.sqrt(q) * 0.4
    for found, g in ((moments.second, a**2), (moments.slope, activation.derivative(f) ** 2.0)):
        assert abs(float(found) - density @ g) < max(error, PROMISED * float(found))
    assert abs(float(moments.mean) - density @ a) < max(error, PROMISED * math.sqrt(q))


def test_even_moments_of_the_normal_law() -> None:
    for power, expected in ((2, 1.0), (4, 3.0), (6, 15.0)):
        found = average(lambda f, p=power: f**p, Q.reshape(5, 5))  # type: ignore[misc]  # bound now
        np.testing.assert_allclose(
            found, expected * Q.reshape(5, 5) ** (power / 2), rtol=PROMISED, atol=0
        )


def test_a_kink_that_is_not_named_is_missed() -> None:
    def step(f: Array) -> Array:
        return (f > 0.3) * 1.0

    expected = 0.5 * math.erfc(0.3 / math.sqrt(2))
    assert abs(float(average(step, ONE, (0.3,))) - expected) < PROMISED
    assert abs(float(average(step, ONE)) - expected) > 1e-4


# ----- about a mean


def trapezoid(name: str, mean: float, q: float, powers: tuple[int, ...]) -> list[float]:
    """E[a(f)^p], f ~ N(mean, q), by a sum on a fine grid that has the kinks on it."""
    activation = make_activation(name, {})
    step = 2.0**-12
    low = math.floor(mean - 12 * math.sqrt(q)) - 1
    f: Array = low + step * np.arange(int((24 * math.sqrt(q) + 4) / step))
    density = np.exp(-((f - mean) ** 2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    a = activation.value(f, np.empty_like(f))
    return [float((a**p * density).sum() * step) for p in powers]


@pytest.mark.parametrize(
    "name", ["linear", "relu", "tanh", "gelu", "softplus", "hard_tanh", "elu", "sin"]
)
@pytest.mark.parametrize(("mean", "q"), [(0.5, 1.0), (-3.0, 0.2), (2.0, 9.0), (7.0, 1.5)])
def test_averages_about_a_mean_are_those_of_a_fine_grid(name: str, mean: float, q: float) -> None:
    first, second, fourth, sixth = trapezoid(name, mean, q, (1, 2, 4, 6))
    shifted = about(make_activation(name, {}), mean)
    found = layer_moments(shifted, np.array(q))
    # The sum's error is that of its kinks, step²/12 of the jump in slope, on moments of any size.
    for value, expected in ((found.mean, first), (found.second, second)):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)
    moments = even_moments(shifted, np.array([q]))
    expected_moments = (second, fourth / second**2, sixth / second**3)
    if second > 1e-6:
        for value, expected in zip(moments, expected_moments, strict=True):
            np.testing.assert_allclose(value, expected, rtol=2e-5, atol=0)
    turned = layer_moments(about(make_activation(name, {}), -mean), np.array(q)).mean
    assert abs(float(turned) - first) > 1e-3  # a wrong sign is seen


@pytest.mark.parametrize("q", [0.3, 30.0, 1e4, 1e12])
def test_a_sine_about_a_mean_stays_periodic(q: float) -> None:
    found = layer_moments(about(make_activation("sin", {}), 0.7), np.array(q))
    swing = 0.5 * math.cos(1.4) * math.exp(-2 * q)  # of E[sin² f], f ~ N(0.7, q)
    np.testing.assert_allclose(found.second, 0.5 - swing, rtol=1e-13, atol=0)
    np.testing.assert_allclose(found.slope, 0.5 + swing, rtol=1e-13, atol=0)


def test_no_mean_is_the_activation_itself() -> None:
    tanh = make_activation("tanh", {})
    assert about(tanh, 0.0) is tanh


# ----- pairs


CORRELATIONS = [-1.0, -1 + 1e-12, -0.5, 0.0, 1e-9, 0.3, 0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-14, 1.0]
LENGTHS = [1e-3, 1.0, 12.6, 1e4]


def value(name: str) -> Callable[[Array], Array]:
    activation = make_activation(name, {})
    return lambda u: activation.value(u, np.empty_like(u))


def derivative(name: str) -> Callable[[Array], Array]:
    activation = make_activation(name, {})
    return lambda u: np.asarray(activation.derivative(u), float)


@pytest.mark.parametrize("q", LENGTHS)
@pytest.mark.parametrize("c", CORRELATIONS)
def test_relu_gives_the_arccosine_kernels_of_cho_and_saul(q: float, c: float) -> None:
    angle = math.acos(c)
    expected = q * (math.sqrt(1 - c * c) + c * (math.pi - angle)) / (2 * math.pi)
    assert abs(pair_average(value("relu"), q, c, (0.0,)) - expected) < 1e-10 * q
    expected = (math.pi - angle) / (2 * math.pi)
    assert abs(pair_average(derivative("relu"), q, c, (0.0,)) - expected) < 1e-10


@pytest.mark.parametrize("q", slow_but(LENGTHS, 12.6))
@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_gives_the_arcsine_kernel_of_williams(q: float, c: float) -> None:
    expected = 2 / math.pi * math.asin(2 * q * c / (1 + 2 * q))
    assert abs(pair_average(value("erf"), q, c) - expected) < 1e-10
    determinant = (1 + 2 * q * (1 - c)) * (1 + 2 * q * (1 + c))
    expected = 4 / math.pi / math.sqrt(determinant)
    np.testing.assert_allclose(pair_average(derivative("erf"), q, c), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("c", [-0.7, 0.4, 0.95])
def test_a_jump_away_from_zero_gives_the_same_as_a_plain_sum_over_the_plane(c: float) -> None:
    # The midpoint rule on squares of 0.005: each of the two jumps leaves half a row of squares at
    # worst, 0.0025 times a density of at most 0.4 along it.
    z = np.arange(-8, 8, 0.005) + 0.0025
    weight = np.exp(-(z**2) / 2) * 0.005 / math.sqrt(2 * math.pi)
    root = math.sqrt(2.0)
    second = root * (c * z[:, np.newaxis] + math.sqrt(1 - c * c) * z)
    inside = (abs(root * z) < 1)[:, np.newaxis] & (abs(second) < 1)
    expected = float(weight @ inside @ weight)
    found = pair_average(derivative("hard_tanh"), 2.0, c, (-1.0, 1.0))
    assert abs(found - expected) < 4 * 0.0025 * 0.4


@pytest.mark.parametrize("q", [1e-250, 1e-3, 1.0, 12.6])
@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-6, 0.3, 1.0, 1.7, 2.0])
def test_gaps_of_smooth_functions_keep_the_digits_of_close_inputs(q: float, apart: float) -> None:
    # E[sin u₁ sin u₂] = (e^(−q (1−c)) − e^(−q (1+c)))/2; both terms of the gap are positive.
    expected = (-math.expm1(-q * apart) + math.exp(-2 * q) * math.expm1(q * apart)) / 2
    # The difference of two sines that are √(q d) apart leaves 1e-16 over that of its digits, twice.
    rounding = 1e-15 / math.sqrt(apart * min(q, 1.0)) if apart and q > 1e-100 else 0.0
    found = smooth_gap(np.sin, q, apart)
    np.testing.assert_allclose(found, expected, rtol=1e-12 + rounding, atol=0)


def test_a_function_that_is_all_but_a_step_is_not_taken_for_smooth() -> None:
    assert math.isnan(smooth_gap(lambda u: np.tanh(1e6 * u), 1.3, 0.4))


CLOSE_AND_OPPOSITE = [1e-8, 1e-3, 0.4, 1.0, 1.7, 2 - 1e-4]


@pytest.mark.parametrize("q", [1e-6, 1.0, 1e4, 1e16])
@pytest.mark.parametrize("gap", CLOSE_AND_OPPOSITE)
def test_gaps_in_polar_coordinates_go_by_their_closed_forms(q: float, gap: float) -> None:
    theta = 2 * math.asin(math.sqrt(gap / 2))
    np.testing.assert_allclose(radial_gap(np.sign, q, gap), 2 * theta / math.pi, rtol=1e-10, atol=0)
    # (2/π) (asin x − asin y) by sine and cosine of the difference, which keep its digits.
    x, y, whole = 2 * q, 2 * q * (1 - gap), 1 + 2 * q
    cos_x, cos_y = math.sqrt(1 + 4 * q), math.sqrt((1 + 2 * q * gap) * (1 + 2 * q * (2 - gap)))
    sine, cosine = (x * cos_y - y * cos_x) / whole, (x * y + cos_x * cos_y) / whole
    apart = math.atan2(sine, cosine)
    # Two that are √(q d) apart, at values of up to √q, have a difference of as many digits less.
    rounding = 1e-15 / math.sqrt(gap * min(q, 1.0)) + 1e-16 / gap
    found = radial_gap(value("erf"), q, gap)
    np.testing.assert_allclose(found, 2 / math.pi * apart, rtol=1e-10 + rounding, atol=0)


@pytest.mark.parametrize("name", ["tanh", "erf", "softsign", "hard_tanh"])
@pytest.mark.parametrize("q", [0.7, 300.0])
@pytest.mark.parametrize("gap", CLOSE_AND_OPPOSITE[1:4])
def test_opposite_inputs_have_the_gaps_of_an_odd_function(name: str, q: float, gap: float) -> None:
    activation = make_activation(name, {})
    second = float(layer_moments(activation, np.array(q)).second)
    opposite, alike = (value_gap(activation, 0.0, q, d) for d in (2 - gap, gap))
    np.testing.assert_allclose(opposite, 2 * second - alike, rtol=1e-10, atol=0)
    opposite, alike = (slope_gap(activation, q, d) for d in (2 - gap, gap))
    np.testing.assert_allclose(opposite, alike, rtol=1e-9, atol=0)
