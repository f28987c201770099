"""The two passes that every step has, and the arithmetic that it does them in.

Arrays have one row per unit and one column per input; leading axes run over networks. What an
operation keeps of its forward pass is handed back to its adjoint; no one else looks at it. In plain
arithmetic an operation that makes weights' results makes NaN of a network that float range loses.
"""

from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from heinit_sim.network.batch_gradients import BatchGradient
from heinit_sim.network.moments import UnitMoments
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled, rescaled, squared_norms

Kept = Any  # what an operation keeps for its adjoint, of a type of its own


class WeightGradient(NamedTuple):
    """All that is taken of the gradient of one matrix and its biases."""

    moments: UnitMoments | None
    """Moments of ∂ℓ/∂Ω by input; None where those of h_k and ∂ℓ/∂f_k tell them."""
    batch: BatchGradient | None
    """Mean squares of the gradient of the batch's mean loss, if they are asked for."""
    n_weights: int
    """Numbers in Ω."""
    n_biases: int
    """Rows of Ω."""


WeightGradients = list[WeightGradient]
"""The gradients of several matrices, one after another."""
LARGEST = 2.0**500
"""Plain floats end here: their squares must leave room for the sum of a layer."""
Arithmetic = Literal["plain", "scaled", "settled"]
"""How a layer's numbers are held.

plain: as floats, which biases and most activations need; scaled: as mantissa × 2^exponent;
settled: so too, and a mantissa far from 1 is brought back there.
"""


class Operation(Protocol):
    """A step of a layer, from what enters it to its result, and back."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, Kept]:
        """The result, in `out` if that is given, and what `adjoint` needs of the way there."""
        ...

    def adjoint(
        self, gradient: Scaled, kept: Kept, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """∂ℓ/∂z, in `out` if that is given; gradients of weights are appended to `found`."""
        ...


def squarable(z: Scaled, arithmetic: Arithmetic) -> Scaled:
    """Bring the numbers well inside float range, where all but plain floats are already."""
    return rescaled(z) if arithmetic == "plain" else z


def largest(z: FloatArray) -> FloatArray:
    """The largest size of a network's numbers, (...)."""
    size: FloatArray = np.maximum(z.max(axis=(-1, -2)), -z.min(axis=(-1, -2)))
    return size


def squared_sizes(z: FloatArray) -> FloatArray:
    """The sum of squares of a network's numbers, (...), infinite beyond float range."""
    with np.errstate(over="ignore"):
        return squared_norms(z)


def lost_networks(z: FloatArray) -> Mask:
    """Which networks an operation has made NaN, (...)."""
    lost: Mask = np.isnan(z[..., 0, 0])
    return lost
