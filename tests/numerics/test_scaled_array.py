import numpy as np
import pytest

from heinit_sim.numerics.scaled_array import Scaled, minus, plus, scaled, times


def value(array: Scaled) -> np.ndarray:
    return np.ldexp(array.mantissa, array.exponent[..., np.newaxis, np.newaxis])


@pytest.mark.parametrize("magnitude", [1e-150, 1e-60, 1.0, 1e60, 1e150])
def test_scaling_changes_no_bit_of_the_numbers_nor_the_array(magnitude: float) -> None:
    z = np.random.default_rng(0).standard_normal((3, 4, 5)) * magnitude
    before = z.copy()
    array = scaled(z)
    assert np.array_equal(value(array), z)
    assert np.array_equal(z, before)
    assert 2.0**-130 < np.abs(array.mantissa).max() < 2.0**130


def test_each_matrix_of_a_stack_has_its_own_exponent_and_zero_stays_zero() -> None:
    z = np.stack([np.full((2, 2), 1e150), np.zeros((2, 2)), np.ones((2, 2))])
    array = scaled(z)
    assert np.array_equal(value(array), z)
    assert array.exponent[0] > 450
    assert array.exponent[2] == 0


@pytest.mark.parametrize("factor", [0.0, 2.0**-40, 0.3, 1.0, -0.7, 7.0, 1e150])
@pytest.mark.parametrize("settle", [True, False])
@pytest.mark.parametrize("in_place", [True, False])
def test_times_has_the_bits_of_plain_products(factor: float, settle: bool, in_place: bool) -> None:
    z = np.random.default_rng(1).standard_normal((2, 4, 5))
    array = scaled(z)
    out = array.mantissa if in_place else np.empty_like(z)
    found = times(factor, array, out, settle=settle)
    assert found.mantissa is out
    assert np.array_equal(value(found), factor * z)
    assert in_place or np.array_equal(value(array), z)
    assert np.abs(found.mantissa).max() < 2.0**128


@pytest.mark.parametrize("magnitudes", [(1.0, 1.0), (1e140, 1e-3), (1e-140, 1e140), (1e70, 1.0)])
@pytest.mark.parametrize("factor", [0.0, 2.0**-40, 0.3, 1.0, -0.7, 1000.0])
@pytest.mark.parametrize("in_place", [True, False])
def test_plus_has_the_bits_of_the_plain_sum(
    magnitudes: tuple[float, float], factor: float, in_place: bool
) -> None:
    rng = np.random.default_rng(2)
    a, b = (m * rng.standard_normal((2, 4, 5)) for m in magnitudes)
    added = scaled(b)
    out = added.mantissa if in_place else np.empty_like(a)
    found = plus(scaled(a), added, out, factor)
    assert found.mantissa is out
    assert np.array_equal(value(found), a + factor * b)


@pytest.mark.parametrize("gap", [-300, -256, -255, 255, 256, 257, 300])
def test_plus_brings_its_sum_into_range_however_far_apart_the_two(gap: int) -> None:
    a, b = (np.random.default_rng(n).standard_normal((1, 4, 5)) for n in range(2))
    found = plus(Scaled(a, np.array([7])), Scaled(b, np.array([7 + gap])), np.empty_like(a))
    assert np.array_equal(np.ldexp(value(found), -7), a + np.ldexp(b, gap))
    assert 2.0**-256 < (found.mantissa**2).sum() < 2.0**256


def test_plus_far_outside_float_range_keeps_the_larger_side_and_zeros_count_for_nothing() -> None:
    ones, zeros = np.ones((2, 1, 1)), np.zeros((2, 1, 1))
    huge, tiny = (Scaled(ones, np.array([e, e - 1])) for e in (5000, -5000))
    for pair in ((huge, tiny), (tiny, huge)):
        found = plus(*pair, np.empty_like(ones))
        assert (np.ldexp(found.mantissa[:, 0, 0], found.exponent - huge.exponent) == 1.0).all()
    nothing = Scaled(zeros, np.array([9000, 0]))
    for pair in ((nothing, tiny), (tiny, nothing)):
        found = plus(*pair, np.empty_like(ones))
        assert (np.ldexp(found.mantissa[:, 0, 0], found.exponent - tiny.exponent) == 1.0).all()
    found = plus(nothing, Scaled(zeros, np.array([-3, 7])), np.empty_like(ones))
    assert not found.mantissa.any()
    assert (np.abs(found.exponent) < 10_000).all()


@pytest.mark.parametrize("number", [0.0, 1e-140, -3.0, 1e140])
@pytest.mark.parametrize("magnitude", [1e-140, 1.0, 1e140])
def test_minus_has_the_bits_of_plain_subtraction(number: float, magnitude: float) -> None:
    z = np.random.default_rng(2).standard_normal((2, 3)) * magnitude
    assert np.array_equal(value(minus(scaled(z), number)), z - number)


def test_minus_far_outside_float_range_keeps_the_larger_side() -> None:
    huge = Scaled(np.ones((1, 1)), np.array(5000))
    tiny = Scaled(np.ones((1, 1)), np.array(-5000))
    assert minus(huge, 3.0).mantissa[0, 0] * 2.0 ** float(minus(huge, 3.0).exponent - 5000) == 1.0
    assert value(minus(tiny, 3.0))[0, 0] == -3.0


def test_zero_of_any_exponent_takes_nothing_from_what_is_subtracted() -> None:
    zeros = Scaled(np.zeros((2, 1, 1)), np.array([5000, 0]))
    assert value(minus(zeros, 3.0)).ravel().tolist() == [-3.0, -3.0]
