"""Losses of a batch and their gradients by what they see, input by input, at any magnitude.

    least_squares   ℓ = Σ_o (f_o − y)²               ∂ℓ/∂f = 2 (f − y)
    cross_entropy   ℓ = ln Σ_o exp f_o − f_t         ∂ℓ/∂f = softmax(f) − one-hot(t)
    probe           ℓ = Σ_o p_o f_o, p_o ~ N(0, 1)   ∂ℓ/∂f = p

The loss of a network is the mean over its inputs; gradients are those of each input's own loss.

Source: Prince, Understanding Deep Learning (2023), sec. 5.3 and 5.5.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.network.moments import log10
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Factor, Scaled, minus, rescaled, squared_norms

Classes = NDArray[np.int64]

# exp(−d) of a larger d loses digits, or is 0; of an even larger one, exponents of two end.
_FARTHEST, _LARGEST_GAP = 700.0, 2.0**60
_LN2 = math.log(2.0)


class Judged(NamedTuple):
    """The loss of some networks' outputs, and its gradient."""

    log10_loss: FloatArray
    """log10 of the mean over inputs, (...); NaN for a probe, whose loss may have any sign."""
    gradient: Scaled
    """∂ℓ/∂f, (..., D_o, n_inputs)."""


def least_squares(output: Scaled, target: Factor) -> Judged:
    """Σ_o (f_o − y)² and 2 (f − y).

    Args:
        output: f, (..., D_o, n_inputs).
        target: y, one for all networks or for each matrix of a stack.
    """
    difference = minus(output, target)
    gradient = Scaled(difference.mantissa, difference.exponent + 1)
    settled = rescaled(difference)
    mean = squared_norms(settled.mantissa) / settled.mantissa.shape[-1]
    return Judged(log10(mean, settled.exponent), gradient)


def cross_entropy(output: Scaled, classes: Classes) -> Judged:
    """The loss ln Σ_o exp f_o − f_t and its gradient softmax(f) − one-hot(t).

    With d_o = max f − f_o, which no size of f takes digits from, Z = Σ_o exp(−d_o):

        ℓ = d_t + ln Z,   ∂ℓ/∂f_o = exp(−d_o)/Z for o ≠ t,   ∂ℓ/∂f_t = −Σ_{o ≠ t} ∂ℓ/∂f_o

    Where all inputs of a network are judged right by so much that this is beyond float range, it
    is carried with an exponent; below 2^−2^60 it is 0.

    Args:
        output: f, (..., D_o, n_inputs).
        classes: t of each input, (..., n_inputs); the same for all matrices along leading axes
            that it lacks.
    """
    mantissa, exponent = output.mantissa, output.exponent[..., np.newaxis, np.newaxis]
    one_row = (*mantissa.shape[:-2], 1, mantissa.shape[-1])
    place = np.broadcast_to(classes[..., np.newaxis, :], one_row)
    below = mantissa.max(axis=-2, keepdims=True) - mantissa
    with np.errstate(over="ignore"):  # of gaps beyond float range, whose exponentials are 0
        gap = np.ldexp(below, exponent)
    gap_of_class = np.take_along_axis(gap, place, -2)
    others = gap.copy()
    np.put_along_axis(others, place, np.inf, -2)
    shift = _shift(others.min(axis=(-1, -2), keepdims=True))
    gradient = np.exp(shift * _LN2 - others)
    rest = gradient.sum(axis=-2, keepdims=True)
    right = gap_of_class == 0
    beside = np.ldexp(rest, -shift)
    total = np.exp(-gap_of_class) + beside
    np.put_along_axis(gradient, place, -rest, -2)
    gradient /= total
    # ln Z, and of inputs that are judged right ln(1 + x) = x where x is below float range
    ln_total = np.where(right, np.log1p(beside), np.log(total))
    far = shift > 0
    small = np.where(far, rest, ln_total).mean(axis=-1)[..., 0]
    large = np.take_along_axis(below, place, -2).mean(axis=-1)[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):  # of a loss that is 0, or no number
        parts = (
            np.log(large) + _LN2 * output.exponent,
            np.log(small) - _LN2 * shift[..., 0, 0],
        )
        log10_loss = np.logaddexp(*parts) / math.log(10.0)
    return Judged(log10_loss, Scaled(gradient, -shift[..., 0, 0]))


def probe(output: Scaled, probes: FloatArray) -> Judged:
    """A gradient that is independent of the network; NaN of networks that are no numbers.

    Args:
        output: f, (..., D_o, n_inputs).
        probes: p, likewise.
    """
    lost = np.isnan(output.mantissa).any(axis=(-1, -2), keepdims=True)
    gradient = np.where(lost, np.nan, probes)
    alone = output.exponent
    return Judged(np.full(alone.shape, np.nan), Scaled(gradient, np.zeros_like(alone)))


def _shift(least: FloatArray) -> NDArray[np.int64]:
    """Exponent of two by which exp(−gap) of the least gap is brought back into float range."""
    outside = (least > _FARTHEST) & (least < _LARGEST_GAP)
    shift: NDArray[np.int64] = np.floor(np.where(outside, least, 0.0) / _LN2).astype(np.int64)
    return shift
