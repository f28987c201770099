import math
from collections.abc import Callable

import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.experiment.activation_table import DEFAULT_SLOPES

Array = np.ndarray
POINTS = np.array([-1e300, -2.0, -1e-300, -0.0, 0.0, 1e-300, 0.5, 1e300])
HOMOGENEOUS = {"relu": 0.0, "leaky_relu": 0.2, "prelu": 0.2, "linear": 1.0}


def options(name: str) -> dict[str, float]:
    return {"negative_slope": 0.2} if name in DEFAULT_SLOPES else {}


def value(name: str, z: Array) -> Array:
    return make_activation(name, options(name)).value(z, np.empty_like(z))


def slope(name: str, z: Array) -> Array:
    return make_activation(name, options(name)).derivative(z) * 1.0


# a(z) written number by number; `math` has its own erf, tanh and exp.
PLAIN: dict[str, Callable[[float], float]] = {
    "relu": lambda z: z if z > 0 else 0.0,
    "leaky_relu": lambda z: z if z > 0 else 0.2 * z,
    "linear": lambda z: z,
    "tanh": math.tanh,
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "erf": math.erf,
    "hard_tanh": lambda z: min(max(z, -1.0), 1.0),
    "softsign": lambda z: z / (1 + abs(z)),
    "elu": lambda z: z if z > 0 else math.expm1(z),
    "selu": lambda z: 1.0507009873554805 * (z if z > 0 else 1.6732632423543772 * math.expm1(z)),
    "gelu": lambda z: z * 0.5 * math.erfc(-z / math.sqrt(2)),
    "gelu_tanh": lambda z: (
        0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    ),
    "silu": lambda z: z / (1 + math.exp(-z)),
    "mish": lambda z: z * math.tanh(math.log1p(math.exp(z))),
    "softplus": lambda z: math.log1p(math.exp(z)),
    "relu6": lambda z: min(max(z, 0.0), 6.0),
    "prelu": lambda z: z if z > 0 else 0.2 * z,
    "sin": math.sin,
}


def test_every_activation_is_tested_here() -> None:
    assert set(PLAIN) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", PLAIN)
def test_value_is_the_formula_number_by_number(name: str) -> None:
    z = np.linspace(-8, 8, 1001)
    expected = np.array([PLAIN[name](v) for v in z.tolist()])
    # The plain formulas cancel where 1 + tanh or log1p lose digits: one part in 1e16 of z.
    np.testing.assert_allclose(value(name, z), expected, rtol=1e-13, atol=2e-15)


@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_homogeneous_ones_have_slope_one_above_zero_and_their_own_below(name: str) -> None:
    alpha = HOMOGENEOUS[name]
    assert make_activation(name, options(name)).negative_slope == alpha
    assert value(name, POINTS).tolist() == [z if z > 0 else alpha * z for z in POINTS.tolist()]


def test_no_other_activation_is_called_homogeneous() -> None:
    named = {n for n in PLAIN if make_activation(n, options(n)).negative_slope is not None}
    assert named == set(HOMOGENEOUS)
    for name in set(PLAIN) - set(HOMOGENEOUS):
        z = np.array([-9.0, 9.0])
        assert not np.array_equal(value(name, 2 * z), 2 * value(name, z)), name


@pytest.mark.parametrize("name", PLAIN)
def test_both_together_are_the_same_bits(name: str) -> None:
    z = np.concatenate([np.linspace(-9, 9, 20_001), [-800.0, -0.0, 0.0, 800.0]])
    out = np.empty_like(z)
    slopes = make_activation(name, options(name)).both(z, out)
    np.testing.assert_array_equal(out, value(name, z))
    np.testing.assert_array_equal(slopes, slope(name, z))


@pytest.mark.parametrize("name", PLAIN)
def test_derivative_is_the_difference_quotient_away_from_kinks(name: str) -> None:
    z = np.linspace(-7.9, 7.95, 301)  # no kink of any within a step
    step = 2.0**-14
    quotient = (value(name, z + step) - value(name, z - step)) / (2 * step)
    # Truncation is |a'''| step²/6 with |a'''| ≤ 6; rounding EPS max|a| / step.
    tolerance = 6 * step**2 / 6 + np.finfo(float).eps * 9 / step
    assert np.abs(slope(name, z) - quotient).max() < tolerance


@pytest.mark.parametrize("name", PLAIN)
def test_kinks_are_where_a_derivative_jumps_and_nowhere_else(name: str) -> None:
    z = np.arange(-9, 9, 2.0**-7) + 0.3 * 2.0**-8
    step = 2.0**-8
    bends = np.diff([slope(name, z - step), slope(name, z), slope(name, z + step)], n=2, axis=0)
    jumps = z[np.abs(bends[0]) > 1e-3]  # a smooth one bends by |a'''| step² < 1e-4 at most
    activation = make_activation(name, options(name))
    if math.isfinite(activation.period):  # its kinks are the ends of quadrants
        assert len(jumps) == 0
        return
    assert len(jumps) == 0 or activation.kinks
    for kink in activation.kinks:
        assert np.abs(jumps - kink).min() <= 2 * step, name
    for jump in jumps:
        assert min(abs(jump - k) for k in activation.kinks) <= 2 * step


@pytest.mark.parametrize("name", PLAIN)
def test_signed_zeros_and_huge_numbers_pass_without_a_warning(name: str) -> None:
    found, slopes = value(name, POINTS), slope(name, POINTS)  # warnings are errors here
    assert np.isfinite(found).all()
    assert np.isfinite(slopes).all()
    assert found[3] == found[4]


@pytest.mark.parametrize("name", ["tanh", "erf", "softsign", "gelu", "silu", "elu"])
def test_small_numbers_keep_their_digits(name: str) -> None:
    z = np.array([-1e-200, 1e-200])
    np.testing.assert_allclose(value(name, z), slope(name, np.zeros(1)) * z, rtol=1e-14, atol=0)


@pytest.mark.parametrize("frequency", [0.3, 30.0])
def test_a_sine_has_its_frequency(frequency: float) -> None:
    sine, z = make_activation("sin", {"frequency": frequency}), np.linspace(-8, 8, 101)
    values = [math.sin(frequency * v) for v in z.tolist()]
    slopes = [frequency * math.cos(frequency * v) for v in z.tolist()]
    np.testing.assert_allclose(sine.value(z, np.empty_like(z)), values, rtol=0, atol=2e-15)
    np.testing.assert_allclose(
        np.asarray(sine.derivative(z), float), slopes, rtol=0, atol=frequency * 2e-15
    )
    assert math.isclose(sine.period, 2 * math.pi / frequency)
    assert make_activation("sin", {}) is make_activation("sin", {})  # what is looked up by it


def test_swish_is_another_name_of_silu() -> None:
    assert make_activation("swish", {}) is make_activation("silu", {})


def test_prelu_with_a_slope_for_each_layer_is_leaky_relu_of_that_slope_there() -> None:
    slopes = (0.0, 0.25, -1.0)
    prelu = make_activation("prelu", {"negative_slope": slopes})
    assert prelu.negative_slope == slopes
    for k, alpha in enumerate(slopes):
        expected = [z if z > 0 else alpha * z for z in POINTS.tolist()]
        assert prelu.layer(k).value(POINTS, np.empty_like(POINTS)).tolist() == expected


def test_relu_has_slope_zero_at_zero() -> None:
    assert not make_activation("relu", {}).derivative(np.array([0.0, -0.0])).any()
