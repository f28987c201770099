import math

import numpy as np

from heinit_sim.numerics.special_functions import cumulative, density, erf

EPS = np.finfo(float).eps


def test_erf_is_the_one_of_the_c_library_to_a_few_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-6, 6, 4001), 10.0 ** np.linspace(-300, 300, 601)])
    expected = np.array([math.erf(v) for v in x.tolist()])
    np.testing.assert_allclose(erf(x), expected, rtol=8 * EPS, atol=0)


def test_cumulative_keeps_its_digits_in_both_tails() -> None:
    z = np.linspace(-37, 37, 4001)
    expected = [0.5 * math.erfc(-v / math.sqrt(2)) for v in z.tolist()]
    # The exponent z²/2 carries a relative rounding of EPS/2, so the value one of z² EPS/4 and a
    # few units besides.
    error = np.abs(cumulative(z) / expected - 1)
    assert (error < (16 + z**2) * EPS).all()


def test_density_is_the_derivative_of_cumulative() -> None:
    z, step = np.linspace(-6, 6, 25), 2.0**-12
    quotient = (cumulative(z + step) - cumulative(z - step)) / (2 * step)
    # The error of the quotient is φ''(z) step²/6, and |φ''| ≤ φ(0); rounding is EPS / step.
    assert np.abs(quotient - density(z)).max() < 0.4 * step**2 / 6 + 2 * EPS / step


def test_ends_are_flat() -> None:
    ends = np.array([-np.inf, -1e308, -0.0, 0.0, 1e308, np.inf])
    assert erf(ends).tolist() == [-1, -1, 0, 0, 1, 1]
    assert math.copysign(1, erf(ends)[2]) == -1
    assert cumulative(ends).tolist() == [0, 0, 0.5, 0.5, 1, 1]
