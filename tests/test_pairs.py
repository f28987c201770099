import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.pairs import pair_average

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
