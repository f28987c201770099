import numpy as np
import pytest

from heinit_sim.numerics.spread import spread

EPS = np.finfo(float).eps


def test_spread_is_that_of_the_plain_numbers() -> None:
    s = np.random.default_rng(0).lognormal(size=(41, 3))
    found = spread(np.log10(s))
    rtol = 1e-12
    np.testing.assert_allclose(10**found.mean, s.mean(axis=0), rtol=rtol, atol=0)
    error = s.std(axis=0, ddof=1) / np.sqrt(41) / s.mean(axis=0) / np.log(10)
    np.testing.assert_allclose(found.se, error, rtol=rtol, atol=0)
    ordered = np.sort(s, axis=0)  # 40 gaps: the 5 %, 50 % and 95 % quantiles are elements
    for name, place in (("p05", 2), ("median", 20), ("p95", 38)):
        np.testing.assert_allclose(10 ** getattr(found, name), ordered[place], rtol=rtol, atol=0)


def test_spread_does_not_overflow() -> None:
    log10_s = np.array([[5000.0], [5000.0 + np.log10(3)]])
    # of 5000 every sum is rounded, the power and the logarithm are of order 1
    np.testing.assert_allclose(spread(log10_s).mean, 5000 + np.log10(2), rtol=2 * EPS, atol=0)


def test_one_network_has_no_standard_error() -> None:
    found = spread(np.array([[0.25]]))
    assert np.isnan(found.se[0])
    assert found.mean[0] == found.median[0] == found.p05[0] == 0.25


@pytest.mark.parametrize(
    ("log10_s", "median"), [([-np.inf] * 3, -np.inf), ([-np.inf, 0, 1], 0), ([-np.inf, 2], -np.inf)]
)
def test_dead_networks_are_minus_infinity_and_none_nan(log10_s: list[float], median: float) -> None:
    found = spread(np.array(log10_s)[:, np.newaxis])
    assert found.median[0] == median
    alive = [10**v for v in log10_s if np.isfinite(v)]
    expected = np.log10(sum(alive) / len(log10_s)) if alive else -np.inf
    # a power, a mean of three, its logarithm and a sum, each of order 1, on both sides
    np.testing.assert_allclose(found.mean[0], expected, rtol=12 * EPS, atol=0)
    assert not np.isnan([found.p05[0], found.p95[0]]).any()
