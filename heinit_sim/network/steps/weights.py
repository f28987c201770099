"""Weights: f = β + σ Ω z,   ∂ℓ/∂z = σ Ωᵀ ∂ℓ/∂f,   ∂ℓ/∂Ω = ∂ℓ/∂f zᵀ of each input.

Source: Prince, Understanding Deep Learning (2023), eq. 7.13.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from heinit_sim.experiment.steps import Window
from heinit_sim.network import batch_gradients, convolution
from heinit_sim.network.batch_gradients import BatchGradient
from heinit_sim.network.moments import UnitMoments, kernel_moments, outer_moments, unit_moments
from heinit_sim.network.steps.operation import (
    LARGEST,
    Arithmetic,
    Kept,
    WeightGradient,
    WeightGradients,
    largest,
    squarable,
    squared_sizes,
)
from heinit_sim.network.steps.training import Rule, Tape, TrainingStep
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Factor, Scaled, plus, rescaled, times

_PIECE = 2**15  # numbers of a matrix that stay in the cache


class WeightsByPlace(Protocol):
    """Ω/σ by place: a list, or an object that draws them anew at each look."""

    def __getitem__(self, place: int, /) -> FloatArray: ...


class Entered(NamedTuple):
    """All that the gradient by Ω needs of z."""

    kept: Kept
    """From `Dense.kept` or `Convolved.kept`, for the moments by input; None if they are not asked
    for."""
    z: Scaled | None
    """z itself, for the gradient of the batch's mean loss; None if that is not asked for."""


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

    def per_row(self, dl_df: FloatArray) -> FloatArray:
        """The sum over inputs of ∂ℓ/∂β, one number for each row of Ω, (..., rows, 1)."""
        summed: FloatArray = dl_df.sum(axis=-1, keepdims=True)
        return summed

    def change(
        self, dl_df: FloatArray, entered: FloatArray, z: FloatArray, rule: Rule | None
    ) -> FloatArray:
        """G z for G = ∂ℓ/∂f hᵀ, each number of G put through a rule if one is given.

        Args:
            dl_df: ∂ℓ/∂f, (..., rows, n_inputs).
            entered: h, what entered then, (..., columns, n_inputs).
            z: What enters now, of the same shape.
            rule: Changes some rows of G in place.
        """
        n_rows, n_columns, n_inputs = dl_df.shape[-2], *z.shape[-2:]
        transposed = entered.swapaxes(-1, -2)
        if rule is None and n_inputs <= min(n_rows, n_columns):
            return dl_df @ (transposed @ z)
        out = np.empty_like(dl_df)
        size = max(_PIECE // n_columns, 1)
        for start in range(0, n_rows, size):
            rows = slice(start, start + size)
            gradient = dl_df[..., rows, :] @ transposed
            np.matmul(rule(gradient) if rule else gradient, z, out=out[..., rows, :])
        return out

    def kept(self, z: Scaled) -> UnitMoments:
        """The moments of z: one factor of the outer product."""
        return unit_moments(z)

    def gradients(
        self, dl_df: Scaled, entered: Entered
    ) -> tuple[UnitMoments | None, BatchGradient | None]:
        """Moments of ∂ℓ/∂Ω by input, and the batch's gradient: what is asked for of both."""
        kept, z = entered
        moments = None if kept is None else outer_moments(unit_moments(dl_df), kept)
        return moments, None if z is None else batch_gradients.of_outer_products(dl_df, z)


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

    def per_row(self, dl_df: FloatArray) -> FloatArray:
        """The sum over inputs of ∂ℓ/∂β, one number for each channel: over its positions, too."""
        *leading, n_units, n_inputs = dl_df.shape
        positions = self.window.positions_out
        by_channel = dl_df.reshape(*leading, n_units // positions, positions * n_inputs)
        summed: FloatArray = by_channel.sum(axis=-1, keepdims=True)
        return summed

    def change(
        self, dl_df: FloatArray, entered: FloatArray, z: FloatArray, rule: Rule | None
    ) -> FloatArray:
        """G z for kernels G = ∂ℓ/∂Ω, summed over inputs and put through a rule if one is given."""
        kernels = convolution.weight_gradient(dl_df, entered, self.window)
        if rule is not None:
            shape = kernels.shape
            kernels = rule(kernels.reshape(*shape[:-2], -1)).reshape(shape)
        return convolution.convolve(kernels, z, self.window)

    def kept(self, z: Scaled) -> Scaled:
        """The whole of z: its positions meet those of ∂ℓ/∂f in a sum."""
        return z

    def gradients(
        self, dl_df: Scaled, entered: Entered
    ) -> tuple[UnitMoments, BatchGradient | None]:
        """Moments of ∂ℓ/∂Ω, taken of a few inputs at a time, and the batch's gradient."""
        h, window = entered.kept, self.window
        if entered.z is None:
            return kernel_moments(dl_df, h, window), None
        leading, groups = dl_df.mantissa.shape[:-2], window.groups
        c_out = dl_df.mantissa.shape[-2] // window.positions_out // groups
        c_in = h.mantissa.shape[-2] // window.positions // groups
        total = np.zeros((*leading, groups, c_out * window.taps * c_in))
        flat = total.reshape(-1, total.shape[-1])
        moments = kernel_moments(dl_df, h, window, flat)
        total = total.reshape(*leading, -1)
        return moments, batch_gradients.of_kernels(total, moments, dl_df, window.positions_out)


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
    n_biases: int
    """Rows of Ω."""
    biases: FloatArray | None = None
    """β, (..., rows of Ω, 1) with 1 for any leading length."""
    arithmetic: Arithmetic = "settled"
    """How f is held; ∂ℓ/∂z is always mantissa × 2^exponent."""
    measured: bool = True
    """Whether z is kept for the moments of ∂ℓ/∂Ω; else those of h_k and ∂ℓ/∂f_k tell them."""
    batch: bool = False
    """Whether the gradient of the batch's mean loss is taken, too."""
    may_vanish: bool = False
    """Whether f may be too small for plain floats, as where it is added to something larger."""
    tape: Tape | None = None
    """Takes what enters, and the gradient of the result, if it is asked for."""
    training: TrainingStep | None = None
    """The step of training that has changed Ω and β, if one has."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Entered | None]:
        """f, and what `adjoint` needs of z for ∂ℓ/∂Ω; None if nothing of that is asked for."""
        return self.product(z, out), self.kept(z)

    def adjoint(
        self, gradient: Scaled, kept: Entered | None, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """∂ℓ/∂z, rescaled on the way: the gradient is linear whatever the activation."""
        if self.tape is not None:
            self.tape.gradients[self.place] = gradient
        if kept is not None:
            dl_df = squarable(gradient, self.arithmetic)
            of_matrix = self.linear.gradients(dl_df, kept)
            found.append(WeightGradient(*of_matrix, self.n_weights, self.n_biases))
        dl_dz = self.linear.adjoint(self.weights[self.place], gradient.mantissa, out)
        settle = self.arithmetic != "scaled"
        return times(self.std, Scaled(dl_dz, gradient.exponent), dl_dz, settle=settle)

    def kept(self, z: Scaled) -> Entered | None:
        """Return all that `adjoint` needs of z, alike for all weights of one kind that z enters."""
        if not (self.measured or self.batch):
            return None
        z = squarable(z, self.arithmetic)
        return Entered(self.linear.kept(z) if self.measured else None, z if self.batch else None)

    def product(self, z: Scaled, out: FloatArray | None) -> Scaled:
        """The result alone."""
        if self.tape is not None:
            self.tape.entered[self.place] = z
        f = self.linear.forward(self.weights[self.place], z.mantissa, out)
        if self.arithmetic != "plain":
            settle = self.arithmetic == "settled"
            result = times(self.std, Scaled(f, z.exponent), f, settle=settle)
            return (
                result if self.training is None else plus(self._change(self.training, z), result, f)
            )
        with np.errstate(over="ignore"):  # of a network that is lost
            f *= self.std if isinstance(self.std, float) else self.std[..., np.newaxis, np.newaxis]
        if self.biases is not None:
            f += self.linear.per_unit(self.biases)
        if self.training is not None:
            change = self._change(self.training, z)
            with np.errstate(over="ignore", invalid="ignore"):  # of a network that is lost
                exponent = (change.exponent - z.exponent)[..., np.newaxis, np.newaxis]
                f += np.ldexp(change.mantissa, exponent)
        squared_norm = squared_sizes(f)
        lost = ~(squared_norm < LARGEST**2)
        small = squared_norm <= 1 / LARGEST**2
        if small.any() and not self.may_vanish:
            # Zeros among the weights or in z make zeros; only products that are small are lost.
            entered = largest(z.mantissa)
            lost |= small & (entered > 0) & (self.std > 0) & (entered * self.std < 1 / LARGEST)
        f[lost] = np.nan
        return Scaled(f, z.exponent)

    def _change(self, training: TrainingStep, z: Scaled) -> Scaled:
        """ΔΩ z + Δβ."""
        dl_df, entered = training.seen(self.place)
        z = rescaled(z)
        rule, exponent = training.rule(dl_df.exponent + entered.exponent)
        product = self.linear.change(dl_df.mantissa, entered.mantissa, z.mantissa, rule)
        rate = -training.update.rates[self.place]
        change = times(rate, Scaled(product, exponent + z.exponent), product)
        if self.biases is None:
            return change
        rule, exponent = training.rule(dl_df.exponent)
        gradient = self.linear.per_row(dl_df.mantissa)
        shifts = self.linear.per_unit(gradient if rule is None else rule(gradient))
        rate = -training.update.bias_rates[self.place]
        shift = times(rate, Scaled(shifts, exponent), np.empty_like(shifts))
        return plus(shift, change, product)
