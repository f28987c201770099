"""Arrays carried as mantissa × 2^exponent: what keeps depth from overflowing.

Powers of two commute with sums, products and positively homogeneous activations, so a scaled
computation has the bits of the direct one wherever the direct one stays within float range.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Exponents = NDArray[np.int64]

# A mantissa is brought back to about 1 once its norm leaves this range. Its square and the product
# of two squares then stay far inside float64, whose exponents end at ±1022.
_SMALLEST_SQUARED_NORM = 2.0**-256
_LARGEST_SQUARED_NORM = 2.0**256


class Scaled(NamedTuple):
    """A stack of matrices mantissa × 2^exponent; the elements of one matrix share an exponent."""

    mantissa: NDArray[np.float64]
    """(..., rows, columns)."""
    exponent: Exponents
    """(...), one per matrix."""


def scaled(array: NDArray[np.float64]) -> Scaled:
    """The array itself, as a copy well inside float range."""
    mantissa = array.copy()
    return Scaled(mantissa, _settle(mantissa, np.zeros(array.shape[:-2], np.int64)))


def rescaled(array: Scaled) -> Scaled:
    """A copy in which every matrix has an exponent of its own.

    Its columns share it: one that is smaller than another by 1e154 loses its squares.
    """
    own = scaled(array.mantissa)
    return Scaled(own.mantissa, own.exponent + array.exponent)


def product(
    factor: float,
    matrix: NDArray[np.float64],
    array: Scaled,
    out: NDArray[np.float64],
    *,
    settle: bool = True,
) -> Scaled:
    """The product factor · matrix @ array, its mantissa in `out`.

    A power of two as factor costs nothing. Without `settle` the mantissa is left as it comes,
    which the range above bears a few times: the norm of a matrix of standard-normal numbers is
    about √rows + √columns.
    """
    np.matmul(matrix, array.mantissa, out=out)
    fraction, shift = math.frexp(factor)
    if fraction == 0.5:
        shift -= 1
    else:
        out *= fraction
    exponent = array.exponent + shift
    return Scaled(out, _settle(out, exponent) if settle else exponent)


def minus(array: Scaled, number: float) -> Scaled:
    """Subtract a number: each side to all its digits, however far apart their magnitudes."""
    if number == 0.0:
        return array
    common = np.maximum(array.exponent, math.frexp(number)[1])
    shift = (array.exponent - common)[..., np.newaxis, np.newaxis]
    mantissa = np.ldexp(array.mantissa, shift)
    return Scaled(mantissa - np.ldexp(number, -common)[..., np.newaxis, np.newaxis], common)


def _settle(mantissa: NDArray[np.float64], exponent: Exponents) -> Exponents:
    """Bring a mantissa back into range, in place; return the exponent that it then has."""
    flat = mantissa.reshape(*exponent.shape, -1)
    squared_norm = np.vecdot(flat, flat)
    usual = (squared_norm > _SMALLEST_SQUARED_NORM) & (squared_norm < _LARGEST_SQUARED_NORM)
    if usual.all():
        return exponent
    usual |= np.isnan(squared_norm)  # what is lost stays lost
    shift = np.where(usual, 0, np.frexp(np.abs(flat).max(axis=-1))[1])
    np.ldexp(mantissa, -shift[..., np.newaxis, np.newaxis], out=mantissa)
    return exponent + shift
