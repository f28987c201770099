"""One step of training: Ω' = Ω − η G, or Ω − η G/(|G| + ε), and likewise of biases.

G = ∂L/∂Ω = (1/N) Σ_n ∂ℓ_n/∂f_n z_nᵀ, where L is the mean of the losses of N inputs. The second rule
is the first step of Adam, whose corrected averages are G and G² there: each number moves by nearly
η. Only what multiplies with z is ever asked for, so that neither G nor Ω' is formed as a whole.

Source: Kingma & Ba 2015, algorithm 1.
"""

from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.sweep_config import Update
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Exponents, Scaled, rescaled

ADAM_EPSILON = 1e-8
"""ε of Adam, as frameworks have it."""
_LEAST = -27  # exponent of ε, about
_TINY = float(np.finfo(float).tiny)


class Tape:
    """Numbers that entered each matrix on the way forward, and the gradient of what left it."""

    def __init__(self) -> None:
        self.entered: dict[int, Scaled] = {}
        """Place of the matrix -> z, (..., units, n_inputs)."""
        self.gradients: dict[int, Scaled] = {}
        """Place of the matrix -> ∂ℓ/∂f, (..., units, n_inputs)."""


class Rule(NamedTuple):
    """G ↦ G/(|G| + ε), number by number, of mantissas with a common exponent for each network."""

    scale: FloatArray
    epsilon: FloatArray

    def __call__(self, gradient: FloatArray) -> FloatArray:
        """Change a gradient in place, and return it."""
        size = np.abs(gradient)
        size *= self.scale
        size += self.epsilon
        return np.divide(gradient, size, out=gradient)


class TrainingStep(NamedTuple):
    """The step of an optimiser from where a network's passes were recorded."""

    update: Update
    tape: Tape

    def rule(self, exponent: Exponents) -> tuple[Rule | None, Exponents]:
        """What is done to the mantissas of a gradient, and the exponent of what that makes.

        Args:
            exponent: That of the gradient, (...).
        """
        if self.update.optimiser == "sgd":
            return None, exponent
        # mantissa/(|mantissa| 2^(e−p) + ε 2^−p) × 2^(e−p) is in range at any exponent e
        common = np.maximum(exponent, _LEAST)
        scale = np.ldexp(1.0, exponent - common)
        epsilon = np.maximum(np.ldexp(ADAM_EPSILON, -common), _TINY)
        broadcast = (..., np.newaxis, np.newaxis)
        return Rule(scale[broadcast], epsilon[broadcast]), exponent - common

    def seen(self, place: int) -> tuple[Scaled, Scaled]:
        """∂ℓ/∂f over the number of inputs, and z, of the matrix at a place."""
        gradient, entered = rescaled(self.tape.gradients[place]), self.tape.entered[place]
        n_inputs = gradient.mantissa.shape[-1]
        return Scaled(gradient.mantissa / n_inputs, gradient.exponent), rescaled(entered)
