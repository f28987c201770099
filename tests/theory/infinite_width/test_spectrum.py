"""Laws of singular values of wide Jacobians: closed forms, moments, and matrices that are drawn."""

import math
from itertools import pairwise

import numpy as np
import pytest

from heinit_sim.theory.infinite_width.spectrum import log10_singular_values

Array = np.ndarray
N = 200


def predicted(
    n_layers: int, alpha: float = 1.0, n_orthogonal: int = 0, n: int = N, v: float = 1.0
) -> Array:
    slopes = [alpha] * (n_layers - 1)
    return log10_singular_values(n, [v / n] * n_layers, slopes, n_orthogonal)


@pytest.mark.parametrize("n_layers", [1, 2, 5, 30])
def test_linear_layers_have_the_edge_and_the_median_of_fuss_and_catalan(n_layers: int) -> None:
    """x = sin^(L+1)((L+1)φ)/(sin φ sin^L(Lφ)); density sin²φ sin^(L−1)(Lφ)/π/sin^L((L+1)φ)."""
    found, big = predicted(n_layers, n=2000), n_layers
    edge = (big + 1) * math.log10(big + 1) - big * math.log10(big)
    assert found[0] == pytest.approx(edge / 2, abs=1e-5)
    phi = np.linspace(0, math.pi / (big + 1), 400_001)[1:-1]
    ln_x = (big + 1) * np.log(np.sin((big + 1) * phi)) - np.log(np.sin(phi))
    ln_x -= big * np.log(np.sin(big * phi))
    density = np.sin(phi) ** 2 * np.sin(big * phi) ** (big - 1) / np.sin((big + 1) * phi) ** big
    ln_density = np.log(density / math.pi) + ln_x
    mass = np.exp(ln_density)
    shares = np.cumsum((mass[1:] + mass[:-1]) / 2 * -np.diff(ln_x))
    for share in (0.1, 0.5, 0.8):
        expected = np.interp(share, shares, ln_x[1:]) / 2 / math.log(10)
        assert found[int(share * 2000)] == pytest.approx(expected, abs=1e-4 * n_layers)


@pytest.mark.parametrize(
    ("n_layers", "alpha", "orthogonal"),
    [(1, 1.0, 0), (3, 1.0, 0), (3, 0.0, 0), (4, 0.2, 0), (5, 0.0, 5), (6, 0.2, 6), (4, 0.5, 2)],
)
def test_the_mean_square_is_the_product_of_those_of_all_factors(
    n_layers: int, alpha: float, orthogonal: int
) -> None:
    """Means of products of free matrices are products of means."""
    n = 20_000
    squares = 10 ** (2 * predicted(n_layers, alpha, orthogonal, n, 1.5))
    upper = np.append(squares[1:], 0.0)
    p2 = (1 + alpha**2) / 2
    # n pieces of a falling curve, whose middle is the mean of both ends but near the edge.
    mean = (squares + upper).mean() / 2
    assert mean == pytest.approx(1.5**n_layers * p2 ** (n_layers - 1), rel=2e-3)


def test_orthogonal_linear_layers_keep_all_lengths() -> None:
    found = predicted(7, 1.0, 7, v=4.0)
    np.testing.assert_allclose(found, 7 * math.log10(2), rtol=1e-14)
    np.testing.assert_array_equal(predicted(7, -1.0, 7, v=4.0), found)


def test_it_is_not_known_where_some_are_the_largest_there_may_be() -> None:
    assert np.isnan(predicted(2, 0.0, 2)).all()
    assert np.isnan(predicted(3, 0.3, 3)).all()
    assert np.isfinite(predicted(4, 0.3, 4)).all()


def drawn(rng: np.random.Generator, n_layers: int, alpha: float, orthogonal: int) -> Array:
    """log10 of the singular values of one network of N units."""
    h, jacobian = rng.standard_normal(N), np.eye(N)
    for k in range(n_layers):
        omega = rng.standard_normal((N, N)) / math.sqrt(N)
        if k < orthogonal:
            omega = np.linalg.qr(omega)[0]
        h, jacobian = omega @ h, omega @ jacobian
        if k < n_layers - 1:
            slopes = np.where(h > 0, 1.0, alpha)
            h, jacobian = slopes * h, slopes[:, np.newaxis] * jacobian
    values: Array = np.log10(np.linalg.svd(jacobian, compute_uv=False))
    return values


CASES = [(3, 1.0, 0), (5, 0.0, 0), (5, 0.0, 5), (5, 0.3, 0), (6, 0.3, 6), (4, 0.3, 1)]


@pytest.mark.parametrize(("n_layers", "alpha", "orthogonal"), CASES)
def test_networks_that_are_drawn_have_it(n_layers: int, alpha: float, orthogonal: int) -> None:
    rng = np.random.default_rng(1)
    networks = [drawn(rng, n_layers, alpha, orthogonal) for _ in range(6)]
    expected = predicted(n_layers, alpha, orthogonal)
    places = np.array([N // 20, N // 5, 2 * N // 5, 3 * N // 5][: 3 if alpha == 0 else 4])
    seen = np.array([(v[places] + v[places - 1]) / 2 for v in networks])
    error = seen.std(axis=0, ddof=1) / math.sqrt(len(seen))
    # Corrections of rank 1/N, on a curve that falls by its slope: D² has N/2 ± √N/2 ones.
    fall = expected[places - 1] - expected[places + 1]
    allowed = 5 * error + 1.5 * fall
    assert (np.abs(seen.mean(axis=0) - expected[places]) < allowed).all()
    # a twin of four more layers, of the same mean square
    other = predicted(n_layers + 4, alpha, orthogonal + 4 * (orthogonal > 0))
    other = other - 2 * math.log10((1 + alpha**2) / 2)
    assert (np.abs(seen.mean(axis=0) - other[places]) > allowed).any()


def test_it_falls() -> None:
    for case in CASES:
        found = predicted(*case)
        assert all(b <= a for a, b in pairwise(found))
