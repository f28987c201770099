"""Operations on activations, of which layers are made, each with the adjoint that mirrors it.

    weights     f = β + σ Ω z        ∂ℓ/∂z = σ Ωᵀ ∂ℓ/∂f
    activation  h = a[z]             ∂ℓ/∂z = a'[z] ⊙ ∂ℓ/∂h
    norm        h = (z − μ)/s        ∂ℓ/∂z = (g − mean g − h mean(g h))/s,   g = ∂ℓ/∂h
    mean        h = Σ_p z_p / P      ∂ℓ/∂z_p = ∂ℓ/∂h / P

Arrays have one row per unit and one column per input; leading axes run over networks. What an
operation keeps of its forward pass is handed back to its adjoint; no one else looks at it.

Source: Prince, Understanding Deep Learning (2023), eq. 7.13; Ba et al. 2016, eq. 3 (norm).
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.network import convolution
from heinit_sim.network.moments import UnitMoments, kernel_moments, outer_moments, unit_moments
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, rescaled, times

Kept = Any  # what an operation keeps for its adjoint, of a type of its own


class WeightsByPlace(Protocol):
    """Ω/σ by place: a list, or an object that draws them anew at each look."""

    def __getitem__(self, place: int, /) -> FloatArray: ...


Arithmetic = Literal["plain", "scaled", "settled"]
"""How a layer's numbers are held.

plain: as floats, which biases and most activations need; scaled: as mantissa × 2^exponent;
settled: so too, and a mantissa far from 1 is brought back there.
"""


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
    """A kernel for each pair of channels, the same at every position."""

    convolution: Convolution

    def forward(self, omega: FloatArray, z: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ω z."""
        return convolution.convolve(omega, z, self.convolution, out)

    def adjoint(self, omega: FloatArray, dl_df: FloatArray, out: FloatArray | None) -> FloatArray:
        """Ωᵀ ∂ℓ/∂f."""
        return convolution.convolve_adjoint(omega, dl_df, self.convolution, out)

    def per_unit(self, biases: FloatArray) -> FloatArray:
        """A number for each channel, (..., c, 1), as one for each unit: at all of its positions."""
        return convolution.to_units(biases, self.convolution)

    def kept(self, z: Scaled) -> Scaled:
        """The whole of z: its positions meet those of ∂ℓ/∂f in a sum."""
        return z

    def weight_moments(self, gradient: Scaled, kept: Scaled) -> UnitMoments:
        """Moments of the gradients themselves, which are made a few at a time."""
        return kernel_moments(gradient, kept, self.convolution)


class Weighted(NamedTuple):
    """f = β + σ Ω z."""

    linear: Dense | Convolved
    weights: WeightsByPlace
    place: int
    """Index of Ω/σ among all weights."""
    std: float
    """σ."""
    biases: FloatArray | None = None
    """β, (..., rows of Ω, 1) with 1 for any leading length."""
    arithmetic: Arithmetic = "settled"
    """How f is held; ∂ℓ/∂z is always mantissa × 2^exponent."""
    measured: bool = True
    """Whether z is kept for the moments of ∂ℓ/∂Ω; else those of h_k and ∂ℓ/∂f_k tell them."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """f, and what `weight_moments` needs of z; None if it is not asked for."""
        f = self.linear.forward(self.weights[self.place], z.mantissa, out)
        kept = self.linear.kept(self._squarable(z)) if self.measured else None
        if self.arithmetic != "plain":
            settle = self.arithmetic == "settled"
            return times(self.std, Scaled(f, z.exponent), f, settle=settle), kept
        with np.errstate(over="ignore"):  # of a network that is lost
            f *= self.std
        if self.biases is not None:
            f += self.linear.per_unit(self.biases)
        return Scaled(f, z.exponent), kept

    def adjoint(self, gradient: Scaled, kept: Kept, out: FloatArray | None) -> Scaled:
        """∂ℓ/∂z, rescaled on the way: the gradient is linear whatever the activation."""
        dl_dz = self.linear.adjoint(self.weights[self.place], gradient.mantissa, out)
        settle = self.arithmetic != "scaled"
        return times(self.std, Scaled(dl_dz, gradient.exponent), dl_dz, settle=settle)

    def weight_moments(self, gradient: Scaled, kept: Kept) -> UnitMoments:
        """Mean and variance over all weights of ∂ℓ/∂Ω, for each input, if this is `measured`."""
        return self.linear.weight_moments(self._squarable(gradient), kept)

    def _squarable(self, z: Scaled) -> Scaled:
        """Bring the numbers well inside float range, where all but plain floats are already."""
        return rescaled(z) if self.arithmetic == "plain" else z


@dataclass(frozen=True)
class Activated:
    """a[z], elementwise."""

    activation: Activation

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """a[z], and a'[z]; a factor of z is one of a[z] wherever it is carried as an exponent."""
        out = np.empty_like(z.mantissa) if out is None else out
        h = self.activation.value(z.mantissa, out)
        return Scaled(h, z.exponent), self.activation.derivative(z.mantissa)

    def adjoint(self, gradient: Scaled, kept: Kept, out: FloatArray | None) -> Scaled:
        """a'[z] ⊙ g."""
        return Scaled(np.multiply(kept, gradient.mantissa, out=out), gradient.exponent)


@dataclass(frozen=True)
class Normalised:
    """Layer normalisation over the units of each input, without gain, bias or ε.

    An input without spread over the units becomes 0 and passes no gradient.
    """

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """(z − μ)/s; kept: the result, 1/s and the exponent that it no longer has."""
        centred = np.subtract(z.mantissa, z.mantissa.mean(axis=-2, keepdims=True), out=out)
        squares = np.einsum("...un,...un->...n", centred, centred)[..., np.newaxis, :]
        std = np.sqrt(squares / centred.shape[-2])
        inverse = np.divide(1.0, std, out=np.zeros_like(std), where=std != 0)
        centred *= inverse
        return Scaled(centred, np.zeros_like(z.exponent)), (centred, inverse, z.exponent)

    def adjoint(self, gradient: Scaled, kept: Kept, out: FloatArray | None) -> Scaled:
        """(g − mean g − h mean(g h))/s."""
        h, inverse, exponent = kept
        g = gradient.mantissa
        along = np.einsum("...un,...un->...n", g, h)[..., np.newaxis, :] / h.shape[-2]
        dl_dz = np.subtract(g, g.mean(axis=-2, keepdims=True), out=out)
        dl_dz -= along * h
        dl_dz *= inverse
        return Scaled(dl_dz, gradient.exponent - exponent)


@dataclass(frozen=True)
class Pooled:
    """The mean over the positions of each channel."""

    convolution: Convolution

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, None]:
        """Σ_p z_p / P."""
        return Scaled(convolution.channel_means(z.mantissa, self.convolution), z.exponent), None

    def adjoint(self, gradient: Scaled, kept: None, out: FloatArray | None) -> Scaled:
        """The gradient over P at every position."""
        spread = convolution.channel_means_adjoint(gradient.mantissa, self.convolution)
        if out is not None:
            out[...] = spread
        return Scaled(spread if out is None else out, gradient.exponent)


Operation = Weighted | Activated | Normalised | Pooled
"""One step of a branch: `forward` gives its result and what `adjoint` needs of the way there."""
