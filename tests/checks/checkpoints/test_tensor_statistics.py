"""Statistics of a tensor that is read in pieces, against those of the whole array."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from heinit_sim.checks.checkpoints.tensor_statistics import SAMPLE, statistics
from heinit_sim.experiment.tensors import Tensor
from heinit_sim.numerics import FloatArray


def in_pieces(array: FloatArray, length: int) -> Tensor:
    def pieces(unit: int) -> Iterator[FloatArray]:
        step = max(length // unit, 1) * unit
        for start in range(0, array.size, step):
            yield array.ravel()[start : start + step]

    return Tensor("w", array.shape, "float64", "real", pieces)


@pytest.mark.parametrize("length", [1, 7, 10**6])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1e3, 1e-3), (0.0, 1e-70), (3.0, 1e80)])
def test_moments_are_those_of_the_array(mean: float, std: float, length: int) -> None:
    z = np.random.default_rng(1).gamma(2.0, size=(20, 30))
    z[0, 0] = 0.0
    found = statistics(in_pieces(mean + std * z, length))
    # of z itself, where mean and std lose no digits
    assert found.mean == pytest.approx(mean + std * z.mean(), rel=1e-12)
    assert found.variance / std / std == pytest.approx(z.var(), rel=1e-8)
    central = z - z.mean()
    kurtosis = np.mean(central**4) / np.mean(central**2) ** 2 - 3
    assert found.excess_kurtosis == pytest.approx(kurtosis, rel=1e-6)
    assert found.second_moment == pytest.approx(found.mean**2 + found.variance, rel=1e-12)
    assert (found.n, found.n_not_finite) == (600, 0)
    assert found.n_zeros == (mean == 0)
    assert found.largest_size == pytest.approx(mean + std * z.max(), rel=1e-12)
    assert found.sample.size == 600
    assert (np.diff(found.sample) >= 0).all()


def test_first_pieces_that_do_not_vary_are_no_scale() -> None:
    array = np.concatenate([np.full(30, 2.0), np.random.default_rng(2).standard_normal(70)])
    found = statistics(in_pieces(array, 10))
    assert found.mean == pytest.approx(array.mean(), rel=1e-12)
    assert found.variance == pytest.approx(array.var(), rel=1e-12)


@pytest.mark.parametrize("shape", [(2**10, 2**11), (2**11, 3 * 2**9)])
def test_a_large_tensor_has_a_sample_of_all_columns(shape: tuple[int, int]) -> None:
    columns = np.broadcast_to(np.arange(shape[1], dtype=float), shape)
    found = statistics(in_pieces(columns, 10**5))
    assert SAMPLE / 2 < found.sample.size <= SAMPLE
    counts = np.bincount(found.sample.astype(int), minlength=shape[1])
    assert counts.min() >= counts.max() - 2 > 0


def test_numbers_that_are_not_finite_are_counted_and_have_no_moments() -> None:
    found = statistics(in_pieces(np.array([[1.0, np.nan], [np.inf, 2.0]]), 2), (2, 2))
    assert found.n_not_finite == 2
    assert math.isnan(found.mean)
    assert math.isnan(found.variance)
    assert found.orthogonality is None


def test_numbers_whose_squares_are_beyond_float_range_are_told_without_a_warning() -> None:
    for shape in ((2, 3), (3, 2)):
        found = statistics(in_pieces(np.full(shape, 1e200), 2), shape)
        assert found.n_not_finite == 0
        assert found.mean == pytest.approx(1e200)
        assert found.second_moment == math.inf
        assert found.orthogonality is None


@pytest.mark.parametrize("shape", [(5, 12), (12, 5), (6, 6), (300, 400), (400, 300)])
def test_products_are_those_of_the_fewer_vectors(shape: tuple[int, int]) -> None:
    array = np.random.default_rng(3).standard_normal(shape)
    found = statistics(in_pieces(array, 1000), shape).orthogonality
    vectors = (array if shape[0] <= shape[1] else array.T)[:128]
    gram = vectors @ vectors.T
    gram = gram / (np.trace(gram) / len(gram)) - np.eye(len(gram))
    assert found is not None
    assert found.deviation == pytest.approx(np.abs(gram).max(), rel=1e-9)
    assert (found.n_vectors, found.length) == (len(gram), max(shape))


def test_one_vector_is_orthogonal_to_none() -> None:
    assert statistics(in_pieces(np.ones((1, 5)), 10), (1, 5)).orthogonality is None
    assert statistics(in_pieces(np.zeros((2, 5)), 10), (2, 5)).orthogonality is None
