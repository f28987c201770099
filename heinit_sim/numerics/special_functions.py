"""The normal law in NumPy: its density, its distribution function, and erf; ψ and ψ'."""

import math

import numpy as np

from heinit_sim.numerics import FloatArray

_CENTRE = 3.75
_FAR = 40.0  # exp(−x²) is zero from 27.3 on

# Two series of Chebyshev polynomials, literal so that every machine has the same. Each number is
# c_k = (2 − [k = 0])/80 Σ_j f(t_j) cos(k θ_j), t_j = cos θ_j, θ_j = π (2j + 1)/160, j < 80, worked
# out with 60 digits (mpmath 1.4) and written with 17; the first one left out is below 1e-17.
# erf(x)/x for |x| < 1, in t = 2x² − 1.
_ERF = np.array(
    [
        *(0.9754769393826541, -0.14226120510371364, 0.010035582187599796),
        *(-0.00057687646997674848, 2.7419931252196061e-5, -1.1043175507344508e-6),
        *(3.8488755420345037e-8, -1.1808582533875467e-9, 3.233421582605091e-11),
        *(-7.9910159470045488e-13, 1.7990725113961456e-14, -3.7186354878186926e-16),
        7.103599003714253e-18,
    ]
)
# ((1 + 2x) exp(x²) erfc(x) − 1)/(1 + t) for x ≥ 0, in t = (x − 3.75)/(x + 3.75), which maps 0 … ∞
# to −1 … 1 (Shepherd & Laframboise 1981): at x = 0, where 1 + t = 0, erfc is 1 to the last bit.
_ERFC = np.array(
    [
        *(0.51204250664434083, -0.66892714415387815, 0.30458916585778169),
        *(-0.10874945429472106, 0.031329622728044207, -0.0072271280319788612),
        *(0.0012746286773240453, -0.00014845640350444573, 3.8358027364634597e-6),
        *(2.4453319814946835e-6, -4.4841072730680626e-7, -4.3391364137281083e-10),
        *(1.1550533604863972e-8, -1.1371546370133128e-9, -2.3230470840077275e-10),
        *(5.0884012048588111e-11, 4.1749174858628386e-12, -1.8579468017003906e-12),
        *(-6.9906511546510391e-14, 6.6820475106723611e-14, 1.3165242960379657e-15),
        *(-2.4972847330634348e-15, -5.108059074972232e-17, 9.7855808425150039e-17),
    ]
)


def erf(x: FloatArray) -> FloatArray:
    """The error function (2/√π) ∫_0^x exp(−t²) dt, good to a few units in the last place."""
    size = np.abs(x)
    near = size < 1.0
    inside = np.where(near, size, 0.0)
    small = inside * _chebyshev(2 * inside**2 - 1, _ERF)
    return np.copysign(np.where(near, small, 1.0 - _erfc(size)), x)


def cumulative(z: FloatArray) -> FloatArray:
    """Φ(z), the probability that a standard normal number is below z; relative in both tails."""
    upper = 0.5 * _erfc(np.abs(z) / math.sqrt(2.0))
    return np.where(z < 0, upper, 1.0 - upper)


def density(z: FloatArray) -> FloatArray:
    """φ(z) = exp(−z²/2)/√2π."""
    return np.exp(-0.5 * np.square(np.clip(z, -_FAR, _FAR))) / math.sqrt(2 * math.pi)


def _erfc(size: FloatArray) -> FloatArray:
    """1 − erf(x) for x ≥ 0."""
    x = np.minimum(size, _FAR)
    ratio = 1.0 + 2.0 * x / (x + _CENTRE) * _chebyshev((x - _CENTRE) / (x + _CENTRE), _ERFC)
    result: FloatArray = np.exp(-(x**2)) * ratio / (1.0 + 2.0 * x)
    return result


def _chebyshev(x: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Σ c_n T_n(x) by Clenshaw's recurrence, in place: a third of the time of `chebval`."""
    twice = 2 * x
    last, before = np.full_like(x, coefficients[-1]), np.full_like(x, coefficients[-2])
    product = np.empty_like(x)
    for coefficient in coefficients[-3::-1].tolist():
        np.multiply(last, twice, out=product)
        product += before
        np.subtract(coefficient, last, out=before)
        last, product = product, last
    last *= x
    last += before
    return last


# The series below are good to 1e-16 from here on; smaller arguments are moved up to it.
_SHIFT = 12


def digamma(x: FloatArray) -> FloatArray:
    """ψ(x) = d ln Γ(x)/dx for x > 0, by recurrence and the asymptotic series.

    Source: Abramowitz & Stegun 6.3.5 and 6.3.18.
    """
    y = x + _SHIFT
    below = sum(1 / (x + j) for j in range(_SHIFT))
    z = 1 / y**2
    series = z * (1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (1 / 132)))))
    return np.log(y) - 0.5 / y - series - below


def trigamma(x: FloatArray) -> FloatArray:
    """ψ'(x) = d² ln Γ(x)/dx² for x > 0, by recurrence and the asymptotic series.

    Source: Abramowitz & Stegun 6.4.6 and 6.4.12.
    """
    y = x + _SHIFT
    above = sum(1 / (x + j) ** 2 for j in range(_SHIFT))
    z = 1 / y**2
    series = z * (1 / 6 - z * (1 / 30 - z * (1 / 42 - z * (1 / 30 - z * (5 / 66)))))
    return (1 + 0.5 / y + series) / y + above


_EXACT_FREEDOM = 1000.0
_TERMS = 3000


def chi_square_rank(x: FloatArray, freedom: FloatArray) -> FloatArray:
    """P(χ²_n ≤ x) for arrays of one shape, to 1e-6 or better.

    Args:
        x: Numbers; 0 and infinity have the ranks 0 and 1.
        freedom: n > 0.

    Source: the series of the incomplete gamma function (DLMF 8.11.4), all of whose terms are
    positive; from a thousand degrees of freedom on Wilson & Hilferty 1931.
    """
    third = np.cbrt(np.clip(x, 0.0, 1e300) / freedom)
    rank = cumulative((third - (1 - 2 / (9 * freedom))) / np.sqrt(2 / (9 * freedom)))
    far = x > freedom + 100 + 15 * np.sqrt(2 * freedom)  # above all but 1e-16
    inside = (freedom < _EXACT_FREEDOM) & (x > 0) & ~far
    a, half = freedom[inside] / 2, x[inside] / 2
    distinct, places = np.unique(a, return_inverse=True)
    ln_gamma = np.array([math.lgamma(one + 1) for one in distinct.tolist()])[places]
    term = np.exp(a * np.log(half) - half - ln_gamma)
    total = term.copy()
    for k in range(1, _TERMS):
        term = term * (half / (a + k))
        total += term
        if k % 16 == 0 and (term < 1e-10).all() and (half < a + k).all():
            break
    rank[inside] = np.minimum(total, 1.0)
    return np.where(far, 1.0, np.where(x > 0, rank, 0.0))
