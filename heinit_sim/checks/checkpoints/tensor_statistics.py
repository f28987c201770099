"""A tensor's moments, a sample of its numbers, and how orthogonal it is, in one way through it."""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.tensors import Tensor
from heinit_sim.numerics import FloatArray

SAMPLE = 2**18
"""Numbers, evenly spread over the tensor, whose distribution is tested; moments are of all."""
VECTORS = 128
"""Rows or columns that are held against each other at most."""
_LARGEST_ROWS = 2**23  # numbers of these rows that are kept


class TensorStatistics(NamedTuple):
    """Moments, a sample and the orthogonality of a tensor's numbers.

    Moments are NaN where any number is not finite.
    """

    n: int
    n_not_finite: int
    n_zeros: int
    mean: float
    variance: float
    """About the mean, divided by n."""
    second_moment: float
    """About zero."""
    excess_kurtosis: float
    """NaN where nothing varies."""
    smallest: float
    largest: float
    sample: FloatArray
    """Sorted, at most `SAMPLE` of them and a few."""
    orthogonality: "Orthogonality | None"
    """None of a vector, and where squares are zero or beyond float range."""

    @property
    def largest_size(self) -> float:
        """The largest |w|."""
        return max(-self.smallest, self.largest)


class Orthogonality(NamedTuple):
    """How far rows, or columns where these are fewer, are from orthogonal and equally long."""

    deviation: float
    """The largest |G/g² − I|, of their products G and mean squared length g²."""
    n_vectors: int
    length: int
    """Numbers of each."""


def statistics(tensor: Tensor, matrix: tuple[int, int] | None = None) -> TensorStatistics:
    """Take a tensor's statistics, piece by piece.

    Args:
        tensor: Of real numbers, one or more.
        matrix: Rows and columns of the matrix that it is, if it is weights.
    """
    gram = _Gram(*matrix) if matrix and min(matrix) > 1 else None
    pieces = tensor.pieces(gram.unit if gram else 1)
    n_zeros = n_not_finite = 0
    smallest, largest = math.inf, -math.inf
    powers, centre, scale = np.zeros(5), 0.0, 0.0
    step = _step(tensor.size, tensor.shape[-1] if tensor.shape else 1)
    sample, start = [], 0
    with np.errstate(over="ignore", invalid="ignore"):
        for piece in pieces:
            n_zeros += piece.size - int(np.count_nonzero(piece))
            n_not_finite += piece.size - int(np.count_nonzero(np.isfinite(piece)))
            smallest, largest = min(smallest, piece.min()), max(largest, piece.max())
            if not start:  # near the mean, so that powers lose no digits
                centre = float(piece.mean())
            if not scale:  # as long as all are at the centre
                scale = float(np.abs(piece - centre).max())
            powers += _powers(piece, centre, scale)
            sample.append(piece[-start % step :: step].copy())
            start += piece.size
            if gram is not None:
                gram.add(piece)
        moments = _moments(powers / tensor.size, centre, scale)
    if n_not_finite:
        moments, sample, gram = (math.nan,) * 4, [], None
    return TensorStatistics(
        tensor.size,
        n_not_finite,
        n_zeros,
        *moments,
        float(smallest),
        float(largest),
        np.sort(np.concatenate([np.empty(0), *sample])),
        gram.orthogonality() if gram else None,
    )


def _step(n: int, row: int) -> int:
    """Every how manieth number is in the sample: none of the divisors of a row, to see columns."""
    step = max(1, math.ceil(n / SAMPLE))
    while step > 1 and math.gcd(step, row) > 1:
        step += 1
    return step


def _powers(piece: FloatArray, centre: float, scale: float) -> FloatArray:
    """Sums of the powers 0 … 4 of (w − centre)/scale."""
    z = (piece - centre) / (scale or 1.0)
    square = z * z
    return np.array([z.size, z.sum(), square.sum(), np.vdot(square, z), np.vdot(square, square)])


def _moments(means: FloatArray, centre: float, scale: float) -> tuple[float, float, float, float]:
    """Mean, variance, second moment and excess kurtosis, of means of powers about a centre."""
    _, m, m2, m3, m4 = means.tolist()
    mean, variance = centre + m * scale, max(m2 - m * m, 0.0)
    fourth = m4 - 4 * m * m3 + 6 * m * m * m2 - 3 * m**4
    kurtosis = fourth / variance**2 - 3 if variance > 0 else math.nan
    variance *= scale * scale  # `**` would raise an error beyond float range
    return mean, variance, mean * mean + variance, kurtosis


class _Gram:
    """Products of the first rows of a wide matrix, or of the first columns of a tall one."""

    def __init__(self, rows: int, columns: int) -> None:
        self._wide = rows <= columns
        self._columns = columns
        self._length = max(rows, columns)
        self._n = min(rows, columns, VECTORS, max(_LARGEST_ROWS // self._length, 2))
        self._products = np.zeros((self._n, self._n))
        self._rows: list[FloatArray] = []
        self._missing = self._n * columns if self._wide else 0

    @property
    def unit(self) -> int:
        """A multiple of this is how many numbers each piece must have."""
        return 1 if self._wide else self._columns

    def add(self, piece: FloatArray) -> None:
        if self._wide:
            self._rows.append(piece[: self._missing].copy())
            self._missing -= self._rows[-1].size
        else:
            part = piece.reshape(-1, self._columns)[:, : self._n]
            self._products += part.T @ part

    def orthogonality(self) -> Orthogonality | None:
        products = self._products
        if self._wide:
            rows = np.concatenate(self._rows).reshape(self._n, -1)
            with np.errstate(over="ignore", invalid="ignore"):
                products = rows @ rows.T
        square = np.trace(products) / self._n
        if not 0 < square < math.inf:
            return None
        deviation = np.abs(products / square - np.eye(self._n)).max()
        return Orthogonality(float(deviation), self._n, self._length)
