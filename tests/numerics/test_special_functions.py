import math

import numpy as np

from heinit_sim.numerics.special_functions import cumulative, cumulative_and_density, erf

EPS = np.finfo(float).eps


def density(z: np.ndarray) -> np.ndarray:
    return cumulative_and_density(z)[1]


def test_erf_is_the_one_of_the_c_library_to_a_few_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-6, 6, 4001), 10.0 ** np.linspace(-300, 300, 601)])
    expected = np.array([math.erf(v) for v in x.tolist()])
    # One unit in the last place for each of: argument, series, product, and the C library's own.
    np.testing.assert_allclose(erf(x), expected, rtol=4 * EPS, atol=0)
    assert np.array_equal(erf(-x), -erf(x))


def test_cumulative_keeps_its_digits_in_both_tails() -> None:
    z = np.linspace(-37, 37, 4001)
    expected = [0.5 * math.erfc(-v / math.sqrt(2)) for v in z.tolist()]
    # The exponent z²/2 carries a relative rounding of EPS/2, so the value one of z² EPS/4; besides,
    # a unit in the last place for each of: series, exponential, quotient, the C library's own.
    error = np.abs(cumulative(z) / expected - 1)
    assert (error < (4 + z**2 / 2) * EPS).all()


def test_density_is_the_derivative_of_cumulative() -> None:
    z, step = np.linspace(-6, 6, 25), 2.0**-12
    quotient = (cumulative(z + step) - cumulative(z - step)) / (2 * step)
    # The error of the quotient is φ''(z) step²/6, and |φ''| ≤ φ(0); rounding is EPS / step.
    assert np.abs(quotient - density(z)).max() < 0.4 * step**2 / 6 + 2 * EPS / step


def test_ends_and_middle_are_exact() -> None:
    # by construction: exp(−x²) is 0 at the ends, and the series of erfc is taken times 0 at 0
    ends = np.array([-np.inf, -1e308, -0.0, 0.0, 1e308, np.inf])
    assert erf(ends).tolist() == [-1, -1, 0, 0, 1, 1]
    assert math.copysign(1, erf(ends)[2]) == -1
    assert cumulative(ends).tolist() == [0, 0, 0.5, 0.5, 1, 1]
    assert density(ends)[[0, 1, 4, 5]].tolist() == [0] * 4
    for function in (erf, cumulative, density):
        assert np.isnan(function(np.array([np.nan])))
