"""Singular values of the Jacobian of wide square layers, as products of free random matrices.

With J = Ω_K D_{K−1} Ω_{K−1} … D_0 Ω_0, D_k the slopes of layer k on a diagonal, the S-transform of
J Jᵀ is the product of those of its factors. Of n × n matrices of variance σ², and of slopes that
are 1 or α with probability ½ each,

    1/S(z) = n σ² (1 + z)                                        independent weights of one law
    1/S(z) = n σ²                                                orthogonal weights
    1/S(z) = [(z + ½)(1 + α²) + √((z + ½)² (1 − α²)² + α²)]/(1 + z)/2          slopes

and x(z) = (1 + z)/(z S(z)) is the point at which G(x) = (1 + z)/x for the Stieltjes transform G of
the law of the squared singular values. Where x is real and z is not, −Im G/π is their density, so
that with z = r exp(iθ) the share of them between two points is ∫ r sin θ/π d ln x.

Of L = K + 1 linear layers of independent weights the law is that of Fuss and Catalan, with its
edge at (L + 1)^(L + 1)/L^L times Π n σ²; orthogonal ones make all singular values equal.

Source: Pennington, Schoenholz & Ganguli 2017, section 2.3 and eq. 15.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from heinit_sim.numerics import FloatArray

_ANGLES = 1000
Bends = tuple[tuple[float, int], ...]
_HALVINGS = 60  # of a range of e^±40 for r


def log10_singular_values(
    n_units: int,
    variances: Sequence[float],
    slopes: Sequence[float],
    n_orthogonal: int,
) -> FloatArray:
    """The size that a share i/n of the singular values exceeds, i = 0 … n − 1, as log10, (n,).

    The first is the edge; −inf is a share that is 0. NaN for orthogonal weights with one or two
    bends: some of the squared singular values are then the largest there may be.

    Args:
        n_units: n.
        variances: σ²_k of the layers 0 … K.
        slopes: α of each activation.
        n_orthogonal: Layers whose weights are orthogonal; those of others are independent.
    """
    decades = sum(math.log10(n_units * variance) for variance in variances)
    bent = Counter(alpha**2 for alpha in slopes if abs(alpha) != 1)
    n_free = len(variances) - n_orthogonal
    if not bent and not n_free:
        return np.full(n_units, decades / 2)
    if not n_free and bent.total() <= 2:
        return np.full(n_units, np.nan)
    shares, ln_x = _law(n_free, tuple(sorted(bent.items())))
    asked = np.arange(n_units) / n_units
    if n_free:
        ln = np.interp(asked, shares, ln_x, right=-np.inf)
    else:  # the law of α²/d is that of d, which is 1 or α²: x and Π α²/x have one law, too
        ln = np.interp(np.minimum(asked, 1 - asked), shares, ln_x)
        with np.errstate(divide="ignore"):
            ln = np.where(asked < 0.5, ln, np.log([*bent.elements()]).sum() - ln)
    log10: FloatArray = (decades + ln / math.log(10)) / 2
    return log10


@cache
def _law(n_free: int, bent: Bends) -> tuple[FloatArray, FloatArray]:
    """Shares of squared singular values above some points, ascending, and ln of these points.

    Args:
        n_free: Matrices of independent weights, n σ² = 1.
        bent: α² of activations that are not linear, and how many of them there are.
    """
    steps = (1 - np.cos(np.pi * (np.arange(_ANGLES) + 0.5) / _ANGLES)) / 2
    theta = np.pi * steps
    low, high = np.full((2, _ANGLES), [[-40.0], [40.0]])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = _ln_x(middle, theta, n_free, bent).imag > 0
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    ln_r = (low + high) / 2
    ln_x = _ln_x(ln_r, theta, n_free, bent).real
    density = np.exp(ln_r) * np.sin(theta) / np.pi
    pieces = (density[1:] + density[:-1]) / 2 * -np.diff(ln_x)
    return np.append(0.0, np.cumsum(pieces)), ln_x


def _ln_x(ln_r: FloatArray, theta: FloatArray, n_free: int, bent: Bends) -> NDArray[np.complex128]:
    """The logarithm of x(z), z = r exp(iθ), continuous in θ from θ = 0 on, where it is real."""
    z = np.exp(ln_r + 1j * theta)
    total: NDArray[np.complex128] = (1 + n_free) * np.log1p(z) - ln_r - 1j * theta
    for squared, count in bent:
        bend = (z + 0.5) * (1 - squared)
        if n_free and squared:  # from z > 0 to −1, below the point where both roots are alike
            root = np.sqrt(bend**2 + squared)
        else:  # above it
            root = bend * np.sqrt(1 + squared / bend**2)
        slope = np.log(((z + 0.5) * (1 + squared) + root) / 2) - np.log1p(z)
        total += count * slope
    return total
