"""Mean squares of the gradient of the batch's mean loss: what a training script finds in `.grad`.

    ∂/∂Ω (1/N) Σ_i ℓ_i = (1/N) Σ_i δ_i h_iᵀ,   ∂/∂β (1/N) Σ_i ℓ_i = (1/N) Σ_i δ_i

with δ = ∂ℓ/∂f of N inputs. The squared norm of the first is Σ_ij ⟨δ_i, δ_j⟩ ⟨h_i, h_j⟩ / N²: two
matrices of N × N tell it, or the one product of D × D does, whichever is less work. No mean square
is above the mean over inputs, the level. Where the inputs' gradients cancel, both are as good as
the sum itself: they lose 1e-16 of the root of the level, which is 1e-32 of the level.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.network.convolution import channel_means
from heinit_sim.network.moments import UnitMoments
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Exponents, Scaled, squared_norms

# Below this share of the level, sums of products of N × N matrices have lost digits that count.
_CANCELS = 1e-5
# Below this share a mean over inputs is rounding alone: it is 0, as behind a norm over the batch.
_ROUNDING = 2.0**-90


class MeanSquare(NamedTuple):
    """The mean square × 4^e of some numbers of each network."""

    value: FloatArray
    """(...)."""
    exponent: Exponents
    """e, (...)."""


class BatchGradient(NamedTuple):
    """The gradient of the batch's mean loss by the weights and the biases of a matrix or layer."""

    weight: MeanSquare
    bias: MeanSquare


def of_outer_products(dl_df: Scaled, h: Scaled) -> BatchGradient:
    """The batch's gradient of weights that connect every unit with every other.

    Args:
        dl_df: ∂ℓ/∂f, (..., D_out, n_inputs), of numbers whose squares have products in float range.
        h: What the weights are given, (..., D_in, n_inputs), likewise.
    """
    (d_out, n), d_in = dl_df.mantissa.shape[-2:], h.mantissa.shape[-2]
    if n * (d_out + d_in) < d_out * d_in:
        squares, level = _by_grams(dl_df.mantissa, h.mantissa)
    else:
        squares = squared_norms(dl_df.mantissa @ h.mantissa.swapaxes(-1, -2))
        level = np.vecdot(_squares(dl_df.mantissa), _squares(h.mantissa))
    weight = _above_rounding(squares / n**2, level / n) / (d_out * d_in)
    return BatchGradient(
        MeanSquare(weight, dl_df.exponent + h.exponent), _of_biases(dl_df.mantissa, dl_df.exponent)
    )


def _by_grams(dl_df: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray]:
    """‖Σ_i δ_i h_iᵀ‖² and Σ_i ‖δ_i‖² ‖h_i‖² of each network.

    Where the inputs' gradients cancel, h = Q R gives ‖Σ_i δ_i h_iᵀ‖ = ‖δ Rᵀ‖, which loses no more
    than the sum itself, but is slow.
    """
    grams = [z.swapaxes(-1, -2) @ z for z in (dl_df, h)]
    squares: FloatArray = np.vecdot(*(gram.reshape(*gram.shape[:-2], -1) for gram in grams))
    level = np.vecdot(*(np.diagonal(gram, axis1=-2, axis2=-1) for gram in grams))
    cancels = squares < _CANCELS * level
    if cancels.any():
        root: FloatArray = np.linalg.qr(h[cancels]).R
        squares[cancels] = squared_norms(dl_df[cancels] @ root.swapaxes(-1, -2))
    return squares, level


def of_kernels(
    total: FloatArray, by_input: UnitMoments, dl_df: Scaled, positions: int
) -> BatchGradient:
    """The batch's gradient of weights that positions share, and of a bias for each channel.

    Args:
        total: Σ_i ∂ℓ/∂Ω of the inputs, (..., weights), over 2^e of `by_input`.
        by_input: Moments of ∂ℓ/∂Ω over the weights, for each input.
        dl_df: ∂ℓ/∂f, (..., channels · positions, n_inputs).
        positions: Positions that come out.
    """
    n, n_weights = dl_df.mantissa.shape[-1], total.shape[-1]
    level = (by_input.variance + by_input.mean**2).mean(axis=-1)
    weight = _above_rounding(np.vecdot(total, total) / n_weights / n**2, level)
    by_channel = positions * channel_means(dl_df.mantissa, positions)
    return BatchGradient(
        MeanSquare(weight, by_input.exponent), _of_biases(by_channel, dl_df.exponent)
    )


def pooled_gradients(parts: Sequence[tuple[BatchGradient, int, int]]) -> BatchGradient:
    """The mean squares of several matrices together, each with its number of weights and biases."""
    gradients, *counts = zip(*parts, strict=True)
    weights, biases = zip(*gradients, strict=True)
    return BatchGradient(_pooled(weights, counts[0]), _pooled(biases, counts[1]))


def _pooled(parts: Sequence[MeanSquare], counts: Sequence[int]) -> MeanSquare:
    if len(parts) == 1:
        return parts[0]
    exponent = np.max([part.exponent for part in parts], axis=0)
    total = np.zeros(np.shape(exponent))
    for (value, own), count in zip(parts, counts, strict=True):
        total += np.ldexp(value, 2 * (own - exponent)) * (count / sum(counts))
    return MeanSquare(total, exponent)


def _of_biases(dl_dbias: FloatArray, exponent: Exponents) -> MeanSquare:
    n_biases, n = dl_dbias.shape[-2:]
    means = dl_dbias @ np.full(n, 1.0 / n)
    squares = _above_rounding(np.vecdot(means, means), squared_norms(dl_dbias) / n)
    return MeanSquare(squares / n_biases, exponent)


def _above_rounding(squares: FloatArray, level: FloatArray) -> FloatArray:
    """The squares; 0 where they are no more than what rounding leaves of the inputs' own."""
    return np.where(squares <= _ROUNDING * level, 0.0, squares)


def _squares(z: FloatArray) -> FloatArray:
    """Sum of the squares of the units, (..., n_inputs)."""
    squares: FloatArray = np.einsum("...un,...un->...n", z, z)
    return squares
