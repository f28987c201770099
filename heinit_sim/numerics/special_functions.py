"""The normal law in NumPy: its density, its distribution function, and erf; ψ and ψ'."""

import math

import numpy as np

from heinit_sim.numerics import FloatArray

_CENTRE = 3.75
_CACHED = 2**14
_FAR = 40.0  # exp(−x²) is zero from 27.3 on

# Two series of Chebyshev polynomials, literal so that every machine has the same. Each number is
# c_k = (2 − [k = 0])/80 Σ_j f(t_j) cos(k θ_j), t_j = cos θ_j, θ_j = π (2j + 1)/160, j < 80, worked
# out with 60 digits (mpmath 1.4); the first one left out is below 1e-17. They are written as powers
# of t, c_n t^n, whose coefficients add up to no more in size, so that nothing cancels.
# erf(x)/x for |x| < 1, in t = 2x² − 1.
_ERF = np.array(
    [
        *(0.9654687386698674, -0.14053608902271714, 0.019852496688983708),
        *(-0.0022854855611441132, 0.00021751715604160108, -1.7537169441124826e-05),
        *(1.223382738352401e-06, -7.51156928660089e-08, 4.11580059766496e-09),
        *(-2.035228404899467e-10, 9.167606746069445e-12, -3.8078827395263415e-13),
        1.454817075960679e-14,
    ]
)
# ((1 + 2x) exp(x²) erfc(x) − 1)/(1 + t) for x ≥ 0, in t = (x − 3.75)/(x + 3.75), which maps 0 … ∞
# to −1 … 1 (Shepherd & Laframboise 1981): at x = 0, where 1 + t = 0, erfc is 1 to the last bit.
_ERFC = np.array(
    [
        *(0.2375126308378276, -0.3777532294233744, 0.3813386449088394),
        *(-0.299061906418698, 0.1902579762769251, -0.09795365511644936),
        *(0.03926025652726194, -0.010897979109484429, 0.001151399547121975),
        *(0.0006042263136325653, -0.0003105126233902508, 2.035851084084757e-05),
        *(3.129049915894401e-05, -8.906176289162432e-06, -2.5377589500280127e-06),
        *(1.5640555423780688e-06, 1.8724802549670438e-07, -2.4430586154991615e-07),
        *(-1.4013279886896224e-08, 3.716423101679934e-08, 1.2794185869069422e-09),
        *(-4.9786056362865576e-09, -1.0712376305196166e-10, 4.104370087008405e-10),
    ]
)


def erf(x: FloatArray) -> FloatArray:
    """The error function (2/√π) ∫_0^x exp(−t²) dt, good to a few units in the last place."""
    size = np.abs(x)
    near = size < 1.0
    inside = np.where(near, size, 0.0)
    small = inside * _polynomial(2 * inside**2 - 1, _ERF)
    return np.copysign(np.where(near, small, 1.0 - _erfc(size)[0]), x)


def cumulative(z: FloatArray) -> FloatArray:
    """Φ(z), the probability that a standard normal number is below z; relative in both tails."""
    return cumulative_and_density(z)[0]


def cumulative_and_density(z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Φ(z) and φ(z) = exp(−z²/2)/√2π, which share most of their work."""
    size = np.abs(z)
    size /= math.sqrt(2.0)
    upper, bell = _erfc(size)
    upper *= 0.5
    above = ~np.signbit(z)
    below = np.subtract(above, np.copysign(upper, z, out=upper), out=upper)
    bell *= 1.0 / math.sqrt(2 * math.pi)
    return below, bell


def _erfc(size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """1 − erf(x) and exp(−x²) for x ≥ 0, a few numbers at a time, which stay in the cache."""
    every = size.reshape(-1)
    result, bell = np.empty((2, every.size))
    for start in range(0, every.size, _CACHED):
        piece = slice(start, start + _CACHED)
        x = np.minimum(every[piece], _FAR)
        t = x - _CENTRE
        t /= x + _CENTRE
        ratio = _polynomial(t, _ERFC)
        t += 1.0
        ratio *= t
        ratio += 1.0
        np.multiply(x, x, out=t)
        np.negative(t, out=t)
        ratio *= np.exp(t, out=bell[piece])
        x *= 2.0
        x += 1.0
        np.divide(ratio, x, out=result[piece])
    return result.reshape(size.shape), bell.reshape(size.shape)


def _polynomial(t: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Σ c_n t^n by Horner's rule, in place."""
    total = np.full_like(t, coefficients[-1])
    for coefficient in coefficients[-2::-1].tolist():
        total *= t
        total += coefficient
    return total


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
