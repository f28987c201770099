"""Arrays carried as mantissa × 2^exponent, which no depth takes out of float range.

Powers of two commute with sums, products and positively homogeneous activations, so a scaled
computation has the bits of the direct one wherever the direct one stays within float range.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.numerics import FloatArray, Mask

Exponents = NDArray[np.int64]
Factor = float | FloatArray
"""A number, or one for each matrix of a stack: an array that broadcasts to its exponents."""

# A mantissa is brought back to about 1 once its norm leaves this range. Its square and the product
# of two squares then stay far inside float64, whose exponents end at ±1022.
_SMALLEST_SQUARED_NORM = 2.0**-256
_LARGEST_SQUARED_NORM = 2.0**256
# Powers of two that may be lost between two arrays: their squares stay inside float64 as they are.
_NEAR = 256
# An exponent that no number has.
_LOWEST = -(2**62)


class Scaled(NamedTuple):
    """A stack of matrices mantissa × 2^exponent; the elements of one matrix share an exponent."""

    mantissa: FloatArray
    """(..., rows, columns)."""
    exponent: Exponents
    """(...), one per matrix."""


def scaled(array: FloatArray) -> Scaled:
    """The array itself, as a copy well inside float range."""
    mantissa = array.copy()
    return Scaled(mantissa, _settle(mantissa, np.zeros(array.shape[:-2], np.int64)))


def rescaled(array: Scaled) -> Scaled:
    """The array, or a copy if it needs one, in which every matrix has an exponent of its own.

    The columns of a matrix share it: one that is smaller than another by 1e154 loses its squares.
    """
    exponent = np.broadcast_to(array.exponent, array.mantissa.shape[:-2])
    if _usual(squared_norms(array.mantissa)).all():
        return Scaled(array.mantissa, exponent)
    mantissa = array.mantissa.copy()
    return Scaled(mantissa, _settle(mantissa, exponent))


def times(factor: Factor, array: Scaled, out: FloatArray, *, settle: bool = True) -> Scaled:
    """The array times a number, the mantissa in `out`, which may be the array's.

    A power of two costs nothing in place. Without `settle` the mantissa is left as it comes, which
    the range above bears a few times: the norm of a matrix of standard-normal numbers is about
    √rows + √columns.
    """
    fraction, shift = _parts(factor)
    if not isinstance(fraction, float):
        np.multiply(array.mantissa, fraction[..., np.newaxis, np.newaxis], out=out)
    elif fraction != 1.0 or out is not array.mantissa:
        np.multiply(array.mantissa, fraction, out=out)
    exponent = array.exponent + shift
    return Scaled(out, _settle(out, exponent) if settle else exponent)


def plus(a: Scaled, b: Scaled, out: FloatArray, factor: float = 1.0) -> Scaled:
    """The sum a + factor · b, in `out`, maybe b itself: each side to all digits the sum has."""
    fraction, shift = _parts(factor)
    gap = b.exponent + shift - a.exponent
    if (np.abs(gap) <= _NEAR).all():
        np.multiply(b.mantissa, np.ldexp(fraction, gap)[..., np.newaxis, np.newaxis], out=out)
        out += a.mantissa
        return Scaled(out, _settle(out, a.exponent))
    b = times(factor, b, out, settle=False)
    exponents = (np.where(np.any(z.mantissa, (-1, -2)), z.exponent, _LOWEST) for z in (a, b))
    common = np.maximum(*exponents)
    common = np.where(common == _LOWEST, a.exponent, common)
    shifts = [(z.exponent - common)[..., np.newaxis, np.newaxis] for z in (a, b)]
    np.add(np.ldexp(a.mantissa, shifts[0]), np.ldexp(b.mantissa, shifts[1]), out=out)
    return Scaled(out, _settle(out, common))


def minus(array: Scaled, number: Factor) -> Scaled:
    """Subtract a number: each side to all its digits, however far apart their magnitudes."""
    if not np.any(number):
        return array
    exponent = np.where(np.any(array.mantissa, (-1, -2)), array.exponent, _LOWEST)
    common = np.maximum(exponent, np.frexp(number)[1])
    shift = (array.exponent - common)[..., np.newaxis, np.newaxis]
    mantissa = np.ldexp(array.mantissa, shift)
    return Scaled(mantissa - np.ldexp(number, -common)[..., np.newaxis, np.newaxis], common)


def _parts(factor: Factor) -> tuple[Factor, int | Exponents]:
    """Fraction and exponent of factor = fraction × 2^exponent, with 1/2 < |fraction| ≤ 1."""
    if not isinstance(factor, float):
        fractions, shifts = np.frexp(factor)
        halves = fractions == 0.5
        return np.where(halves, 1.0, fractions), shifts - halves
    fraction, shift = math.frexp(factor)
    return (1.0, shift - 1) if fraction == 0.5 else (fraction, shift)


def squared_norms(mantissa: FloatArray) -> FloatArray:
    """Sum of the squares of each matrix, (...); NumPy warns of one that leaves float range."""
    flat = mantissa.reshape(*mantissa.shape[:-2], -1)
    squares: FloatArray = np.vecdot(flat, flat)
    return squares


def _usual(squared_norm: FloatArray) -> Mask:
    """Whether mantissas of these squared norms may stay as they are; NaN may not."""
    inside: Mask = squared_norm > _SMALLEST_SQUARED_NORM
    return inside & (squared_norm < _LARGEST_SQUARED_NORM)


def _settle(mantissa: FloatArray, exponent: Exponents) -> Exponents:
    """Bring a mantissa back into range, in place; return the exponent that it then has."""
    squared_norm = squared_norms(mantissa)
    stays = _usual(squared_norm)
    if stays.all():
        return exponent
    stays |= np.isnan(squared_norm)  # NaN stays NaN
    shift = np.where(stays, 0, np.frexp(np.abs(mantissa).max(axis=(-1, -2)))[1])
    np.ldexp(mantissa, -shift[..., np.newaxis, np.newaxis], out=mantissa)
    return exponent + shift
