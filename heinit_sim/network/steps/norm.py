"""Norm, without gain, bias or ε; means are over units, or over the inputs of a batch.

    layer, batch   h = (z − mean z)/s,   s² = mean (z − mean z)²
                   ∂ℓ/∂z = (g − mean g − h mean(g h))/s,   g = ∂ℓ/∂h
    rms            h = z/s,              s² = mean z²
                   ∂ℓ/∂z = (g − h mean(g h))/s

layer and rms: over the units of each input; batch: of each channel over inputs and positions, so
that ∂ℓ/∂z of one input is that of the loss of all. Where there is no spread h is 0, and passes no
gradient.

Source: Ba et al. 2016, eq. 3; Zhang & Sennrich 2019, eq. 4; Ioffe & Szegedy 2015, algorithm 1.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import NormKind
from heinit_sim.network.steps.operation import Arithmetic, WeightGradients, squarable
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Exponents, Scaled

_EPS = float(np.finfo(float).eps)


class Kept(NamedTuple):
    """All of the forward pass that the way back needs."""

    h: FloatArray
    """The result."""
    inverse: FloatArray
    """1/s, 0 where there is no spread."""
    exponent: Exponents
    """Exponent of z, which h no longer has."""


@dataclass(frozen=True)
class Normalised:
    """Numbers over their own size."""

    kind: NormKind
    positions: int
    """Positions of one channel."""
    arithmetic: Arithmetic

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """(z − mean z)/s, or z/s."""
        z = squarable(z, self.arithmetic)
        out = np.empty_like(z.mantissa) if out is None else out
        numbers, h = self._columns(z.mantissa), self._columns(out)
        if self.kind == "rms":
            h[...] = numbers
        else:
            mean = numbers.mean(axis=-2, keepdims=True)
            np.subtract(numbers, mean, out=h)
        squares = np.einsum("...un,...un->...n", h, h)[..., np.newaxis, :]
        std = np.sqrt(squares / h.shape[-2])
        if self.kind != "rms":
            rounded = std <= h.shape[-2] * _EPS * np.abs(mean)
            if rounded.any():  # numbers may be all alike, and their mean not be they by a digit
                rounded &= (numbers == numbers[..., :1, :]).all(axis=-2, keepdims=True)
                std[rounded] = 0.0
        inverse = np.divide(1.0, std, out=np.zeros_like(std), where=std != 0)
        h *= inverse
        return Scaled(out, np.zeros_like(z.exponent)), Kept(out, inverse, z.exponent)

    def adjoint(
        self, gradient: Scaled, kept: Kept, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """(g − mean g − h mean(g h))/s, or (g − h mean(g h))/s."""
        out = np.empty_like(gradient.mantissa) if out is None else out
        g, dl_dz, h = map(self._columns, (gradient.mantissa, out, kept.h))
        along = np.einsum("...un,...un->...n", g, h)[..., np.newaxis, :] / h.shape[-2]
        if self.kind == "rms":
            dl_dz[...] = g
        else:
            np.subtract(g, g.mean(axis=-2, keepdims=True), out=dl_dz)
        dl_dz -= along * h
        dl_dz *= kept.inverse
        return Scaled(out, gradient.exponent - kept.exponent)

    def _columns(self, units: FloatArray) -> FloatArray:
        """A view, (..., numbers, means), whose columns are normalised each by itself."""
        if self.kind != "batch":
            return units
        *leading, n_units, n_inputs = units.shape
        channels = n_units // self.positions
        return units.reshape(*leading, channels, self.positions * n_inputs).swapaxes(-1, -2)
