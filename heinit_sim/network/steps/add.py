"""Add: h = α z₀ + s z,   ∂ℓ/∂z = s ∂ℓ/∂h,   ∂ℓ/∂z₀ = α ∂ℓ/∂h beside what passes the branch.

z₀ entered the branch from which z comes: where the last `add` was, or the layer begins.
"""

from dataclasses import dataclass

import numpy as np

from heinit_sim.network.steps.operation import LARGEST, Arithmetic, squared_sizes
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, plus, times


@dataclass(frozen=True)
class Added:
    """A branch and what skips it: the one step that two arrays enter."""

    scale: float
    """s."""
    skip: float
    """α."""
    arithmetic: Arithmetic

    def forward(self, entered: Scaled, z: Scaled, out: FloatArray | None) -> Scaled:
        """α z₀ + s z."""
        out = np.empty_like(z.mantissa) if out is None else out
        if self.arithmetic != "plain":
            return plus(self._skipped(entered), z, out, self.scale)
        np.multiply(z.mantissa, self.scale, out=out)
        out += self._skipped(entered).mantissa
        out[~(squared_sizes(out) < LARGEST**2)] = np.nan
        return Scaled(out, z.exponent)

    def adjoint(self, gradient: Scaled, out: FloatArray | None) -> tuple[Scaled, Scaled]:
        """The gradients s g of the branch, and α g of what skips it."""
        out = np.empty_like(gradient.mantissa) if out is None else out
        return times(self.scale, gradient, out, settle=False), self._skipped(gradient)

    def _skipped(self, z: Scaled) -> Scaled:
        if self.skip == 1.0:
            return z
        if self.arithmetic == "plain":
            return Scaled(self.skip * z.mantissa, z.exponent)
        return times(self.skip, z, np.empty_like(z.mantissa), settle=False)
