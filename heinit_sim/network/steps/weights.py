"""Weights: f = β + σ Ω z,   ∂ℓ/∂z = σ Ωᵀ ∂ℓ/∂f,   ∂ℓ/∂Ω = ∂ℓ/∂f zᵀ of each input.

Source: Prince, Understanding Deep Learning (2023), eq. 7.13.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from heinit_sim.experiment.steps import Window
from heinit_sim.network import convolution
from heinit_sim.network.moments import UnitMoments, kernel_moments, outer_moments, unit_moments
from heinit_sim.network.steps.operation import (
    LARGEST,
    Arithmetic,
    Kept,
    WeightMoments,
    largest,
    squarable,
    squared_sizes,
)
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Factor, Scaled, times


class WeightsByPlace(Protocol):
    """Ω/σ by place: a list, or an object that draws them anew at each look."""

    def __getitem__(self, place: int, /) -> FloatArray: ...


class Dense:
    """Every unit is connected with every other: ∂ℓ/∂Ω is the outer product of ∂ℓ/∂f and z.

    `Convolved` has the same methods, for another linear map from units to units.
    """

    def forward(self, omega: FloatArray, z: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ω z."""
        return np.matmul(omega, z, out=out)

    def adjoint(self, omega: FloatArray, dl_df: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ωᵀ ∂ℓ/∂f."""
        return np.matmul(omega.swapaxes(-1, -2), dl_df, out=out)

    def per_unit(self, biases: FloatArray) -> FloatArray:
        """A number for each row of Ω, (..., rows, 1), as one for each unit."""
        return biases

    def kept(self, z: Scaled) -> UnitMoments:
        """The moments of z: one factor of the outer product."""
        return unit_moments(z)

    def weight_moments(self, gradient: Scaled, kept: UnitMoments) -> UnitMoments:
        """Moments of the outer product, from those of both factors."""
        return outer_moments(unit_moments(gradient), kept)


@dataclass(frozen=True)
class Convolved:
    """A kernel for each pair of channels of a group, the same at every position."""

    window: Window

    def forward(self, omega: FloatArray, z: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ω z."""
        return convolution.convolve(omega, z, self.window, out)

    def adjoint(self, omega: FloatArray, dl_df: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ωᵀ ∂ℓ/∂f."""
        return convolution.convolve_adjoint(omega, dl_df, self.window, out)

    def per_unit(self, biases: FloatArray) -> FloatArray:
        """A number for each channel, (..., c, 1), as one for each unit: at all of its positions."""
        return convolution.to_units(biases, self.window.positions_out)

    def kept(self, z: Scaled) -> Scaled:
        """The whole of z: its positions meet those of ∂ℓ/∂f in a sum."""
        return z

    def weight_moments(self, gradient: Scaled, kept: Scaled) -> UnitMoments:
        """Moments of the gradients themselves, which are made a few at a time."""
        return kernel_moments(gradient, kept, self.window)


class Weighted(NamedTuple):
    """f = β + σ Ω z."""

    linear: Dense | Convolved
    weights: WeightsByPlace
    place: int
    """Index of Ω/σ among all weights."""
    std: Factor
    """σ, or one for each network of the stack, (..., 1)."""
    n_weights: int
    """Numbers in Ω."""
    biases: FloatArray | None = None
    """β, (..., rows of Ω, 1) with 1 for any leading length."""
    arithmetic: Arithmetic = "settled"
    """How f is held; ∂ℓ/∂z is always mantissa × 2^exponent."""
    measured: bool = True
    """Whether z is kept for the moments of ∂ℓ/∂Ω; else those of h_k and ∂ℓ/∂f_k tell them."""
    may_vanish: bool = False
    """Whether f may be too small for plain floats, as where it is added to something larger."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """f, and what `adjoint` needs of z for the moments; None if they are not asked for."""
        return self.product(z, out), self.kept(z)

    def adjoint(
        self, gradient: Scaled, kept: Kept, out: FloatArray | None, found: WeightMoments
    ) -> Scaled:
        """∂ℓ/∂z, rescaled on the way: the gradient is linear whatever the activation."""
        if self.measured:
            dl_df = squarable(gradient, self.arithmetic)
            found.append((self.linear.weight_moments(dl_df, kept), self.n_weights))
        dl_dz = self.linear.adjoint(self.weights[self.place], gradient.mantissa, out)
        settle = self.arithmetic != "scaled"
        return times(self.std, Scaled(dl_dz, gradient.exponent), dl_dz, settle=settle)

    def kept(self, z: Scaled) -> Kept:
        """Return all that `adjoint` needs of z, alike for all weights of one kind that z enters."""
        return self.linear.kept(squarable(z, self.arithmetic)) if self.measured else None

    def product(self, z: Scaled, out: FloatArray | None) -> Scaled:
        """The result alone."""
        f = self.linear.forward(self.weights[self.place], z.mantissa, out)
        if self.arithmetic != "plain":
            settle = self.arithmetic == "settled"
            return times(self.std, Scaled(f, z.exponent), f, settle=settle)
        with np.errstate(over="ignore"):  # of a network that is lost
            f *= self.std if isinstance(self.std, float) else self.std[..., np.newaxis, np.newaxis]
        if self.biases is not None:
            f += self.linear.per_unit(self.biases)
        squared_norm = squared_sizes(f)
        lost = ~(squared_norm < LARGEST**2)
        small = squared_norm <= 1 / LARGEST**2
        if small.any() and not self.may_vanish:
            # Zeros among the weights or in z make zeros; only products that are small are lost.
            entered = largest(z.mantissa)
            lost |= small & (entered > 0) & (self.std > 0) & (entered * self.std < 1 / LARGEST)
        f[lost] = np.nan
        return Scaled(f, z.exponent)
