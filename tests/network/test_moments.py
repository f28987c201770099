from collections.abc import Callable

import numpy as np
import pytest

from heinit_sim.experiment.quantities import INPUT_0, Statistic
from heinit_sim.network.moments import (
    between_inputs,
    log10_moments,
    outer_moments,
    squarable,
    unit_moments,
)
from heinit_sim.numerics.scaled_array import Scaled, scaled

EPS = np.finfo(float).eps


def slow_moments(z: np.ndarray) -> dict[Statistic, float]:
    values = [float(v) for v in z.ravel()]
    mean = sum(values) / len(values)
    return {
        "second_moment": sum(v * v for v in values) / len(values),
        "variance": sum((v - mean) ** 2 for v in values) / len(values),
    }


def log10_of(z: np.ndarray) -> dict[Statistic, float]:
    found = log10_moments(unit_moments(scaled(z[np.newaxis])))
    return {statistic: float(values[0]) for statistic, values in found.items()}


# The last rows cancel: a mean 1e6 times the standard deviation, over units or over inputs only.
CASES = {
    "usual": lambda rng: rng.standard_normal((6, 5)),
    "rectified": lambda rng: np.maximum(rng.standard_normal((6, 5)), 0),
    "one input": lambda rng: rng.standard_normal((6, 1)),
    "one unit": lambda rng: rng.standard_normal((1, 5)),
    "units nearly equal": lambda rng: 1 + 1e-6 * rng.standard_normal((6, 5)),
    "one unit, inputs nearly equal": lambda rng: 1 + 1e-6 * rng.standard_normal((1, 5)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exponent", [-90, 0, 90])
def test_moments_are_those_of_a_slow_loop(case: str, exponent: int) -> None:
    z = CASES[case](np.random.default_rng(0))
    found = log10_of(np.ldexp(z, exponent))
    for statistic, expected in slow_moments(z).items():
        # A mean 1e6 times the spread costs the slow loop itself 6 + 4 of its 16 digits.
        assert abs(found[statistic] - 2 * exponent * np.log10(2) - np.log10(expected)) < 1e-9


def test_moments_far_outside_float_range() -> None:
    z = np.array([[3.0, 4.0]])
    found = log10_moments(unit_moments(Scaled(z[np.newaxis], np.array([50_000]))))
    expected = np.log10(12.5) + 100_000 * np.log10(2)
    np.testing.assert_allclose(found["second_moment"][0], expected, rtol=1e-14, atol=0)


def test_a_layer_of_one_element_has_variance_zero_and_a_dead_one_no_moments() -> None:
    assert log10_of(np.array([[0.3]]))["variance"] == -np.inf
    assert set(log10_of(np.zeros((3, 2))).values()) == {-np.inf}


@pytest.mark.parametrize("shape", [(20, 1), (1, 7), (20, 5), (49, 49)])
@pytest.mark.parametrize("value", [1.0, 0.3, -6.1e100])
def test_a_layer_of_equal_elements_has_variance_zero(shape: tuple[int, int], value: float) -> None:
    found = log10_of(np.full(shape, value))
    assert found["variance"] == -np.inf
    expected = 2 * np.log10(abs(value))  # a mean is rounded once for each element at most
    tolerance = (2 * shape[0] * shape[1] + 4) * EPS * max(1, abs(expected))
    assert abs(found["second_moment"] - expected) < tolerance


@pytest.mark.parametrize("shapes", [((4, 3), (5, 3)), ((1, 3), (5, 3)), ((4, 1), (5, 1))])
def test_outer_moments_are_of_products(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.standard_normal(shape) + 0.5 for shape in shapes)
    layers = [unit_moments(scaled(z[np.newaxis])) for z in (a, b)]
    found = log10_moments(outer_moments(*layers))
    products = np.einsum("in,jn->ijn", a, b)
    for statistic, expected in slow_moments(products).items():
        np.testing.assert_allclose(10 ** found[statistic][0], expected, rtol=1e-13, atol=0)


def test_one_scalar_weight_has_a_gradient_of_variance_zero() -> None:
    layers = [unit_moments(scaled(np.array([[[v]]]))) for v in (0.3, 0.7)]
    assert log10_moments(outer_moments(*layers))["variance"][0] == -np.inf


def test_log10_has_the_same_bits_however_mantissa_and_exponent_share_the_magnitude() -> None:
    z = np.random.default_rng(3).standard_normal((1, 6, 5))
    expected = log10_moments(unit_moments(Scaled(z, np.array([40]))))
    shifted = log10_moments(unit_moments(Scaled(np.ldexp(z, 50), np.array([-10]))))
    for statistic, values in expected.items():
        assert np.array_equal(shifted[statistic], values)


def test_moments_of_a_network_do_not_depend_on_the_others_in_the_stack() -> None:
    rng = np.random.default_rng(4)
    usual = rng.standard_normal((6, 5))
    cancelling = 1e-9 * (1 + 1e-6 * rng.standard_normal((6, 5)))
    both = unit_moments(scaled(np.stack([usual, cancelling])))
    for i, z in enumerate((usual, cancelling)):
        alone = unit_moments(scaled(z[np.newaxis]))
        # at most three of the 16 digits cancel
        np.testing.assert_allclose(both.variance[i], alone.variance[0], rtol=1e-12, atol=0)
        np.testing.assert_allclose(both.variance[i], z.var(axis=0), rtol=1e-9, atol=0)


def slow_between(z: np.ndarray) -> float:
    """Half the mean square difference of all ordered pairs of inputs, unit by unit."""
    n_units, n_inputs = z.shape
    total = 0.0
    for row in z:
        total += sum(float(a - b) ** 2 for a in row for b in row) / 2
    mean: float = total / n_inputs**2 / n_units
    return mean


BETWEEN: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "usual": lambda rng: rng.standard_normal((6, 5)),
    "rectified": lambda rng: np.maximum(rng.standard_normal((6, 5)), 0),
    "two inputs": lambda rng: rng.standard_normal((6, 2)),
    "one unit": lambda rng: rng.standard_normal((1, 5)),
    "inputs alike": lambda rng: rng.standard_normal((6, 1)) + 1e-2 * rng.standard_normal((6, 5)),
    "hardly apart": lambda rng: rng.standard_normal((6, 1)) + 1e-9 * rng.standard_normal((6, 5)),
    "by the last digit": lambda rng: 1 + EPS * rng.integers(0, 2, (60, 50)),
    "but for the first": lambda rng: np.where(np.arange(5) == 0, 1.001, 1.0) * np.ones((6, 1)),
}


def between(z: np.ndarray) -> float:
    layer = scaled(z[np.newaxis])
    (variance,) = between_inputs(layer, unit_moments(layer))
    return float(np.ldexp(variance, 2 * layer.exponent[0]))


@pytest.mark.parametrize("case", BETWEEN)
@pytest.mark.parametrize("exponent", [-90, 0, 90])
def test_variances_between_inputs_keep_their_digits(case: str, exponent: int) -> None:
    z = BETWEEN[case](np.random.default_rng(6))
    expected = slow_between(z)
    assert expected > 0
    found = between(np.ldexp(z, exponent)) / 4.0**exponent
    # Three of 16 digits cancel at most, and those that the inputs number.
    np.testing.assert_allclose(found, expected, rtol=1e3 * 8 * EPS, atol=0)
    second, common = np.mean(z**2), np.mean(np.mean(z, axis=1) ** 2)
    if case in ("hardly apart", "by the last digit"):  # planted: the difference of two averages
        assert abs(second - common - expected) > 1e-3 * expected


def test_equal_inputs_have_no_variance_between_them_and_one_input_has_none_to_speak_of() -> None:
    row = np.random.default_rng(7).standard_normal((49, 1))
    for n_inputs in (2, 3, 49, 100):
        assert between(np.repeat(row, n_inputs, axis=1)) == 0
    assert between(np.zeros((3, 2))) == 0
    assert np.isnan(between(row))


def test_variances_between_inputs_do_not_depend_on_other_networks_nor_on_lost_ones() -> None:
    rng = np.random.default_rng(8)
    usual, alike = rng.standard_normal((6, 5)), 1 + 1e-9 * rng.standard_normal((6, 5))
    lost = np.full((6, 5), np.nan)
    stack = Scaled(np.stack([usual, alike, lost]), np.zeros(3, np.int64))
    found = between_inputs(stack, unit_moments(stack))
    assert np.isnan(found[2])
    for i, z in enumerate((usual, alike)):
        one = Scaled(z[np.newaxis], np.zeros(1, np.int64))
        # sums of 30 numbers, maybe in another order
        np.testing.assert_allclose(
            found[i], between_inputs(one, unit_moments(one))[0], rtol=1e3 * 30 * EPS, atol=0
        )


@pytest.mark.parametrize("power", [-480, -200, 0, 200, 480])
def test_squares_of_floats_leave_room_for_products_of_unlike_inputs(power: int) -> None:
    """An input 2^100 smaller than the others: its ∂ℓ/∂Ω has 2^-400 of their second moment."""
    z = np.random.default_rng(3).standard_normal((1, 1, 6, 4))
    expected = log10_moments(outer_moments(unit_moments(scaled(z)), unit_moments(scaled(z))))
    z[..., 0] *= 2.0**-100
    layer, units = squarable(Scaled(np.ldexp(z, power), np.zeros((1, 1), np.int64)), plain=True)
    assert np.array_equal(np.ldexp(layer.mantissa, layer.exponent[..., None, None] - power), z)
    found = log10_moments(outer_moments(units, units))
    shift = 4 * (power - 100) * np.log10(2.0)
    np.testing.assert_allclose(found[INPUT_0], expected[INPUT_0] + shift, rtol=1e-13, atol=0)
