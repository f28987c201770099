"""Activation: h = a[z],   ∂ℓ/∂z = a'[z] ⊙ ∂ℓ/∂h."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.network.steps.operation import WeightGradients
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled

_PIECE = 2**14  # numbers that stay in the cache, with what a curve needs on the way


class Slopes(NamedTuple):
    """a'[z] of one activation, as it is kept for the way back."""

    activations: tuple[Activation, ...]
    """One for all networks, or one for each place of the first axis."""
    numbers: FloatArray | Mask
    """(..., units, n_inputs)."""


@dataclass(frozen=True)
class Activated:
    """a[z], elementwise; a factor of z is one of a[z] wherever it is carried as an exponent."""

    activations: tuple[Activation, ...]
    """One for all networks, or one for each place of the first axis."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, FloatArray | Mask]:
        """a[z], and a'[z]."""
        h = np.empty_like(z.mantissa) if out is None else out
        first, *others = self.activations
        if all(activation is first for activation in others):
            return Scaled(h, z.exponent), value_and_slope(first, z.mantissa, h)
        networks = zip(self.activations, z.mantissa, h, strict=True)
        return Scaled(h, z.exponent), np.array([value_and_slope(*given) for given in networks])

    def adjoint(
        self,
        gradient: Scaled,
        kept: FloatArray | Mask,
        out: FloatArray | None,
        found: WeightGradients,
    ) -> Scaled:
        """a'[z] ⊙ g."""
        return Scaled(np.multiply(kept, gradient.mantissa, out=out), gradient.exponent)


def value_and_slope(activation: Activation, z: FloatArray, out: FloatArray) -> FloatArray | Mask:
    """a[z] into the second array; a'[z] is returned. Curves are taken a few numbers at a time."""
    if activation.negative_slope is not None or not out.flags.c_contiguous:
        return activation.both(z, out)
    numbers, values = z.reshape(-1), out.reshape(-1)
    first = activation.both(numbers[:_PIECE], values[:_PIECE])
    slope = np.empty_like(first, shape=z.shape)
    slopes = slope.reshape(-1)
    slopes[:_PIECE] = first
    for start in range(_PIECE, z.size, _PIECE):
        piece = slice(start, start + _PIECE)
        slopes[piece] = activation.both(numbers[piece], values[piece])
    return slope


def value_of(activation: Activation, z: FloatArray, out: FloatArray) -> FloatArray:
    """a[z] into the second array: what `value_and_slope` puts there, to the last bit."""
    if activation.negative_slope is not None or not out.flags.c_contiguous:
        return activation.value(z, out)
    value = activation.together or activation.value
    numbers, values = z.reshape(-1), out.reshape(-1)
    for start in range(0, z.size, _PIECE):
        piece = slice(start, start + _PIECE)
        value(numbers[piece], values[piece])
    return out
