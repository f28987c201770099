"""Gate: f = a[u] ⊙ v,   u = Ω_g z,   v = Ω_v z.

    ∂ℓ/∂v = a[u] ⊙ ∂ℓ/∂f,   ∂ℓ/∂u = a'[u] ⊙ v ⊙ ∂ℓ/∂f,   ∂ℓ/∂z = Ω_gᵀ ∂ℓ/∂u + Ω_vᵀ ∂ℓ/∂v

Biases are added to u and v. Source: Shazeer 2020, GLU variants improve transformer, eq. 5.
"""

from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.network.steps import operation
from heinit_sim.network.steps.activation import value_and_slope
from heinit_sim.network.steps.operation import (
    LARGEST,
    WeightGradients,
    largest,
    lost_networks,
    squarable,
)
from heinit_sim.network.steps.weights import Weighted
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, plus, times

# A gate doubles exponents: 62 of them in a row would leave the range of integers.
_FARTHEST = 2**48


class Kept(NamedTuple):
    """All of the forward pass that the way back needs."""

    opening: Scaled
    """a[u]."""
    sloped: Scaled
    """a'[u] ⊙ v."""
    entered: operation.Kept
    """Moments of z, or z itself, that ∂ℓ/∂Ω is made with."""


class Gated(NamedTuple):
    """A product of two results of weights, one behind an activation."""

    gate: Weighted
    """Ω_g."""
    value: Weighted
    """Ω_v."""
    activation: Activation
    """a."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """a[u] ⊙ v."""
        arithmetic = self.gate.arithmetic
        u, v = self.gate.product(z, None), self.value.product(z, None)
        lost = lost_networks(u.mantissa) | lost_networks(v.mantissa)
        u.mantissa[lost] = 0.0  # no warning on the way to NaN
        a = np.empty_like(u.mantissa)
        slope = value_and_slope(self.activation, u.mantissa, a)
        opening = Scaled(a, u.exponent)
        f = np.multiply(a, v.mantissa, out=out)
        if arithmetic == "plain":
            size = largest(f)
            lost |= ~(size < LARGEST)
            small = size <= 1 / LARGEST
            if small.any() and not self.value.may_vanish:
                lost |= small & (largest(a) > 0) & (largest(v.mantissa) > 0)
            result = Scaled(f, v.exponent)
        else:
            result = times(1.0, Scaled(f, u.exponent + v.exponent), f)
            far = np.abs(result.exponent) > _FARTHEST
            result = Scaled(f, np.where(far, 0, result.exponent))
            lost |= far & (largest(f) > 0)
        f[lost] = np.nan
        v.mantissa[...] *= slope
        opening, sloped = (squarable(factor, arithmetic) for factor in (opening, v))
        return result, Kept(opening, sloped, self.value.kept(z))

    def adjoint(
        self, gradient: Scaled, kept: Kept, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """Ω_gᵀ (a'[u] ⊙ v ⊙ g) + Ω_vᵀ (a[u] ⊙ g)."""
        opening, sloped, entered = kept
        dl_dv, dl_du = (_product(gradient, factor) for factor in (opening, sloped))
        through_gate = self.gate.adjoint(dl_du, entered, None, found)
        through_value = self.value.adjoint(dl_dv, entered, out, found)
        return plus(through_gate, through_value, through_value.mantissa)


def _product(a: Scaled, b: Scaled) -> Scaled:
    product = a.mantissa * b.mantissa
    return times(1.0, Scaled(product, a.exponent + b.exponent), product)
