import numpy as np
import pytest

from heinit_sim.activations import ACTIVATIONS, make_activation

CASES = [("relu", {}), ("leaky_relu", {"negative_slope": 0.2}), ("linear", {})]
POINTS = np.array([-1e300, -2.0, -1e-300, -0.0, 0.0, 1e-300, 0.5, 1e300])


def test_every_activation_is_tested_here() -> None:
    assert {name for name, _ in CASES} == set(ACTIVATIONS)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_value_is_slope_one_above_zero_and_the_negative_slope_below(
    name: str, options: dict[str, float]
) -> None:
    activation = make_activation(name, options)
    alpha = activation.negative_slope
    expected = [z if z > 0 else alpha * z for z in POINTS.tolist()]
    assert activation.value(POINTS, np.empty_like(POINTS)).tolist() == expected


@pytest.mark.parametrize(("name", "options"), CASES)
def test_derivative_is_the_difference_quotient_away_from_the_kink(
    name: str, options: dict[str, float]
) -> None:
    activation = make_activation(name, options)
    z = np.array([-3.0, -0.5, 0.5, 3.0])
    step = 2.0**-20
    up, down = (activation.value(moved, np.empty_like(z)) for moved in (z + step, z - step))
    quotient = (up - down) / (2 * step)
    np.testing.assert_allclose(activation.derivative(z) * 1.0, quotient, rtol=2.0**-30, atol=0)


def test_relu_has_slope_zero_at_zero() -> None:
    assert not make_activation("relu", {}).derivative(np.array([0.0, -0.0])).any()
