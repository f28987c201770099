"""Moments of a signal between two steps of an infinitely wide network, and of its gradient.

Moments have the shape (positions,) where zeros beyond the edges tell the positions of an image
apart, else (). Where all positions are alike, two of them stand for all pairs, and what they have
in common is carried as well. So is what two inputs have in common.
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.quadrature import ORDERS

Law = Literal["gaussian", "symmetric", "other"]
"""Law of a signal over its units: normal; of a sign that is + as often as −, whatever the size; any
other. An elementwise step needs one of the first two."""


class Signal(NamedTuple):
    """z between two steps, over the units and over networks."""

    ln_second: FloatArray  # ln E[z²]
    ln_variance: FloatArray  # ln Var z
    mean_share: FloatArray  # E[z]/√E[z²]
    cosine: float  # E[z(p) z(p')]/E[z²] of two positions; NaN where not needed, or not known
    ln_gap: float = math.nan  # ln(1 − E[z z']/E[z²]) of two inputs; NaN likewise
    law: Law = "other"


class Gradient(NamedTuple):
    """∂ℓ/∂z.

    Of a Gaussian z = E z + √Var z ζ the part that z decides is kept as Hermite coefficients; of any
    other it is c z.
    """

    ln_second: FloatArray  # ln E[g²]
    cosine: float  # E[g(p) g(p')]/E[g²] of two positions; 0 where they have nothing in common
    along: FloatArray  # E[g He_n(ζ)/√n!]/√E[g²], (n, …); of other z E[g z]/√(E[g²] E[z²])
    mean_share: FloatArray  # E[g]/√E[g²]
    tilt: FloatArray  # share of E[g²] that is as z²; used where z is not Gaussian
    between: float = math.nan  # E[g g']/E[g²] of two inputs; NaN where not needed
    bent: float = 0.0  # E[g ζ g' ζ']/E[g²] of two inputs, independent ζ, beyond that of `along`


class WeightGradient(NamedTuple):
    """∂ℓ/∂Ω of one input."""

    ln_second: float  # ln of its mean square
    mean_share: float  # its mean over its root mean square
    n_weights: int


def unknown(like: Signal) -> Signal:
    """A signal of which nothing is known, at as many positions."""
    nothing = np.full(np.shape(like.ln_second), math.nan)[()]
    return Signal(nothing, nothing, nothing, math.nan)


def ln_of(number: float) -> float:
    """Return the natural logarithm, −inf of 0."""
    return math.log(number) if number > 0 else -math.inf if number == 0 else math.nan


def mean_of(z: Signal) -> float:
    """E[z] of a signal whose mean is the same at all positions."""
    share, ln_second = (float(np.ravel(moment)[0]) for moment in (z.mean_share, z.ln_second))
    if share == 0:
        return 0.0
    return float(f"{math.copysign(1, share) * math.exp(ln_of(abs(share)) + ln_second / 2):.14g}")


def centred(cosine: float, mean_share: FloatArray) -> float:
    """The correlation of two numbers about their mean, which have that cosine."""
    if math.isnan(cosine):
        return cosine
    squared = float(mean_share[0] if np.ndim(mean_share) else mean_share) ** 2
    if squared == 0:
        return cosine
    return (cosine - squared) / (1 - squared) if squared < 1 else math.nan


def along_shape(z: Signal) -> tuple[int, ...]:
    """Shape of `Gradient.along` for that signal."""
    shape = np.shape(z.ln_second)
    return (ORDERS, *shape) if z.law == "gaussian" else shape


def identity_along(z: Signal) -> FloatArray:
    """Hermite coefficients of a Gaussian signal itself, over its root mean square."""
    along = np.zeros(along_shape(z))
    along[0], along[1] = z.mean_share, np.sqrt(np.maximum(1 - np.square(z.mean_share), 0.0))
    return along


def along_signal(g: Gradient, z: Signal) -> FloatArray:
    """E[g z]/√(E[g²] E[z²])."""
    if z.law != "gaussian":
        return g.along
    share: FloatArray = (g.along[:2] * identity_along(z)[:2]).sum(axis=0)
    return share


def linear(z: Signal, ln_second: FloatArray, cosine: float, share: FloatArray) -> Gradient:
    """The gradient c z + what is independent of z, E[g z] that share of √(E[g²] E[z²])."""
    along = share * identity_along(z) if z.law == "gaussian" else share
    return Gradient(ln_second, cosine, along, share * z.mean_share, np.square(share))


def orders(along: FloatArray) -> NDArray[np.int64]:
    """Return n of each Hermite coefficient, in a shape that goes with them."""
    return np.arange(len(along)).reshape(-1, *[1] * (along.ndim - 1))


def series(along: FloatArray, other: FloatArray, correlation: float) -> float:
    """E[g(z₁) g'(z₂)] for normal z₁, z₂ of that correlation, from Hermite coefficients."""
    return float((along * other) @ correlation ** np.arange(len(along)))
