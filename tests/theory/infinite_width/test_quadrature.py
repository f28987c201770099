"""Gaussian averages against closed forms, checked numbers and a plain midpoint sum."""

import itertools
import math

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.theory.infinite_width.quadrature import average, even_moments, layer_moments

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


@pytest.mark.parametrize(("name", "alpha"), [("relu", 0.0), ("leaky_relu", 0.2), ("linear", 1.0)])
def test_rectifiers_have_theirs(name: str, alpha: float) -> None:
    moments = layer_moments(make_activation(name, options(name)), Q)
    p2 = (1 + alpha**2) / 2
    variance = p2 - (1 - alpha) ** 2 / (2 * np.pi)
    np.testing.assert_allclose(moments.second, p2 * Q, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.variance, variance * Q, rtol=PROMISED, atol=0)
    np.testing.assert_allclose(moments.slope, p2, rtol=PROMISED, atol=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("q", [1e-3, 0.3, 40.0])
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
    def step(f: np.ndarray) -> np.ndarray:
        return (f > 0.3) * 1.0

    expected = 0.5 * math.erfc(0.3 / math.sqrt(2))
    assert abs(float(average(step, ONE, (0.3,))) - expected) < PROMISED
    assert abs(float(average(step, ONE)) - expected) > 1e-4
