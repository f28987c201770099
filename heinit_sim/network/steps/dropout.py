"""Dropout: h = m ⊙ z/(1 − p),   ∂ℓ/∂z = m ⊙ ∂ℓ/∂h/(1 − p),   m = 0 with probability p, else 1.

Source: Srivastava et al. 2014, with the factor in training, as frameworks have it.
"""

from typing import NamedTuple, Protocol

import numpy as np

from heinit_sim.network.steps.operation import WeightGradients
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled


class MasksByPlace(Protocol):
    """Uniform numbers in [0, 1) by place, one for each unit and input: kept where ≥ p."""

    def __getitem__(self, place: int, /) -> FloatArray: ...


class Dropped(NamedTuple):
    """Numbers that are 0 or larger."""

    masks: MasksByPlace
    place: int
    """Index among all dropouts."""
    rate: float
    """p."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Mask]:
        """The mask times z/(1 − p), and the mask."""
        kept: Mask = self.masks[self.place] >= self.rate
        return self._thinned(z, kept, out), kept

    def adjoint(
        self, gradient: Scaled, kept: Mask, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """The mask times g/(1 − p)."""
        return self._thinned(gradient, kept, out)

    def _thinned(self, z: Scaled, kept: Mask, out: FloatArray | None) -> Scaled:
        thinned = np.multiply(z.mantissa, kept, out=out)
        thinned *= 1.0 / (1.0 - self.rate)
        return Scaled(thinned, z.exponent)
