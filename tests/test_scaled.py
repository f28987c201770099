import numpy as np
import pytest

from heinit_sim.scaled import Scaled, minus, rescaled, times


def value(array: Scaled) -> np.ndarray:
    return np.ldexp(array.mantissa, array.exponent[..., np.newaxis, np.newaxis])


@pytest.mark.parametrize("magnitude", [1e-300, 1e-60, 1.0, 1e60, 1e300])
def test_rescaling_changes_no_bit_of_the_numbers(magnitude: float) -> None:
    z = np.random.default_rng(0).standard_normal((3, 4, 5)) * magnitude
    scaled = rescaled(z)
    assert np.array_equal(value(scaled), z)
    assert 2.0**-130 < np.abs(scaled.mantissa).max() < 2.0**130


def test_each_matrix_of_a_stack_has_its_own_exponent_and_zero_stays_zero() -> None:
    z = np.stack([np.full((2, 2), 1e200), np.zeros((2, 2)), np.ones((2, 2))])
    scaled = rescaled(z)
    assert np.array_equal(value(scaled), z)
    assert scaled.exponent[0] > 600
    assert scaled.exponent[2] == 0


@pytest.mark.parametrize("factor", [2.0**-40, 0.3, 1.0, 7.0, 1e150])
def test_times_has_the_bits_of_plain_multiplication(factor: float) -> None:
    z = np.random.default_rng(1).standard_normal((2, 3))
    assert np.array_equal(value(times(rescaled(z), factor)), z * factor)


def test_a_power_of_two_is_multiplied_without_touching_the_array() -> None:
    array = rescaled(np.ones((2, 2)))
    assert times(array, 0.25).mantissa is array.mantissa


@pytest.mark.parametrize("number", [0.0, 1e-200, -3.0, 1e200])
@pytest.mark.parametrize("magnitude", [1e-200, 1.0, 1e200])
def test_minus_has_the_bits_of_plain_subtraction(number: float, magnitude: float) -> None:
    z = np.random.default_rng(2).standard_normal((2, 3)) * magnitude
    assert np.array_equal(value(minus(rescaled(z), number)), z - number)


def test_minus_far_outside_float_range_keeps_the_larger_side() -> None:
    huge = Scaled(np.ones((1, 1)), np.array(5000))
    tiny = Scaled(np.ones((1, 1)), np.array(-5000))
    assert minus(huge, 3.0).mantissa[0, 0] * 2.0 ** float(minus(huge, 3.0).exponent - 5000) == 1.0
    assert value(minus(tiny, 3.0))[0, 0] == -3.0
