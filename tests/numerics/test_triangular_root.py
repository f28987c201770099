"""H = Q R against its own definition, where columns are independent, nearly alike, or repeated."""

import numpy as np
import pytest

from heinit_sim.numerics.triangular_root import TriangularRoot, triangular_root

Array = np.ndarray
EPS = np.finfo(float).eps
ROWS, COLUMNS = 30, 5
UNIT = np.random.default_rng(3).standard_normal((2, ROWS, COLUMNS))
ALONG = UNIT[..., :1]


def parts(h: Array) -> tuple[Array, TriangularRoot]:
    """Q with all else."""
    root = triangular_root(h)
    return root.span(h) @ root.inverse, root


@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-6, 1e-9, 1e-12])
def test_columns_nearly_alike_keep_the_digits_of_what_sets_them_apart(gap: float) -> None:
    h = ALONG + gap * UNIT
    q, root = parts(h)
    assert (np.tril(root.root, -1) == 0.0).all()
    # Rounding of h itself moves what is left by EPS / gap of its size.
    near = 64 * COLUMNS * EPS
    assert np.abs(q @ root.root - h).max() < near * np.abs(h).max()
    assert np.abs(q.swapaxes(-1, -2) @ q - np.eye(COLUMNS)).max() < near / gap


def test_factors_are_those_of_householder() -> None:
    r = np.linalg.qr(UNIT).R
    r *= np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., np.newaxis]
    np.testing.assert_allclose(triangular_root(UNIT).root, r, rtol=0, atol=200 * EPS)


@pytest.mark.parametrize("rows", [1, 2, 3, ROWS])
def test_dependent_columns_add_nothing(rows: int) -> None:
    """More columns than rows, repeated ones, multiples, sums, and zeros."""
    h = UNIT[:, :rows].copy()
    h = np.concatenate(
        [h, h[..., :1], -3.0 * h[..., 1:2], h[..., 1:2] + h[..., 2:3], 0.0 * h[..., :1]], axis=-1
    )
    q, root = parts(h)
    rank = min(rows, COLUMNS)
    alive = np.diagonal(root.root, axis1=-2, axis2=-1) > 0
    assert (alive.sum(axis=-1) == rank).all()
    # A column that is left out was within 2^-20 of the others; those here are so to rounding.
    assert np.abs(q @ root.root - h).max() < 1e-12
    inner = q.swapaxes(-1, -2) @ q
    np.testing.assert_allclose(inner, alive[..., np.newaxis] * np.eye(h.shape[-1]), atol=1e-8)
    np.testing.assert_allclose(root.root[..., COLUMNS], root.root[..., 0], rtol=0, atol=1e-13)


@pytest.mark.parametrize("power", [-500, 499])
def test_columns_far_from_1_or_from_each_other_keep_their_digits(power: int) -> None:
    scales = np.ldexp(np.ones(COLUMNS), [0, power, 0, power, -power // 2])
    np.testing.assert_array_equal(
        triangular_root(UNIT * scales).root, triangular_root(UNIT).root * scales
    )


def test_a_matrix_has_no_part_in_the_result_of_another() -> None:
    """One that needs nothing, one of nearly equal columns, one of small numbers, one of NaN."""
    near, small = ALONG[0] + 1e-9 * UNIT[0], 1e-300 * UNIT[1]
    stack = np.array([UNIT[0], near, small, np.full((ROWS, COLUMNS), np.nan)])
    together = triangular_root(stack)
    for n, h in enumerate(stack):
        alone = triangular_root(h)
        np.testing.assert_array_equal(together.root[n], alone.root)
        q = together.span(stack) @ together.inverse
        np.testing.assert_array_equal(q[n], alone.span(h) @ alone.inverse)
    assert np.isnan(together.root[3][np.triu_indices(COLUMNS)]).all()


def test_factors_of_fewer_columns_come_first() -> None:
    few, all_ = triangular_root(UNIT[..., :2]).root, triangular_root(UNIT).root
    np.testing.assert_allclose(all_[..., :2, :2], few, rtol=0, atol=100 * EPS)
