import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.theory.infinite_width.quadrature import pair_average, smooth_gap

Array = NDArray[np.float64]
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


@pytest.mark.parametrize("q", LENGTHS)
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
