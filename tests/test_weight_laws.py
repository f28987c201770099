"""Weights of variance 1: moments, bounds and whole laws, each with a planted error."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from heinit_sim.initializers import TRUNCATED_STD, Distribution
from heinit_sim.normal import cumulative
from heinit_sim.weight_laws import WEIGHT_LAWS

Array = np.ndarray
INDEPENDENT: tuple[Distribution, ...] = ("normal", "uniform", "truncated_normal")
CUT = 2 / TRUNCATED_STD
EXACT: dict[str, Callable[[Array], Array]] = {
    "normal": cumulative,
    "uniform": lambda z: np.clip(0.5 + z / math.sqrt(12), 0, 1),
    "truncated_normal": lambda z: (
        (cumulative(np.clip(z, -CUT, CUT) * TRUNCATED_STD) - cumulative(np.array(-2.0)))
        / (1 - 2 * cumulative(np.array(-2.0)))
    ),
}
# Fourth moments, of which the error of the variance is made.
FOURTH = {"normal": 3.0, "uniform": 9 / 5, "truncated_normal": 2.4}


def sample(name: Distribution, shape: tuple[int, int] = (400, 500), seed: int = 0) -> Array:
    out = np.empty(shape)
    WEIGHT_LAWS[name](out, np.random.Generator(np.random.SFC64(seed)))
    return out


def kolmogorov(values: Array, law: Callable[[Array], Array]) -> float:
    """√n times the largest distance of the empirical distribution from the law's."""
    ordered = np.sort(values.ravel())
    steps = np.arange(len(ordered) + 1) / len(ordered)
    below = law(ordered)
    distance = max(np.abs(below - steps[1:]).max(), np.abs(below - steps[:-1]).max())
    return float(distance) * math.sqrt(len(ordered))


# P(√n D > 2.5) = 2 exp(−2 · 2.5²) = 7e-6 (Kolmogorov's law).
BOUND = 2.5


@pytest.mark.parametrize("name", INDEPENDENT)
def test_the_whole_law_is_the_exact_one(name: Distribution) -> None:
    values = sample(name)
    assert kolmogorov(values, EXACT[name]) < BOUND
    for twin in (1.03 * values, values + 0.02):  # a scale and a mean slightly off are found
        assert kolmogorov(twin, EXACT[name]) > BOUND
    for other in set(INDEPENDENT) - {name}:
        assert kolmogorov(values, EXACT[other]) > BOUND


@pytest.mark.parametrize("name", INDEPENDENT)
def test_mean_is_zero_and_variance_one(name: Distribution) -> None:
    values = sample(name, (1000, 1000))
    assert abs(values.mean()) < 5e-3
    assert abs((values**2).mean() - 1) < 5 * math.sqrt((FOURTH[name] - 1) / values.size)


def test_bounds() -> None:
    assert np.abs(sample("uniform")).max() <= math.sqrt(3)
    assert np.abs(sample("truncated_normal")).max() <= CUT
    assert np.abs(sample("uniform")).max() > 1.73
    assert np.abs(sample("truncated_normal")).max() > 0.999 * CUT
    assert np.array_equal(sample("truncated_normal"), sample("truncated_normal_uncorrected"))


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (50, 30), (1, 7), (7, 1)])
def test_orthogonal_rows_or_columns_whichever_are_fewer(shape: tuple[int, int]) -> None:
    omega = sample("orthogonal", shape)
    fewer, more = sorted(shape)
    gram = omega @ omega.T if shape[0] == fewer else omega.T @ omega
    np.testing.assert_allclose(gram, more * np.eye(fewer), rtol=0, atol=1e-12 * more)
    assert abs((omega**2).mean() - 1) < 1e-13


def test_orthogonal_weights_follow_haar() -> None:
    n, count = 3, 20_000
    found = np.array([sample("orthogonal", (n, n), seed) for seed in range(count)]) / math.sqrt(n)
    # Each entry of a Haar matrix of size 3 is uniform on ±1 (Archimedes), whatever its place, and
    # determinants of both signs are as frequent.
    for i in range(n):
        for j in range(n):
            assert kolmogorov(found[:, i, j], lambda z: (z + 1) / 2) < BOUND
    positive = int((np.linalg.det(found) > 0).sum())
    assert abs(positive - count / 2) < 5 * math.sqrt(count) / 2
    # Without the signs of R the diagonal of LAPACK's q is never positive.
    plain = [np.linalg.qr(g)[0] for g in np.random.default_rng(0).standard_normal((2000, n, n))]
    assert kolmogorov(np.array(plain)[:, 0, 0], lambda z: (z + 1) / 2) > BOUND
