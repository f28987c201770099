"""Weights of variance 1: moments, bounds and whole laws, each with a planted error."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.initializers import (
    TRUNCATED_STD,
    Distribution,
    truncated_std,
    weight_variance,
)
from heinit_sim.numerics.special_functions import cumulative
from heinit_sim.sampling.streams import DrawnWeights
from heinit_sim.sampling.weights import WEIGHT_LAWS, weight_law
from heinit_sim.simulation.plan import draws_of

Array = np.ndarray
EPS = np.finfo(float).eps
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
KEPT = 4 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))  # 4 φ(2)/P(|z| < 2)
FOURTH = {
    "normal": 3.0,
    "uniform": 9 / 5,
    "truncated_normal": (3 * (1 - KEPT) - 4 * KEPT) / (1 - KEPT) ** 2,  # by parts, twice
}


@pytest.mark.parametrize("cut", [0.5, 1.0, 3.0, 100.0])
def test_a_truncated_normal_may_be_cut_elsewhere(cut: float) -> None:
    z = (np.arange(200_000) + 0.5) / 200_000 * min(cut, 40.0)  # the midpoint rule on one half
    density = np.exp(-(z**2) / 2)
    std = math.sqrt(float((z**2 @ density) / density.sum()))
    assert math.isclose(truncated_std(cut), std, rel_tol=1e-8)
    out = np.empty((400, 500))
    weight_law("truncated_normal", cut)(out, np.random.Generator(np.random.SFC64(3)))
    assert np.abs(out).max() <= cut / std * (1 + 1e-8)
    assert np.abs(out).max() > 0.99 * min(cut, 4.0) / std
    error = math.sqrt(float((out**4).mean()) - 1) / math.sqrt(out.size)
    assert abs((out**2).mean() - 1) < 4 * error
    other = truncated_std(1.1 * cut) / std
    assert cut > 3 or abs((out / other**2).var() - 1) > 4 * error  # a wrong width is seen


def test_the_usual_cut_changes_no_draw() -> None:
    drawn = np.empty((30, 40))
    weight_law("truncated_normal", 2.0)(drawn, np.random.Generator(np.random.SFC64(0)))
    assert np.array_equal(drawn, sample("truncated_normal", (30, 40)))
    density, mass = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    assert math.isclose(truncated_std(2.0), math.sqrt(1 - 4 * density / mass), rel_tol=1e-15)


def sample(name: Distribution, shape: tuple[int, ...] = (400, 500), seed: int = 0) -> Array:
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


def tail(distance: float) -> float:
    """P(√n D > distance) of the right law: Kolmogorov's, 2 Σ (−1)^(j−1) exp(−2 j² distance²)."""
    terms = ((-1) ** (j - 1) * math.exp(-2 * (j * distance) ** 2) for j in range(1, 20))
    return 2 * math.fsum(terms)


BOUND = 2.5
assert tail(BOUND) < 1e-5


@pytest.mark.parametrize("name", INDEPENDENT)
def test_the_whole_law_is_the_exact_one(name: Distribution) -> None:
    values = sample(name)
    assert kolmogorov(values, EXACT[name]) < BOUND
    for twin in (1.03 * values, values + 0.02):  # a scale and a mean slightly off are found
        assert kolmogorov(twin, EXACT[name]) > BOUND
    for other in set(INDEPENDENT) - {name}:
        assert kolmogorov(values, EXACT[other]) > BOUND


@cache
def many(name: Distribution) -> Array:
    return sample(name, (600, 700))


@pytest.mark.parametrize("name", INDEPENDENT)
def test_mean_is_zero_and_variance_one(name: Distribution) -> None:
    values = many(name)
    fourth = FOURTH[name]

    def scores(z: Array) -> tuple[float, ...]:
        """z of the first, second and fourth moment; errors from the law's, of the last its own."""
        root = math.sqrt(z.size)
        return (
            abs(z.mean()) * root,
            abs((z**2).mean() - 1) * root / math.sqrt(fourth - 1),
            abs((z**4).mean() - fourth) * root / (z**4).std(),
        )

    assert max(scores(values)) < 5
    assert scores(values + 0.01)[0] > 5
    assert scores(1.01 * values)[1] > 5
    for other in set(INDEPENDENT) - {name}:
        assert scores(many(other))[2] > 5


@pytest.mark.parametrize(("name", "bound"), [("uniform", math.sqrt(3)), ("truncated_normal", CUT)])
def test_bounds(name: Distribution, bound: float) -> None:
    def within(values: Array) -> bool:
        return bool(0.999 * bound < np.abs(values).max() <= bound)

    assert within(sample(name))
    assert not within(1.002 * sample(name))
    assert not within(0.998 * sample(name))
    assert not within(sample("normal"))


def test_an_uncorrected_truncation_is_the_same_before_it_is_scaled() -> None:
    assert np.array_equal(sample("truncated_normal"), sample("truncated_normal_uncorrected"))


@pytest.mark.parametrize("shape", [(40, 40), (30, 50), (50, 30), (1, 7), (7, 1)])
def test_orthogonal_rows_or_columns_whichever_are_fewer(shape: tuple[int, int]) -> None:
    fewer, more = sorted(shape)

    def is_orthogonal(omega: Array) -> bool:
        gram = omega @ omega.T if shape[0] == fewer else omega.T @ omega
        return bool((np.abs(gram - more * np.eye(fewer)) < 1e-12 * more).all())

    omega = sample("orthogonal", shape)
    assert is_orthogonal(omega)
    assert abs((omega**2).mean() - 1) < 1e-13
    turned = omega.copy()
    turned[0, 0] += 1e-6
    assert not is_orthogonal(turned)
    assert not is_orthogonal(sample("normal", shape))


def orthogonal_gap(omega: Array) -> float:
    """How far the rows or columns, whichever are fewer, are from an orthogonal set of one norm."""
    fewer, more = sorted(omega.shape)
    gram = omega @ omega.T if omega.shape[0] == fewer else omega.T @ omega
    gap: float = np.abs(gram - np.trace(gram) / fewer * np.eye(fewer)).max() / more
    return gap


@pytest.mark.parametrize("shape", [(12, 9, 4), (50, 9, 4), (36, 9, 4), (3, 5, 1)])
def test_orthogonal_kernels_are_one_matrix_with_a_row_for_each_output(
    shape: tuple[int, int, int],
) -> None:
    kernels = sample("orthogonal", shape)
    assert abs((kernels**2).mean() - 1) < 1e-13
    assert orthogonal_gap(kernels.reshape(shape[0], -1)) < 1e-12
    kernels[0, 0, 0] += 1e-6
    assert orthogonal_gap(kernels.reshape(shape[0], -1)) > 1e-12


KERNELS: tuple[Distribution, ...] = ("delta_orthogonal", "orthogonal")


def convolved(kernels: Array, image: Array, size: int) -> Array:
    """Σ over taps and channels, with the opposite edge beyond the edge, position by position."""
    c_out, taps, _ = kernels.shape
    k = math.isqrt(taps)
    out = np.zeros((size, size, c_out))
    for i in range(size):
        for j in range(size):
            for tap in range(taps):
                down, right = tap // k - k // 2, tap % k - k // 2
                seen = image[(i + down) % size, (j + right) % size]
                out[i, j] += kernels[:, tap] @ seen
    return out


@pytest.mark.parametrize("shape", [(8, 9, 8), (12, 9, 5), (5, 9, 12), (6, 25, 6)])
def test_delta_orthogonal_kernels_have_orthogonal_centres(shape: tuple[int, int, int]) -> None:
    c_out, taps, c_in = shape
    kernels = sample("delta_orthogonal", shape)
    assert abs((kernels**2).mean() - 1) < 1e-13
    centre = kernels[:, (taps - 1) // 2]
    assert orthogonal_gap(centre) < 1e-12
    assert np.count_nonzero(kernels) == np.count_nonzero(centre) == c_out * c_in


def test_delta_orthogonal_convolutions_keep_the_norm_of_every_image() -> None:
    """With σ²_Ω = 1/(k² max(c_in, c_out)), as long as there are as many channels behind it."""
    rng = np.random.default_rng(0)
    for c_in, c_out in ((5, 5), (3, 7)):
        image = rng.standard_normal((4, 4, c_in))
        delta, flat = (
            (convolved(kernels, image, 4) ** 2).sum() / (image**2).sum()
            for kernels in (
                math.sqrt(weight_variance(1.0, "fan_in", 9 * c_in, 9 * c_out, name, 9))
                * sample(name, (c_out, 9, c_in))
                for name in KERNELS
            )
        )
        assert abs(delta - 1) < 1e-12
        assert abs(flat - 1) > 1e-3  # orthogonal matrices alone do not


def test_a_fully_connected_layer_has_one_tap_and_is_plainly_orthogonal() -> None:
    plain = sample("orthogonal", (30, 50))
    for single in (sample("delta_orthogonal", (30, 50)), sample("delta_orthogonal", (30, 1, 50))):
        # a QR decomposition is good to its size in roundings of the largest entry
        np.testing.assert_allclose(single.reshape(30, 50), plain, rtol=0, atol=50 * EPS * 50**0.5)


@pytest.mark.parametrize(
    ("init", "half"),
    [
        ("{scheme: torch_linear_default}", 1 / math.sqrt(50)),  # nn.Linear: U(±1/√fan_in)
        ("{scheme: xavier_uniform}", math.sqrt(6 / (50 + 30))),  # Glorot & Bengio 2010, eq. 16
        ("{scheme: he_uniform}", math.sqrt(6 / 50)),
        ("{scheme: xavier_uniform, gain: 2}", 2 * math.sqrt(6 / (50 + 30))),
        ("{variance: 0.03, distribution: uniform}", 0.3),
    ],
)
def test_uniform_weights_of_a_config_lie_where_papers_say(init: str, half: float) -> None:
    network = "network: {depth: 1, width: 30, input_dim: 50}"
    (condition,) = parse_config(f"name: a\n{network}\ninit: {init}\n").conditions
    draws = draws_of(condition)
    omega = math.sqrt(condition.weight_variances[0]) * DrawnWeights(0, draws, range(100))[0]
    assert kolmogorov(omega, lambda z: np.clip((z + half) / (2 * half), 0, 1)) < BOUND
    twin = 1.03 * half
    assert kolmogorov(omega, lambda z: np.clip((z + twin) / (2 * twin), 0, 1)) > BOUND


@pytest.mark.slow
def test_orthogonal_weights_follow_haar() -> None:
    n, count = 3, 10_000
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
