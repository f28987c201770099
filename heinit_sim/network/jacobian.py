"""The Jacobian J = ∂f_K/∂x of one input, from the backward pass of each of its outputs.

The gradient of f_K,o by x is row o of J: of one input, gradients of as many outputs go back side by
side, from the columns of the identity, and end as columns of Jᵀ. Slopes and masks are those of the
one input for all of them. Steps in which inputs meet have no Jacobian of one input alone: batch
norm, and attention.

Source: Pennington, Schoenholz & Ganguli 2017, eq. 2.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from heinit_sim.network.layers import Layer, Trace
from heinit_sim.network.moments import log10
from heinit_sim.network.passes import iter_backward, iter_forward
from heinit_sim.network.steps.dropout import MasksByPlace
from heinit_sim.network.steps.operation import lost_networks
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, rescaled, squared_norms

_EPS = float(np.finfo(float).eps)
_LOWEST = -(2**62)  # an exponent that no number has
_LOG10_2 = float(np.log10(2.0))


@dataclass(frozen=True)
class FirstInputMasks:
    """The uniform numbers of dropouts by place, for the first input of a batch alone."""

    masks: MasksByPlace

    def __getitem__(self, place: int, /) -> FloatArray:
        return np.ascontiguousarray(self.masks[place][..., :1])


def iter_transposed(
    layers: Sequence[Layer], x: FloatArray, n_outputs: int, most: int
) -> Iterator[Scaled]:
    """Yield Jᵀ, some columns after others, each (..., D_0, at most `most`).

    Args:
        layers: The network, from `make_layers` without moments of ∂ℓ/∂Ω.
        x: One input, (..., D_0, 1).
        n_outputs: D_o.
        most: Outputs whose gradients go back side by side.
    """
    traces = list[Trace]()
    last = deque(iter_forward(layers, x, traces), maxlen=1).pop()
    assert last.end is not None
    lost = lost_networks(last.end.mantissa)
    for start in range(0, n_outputs, most):
        identity = np.eye(n_outputs, min(most, n_outputs - start), -start)
        seeds = np.broadcast_to(identity, (*x.shape[:-2], *identity.shape)).copy()
        seeds[lost] = np.nan
        gradient = Scaled(seeds, np.zeros(x.shape[:-2], np.int64))
        first = deque(iter_backward(layers, gradient, [*traces]), maxlen=1).pop()
        yield rescaled(Scaled(first.numbers.mantissa[0], first.numbers.exponent[0]))


def log10_second_moment(parts: Sequence[Scaled]) -> FloatArray:
    """log10 of the mean square of the elements of a matrix in parts, (...); −inf where all are 0.

    Args:
        parts: Columns of the matrix, some after others.
    """
    decades = [log10(squared_norms(part.mantissa), part.exponent) for part in parts]
    size = sum(part.mantissa.shape[-1] for part in parts) * parts[0].mantissa.shape[-2]
    highest = np.max(decades, axis=0)
    with np.errstate(divide="ignore"):
        apart = [10.0 ** (z - np.where(np.isneginf(highest), 0.0, highest)) for z in decades]
        total: FloatArray = highest + np.log10(np.sum(apart, axis=0)) - np.log10(size)
    return total


def log10_singular_values(parts: Sequence[Scaled], n_layers: int) -> FloatArray:
    """log10 of all singular values of a matrix in parts, the largest first, (..., min(shape)).

    One that is as small beside the largest as rounding in every layer makes those that are 0 is
    taken for 0.

    Args:
        parts: Columns of the matrix, some after others.
        n_layers: Factors that it is the product of.
    """
    seen = [np.any(part.mantissa, axis=(-1, -2)) for part in parts]
    exponents = [np.where(s, part.exponent, _LOWEST) for s, part in zip(seen, parts, strict=True)]
    exponent = np.where(np.any(seen, axis=0), np.max(exponents, axis=0), 0)
    shifts = [(part.exponent - exponent)[..., np.newaxis, np.newaxis] for part in parts]
    columns = [np.ldexp(part.mantissa, shift) for part, shift in zip(parts, shifts, strict=True)]
    matrix = np.concatenate(columns, axis=-1)
    lost = np.isnan(matrix).any(axis=(-1, -2))
    matrix[lost] = 0.0
    values = np.linalg.svd(matrix, compute_uv=False)
    values[values <= n_layers * max(matrix.shape[-2:]) * _EPS * values[..., :1]] = 0.0
    with np.errstate(divide="ignore"):
        decades: FloatArray = np.log10(values) + exponent[..., np.newaxis] * _LOG10_2
    decades[lost] = np.nan
    return decades
