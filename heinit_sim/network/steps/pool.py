"""Pool: h = Σ_p z_p / P,   ∂ℓ/∂z_p = ∂ℓ/∂h / P,   p over the P positions of each channel."""

from dataclasses import dataclass

from heinit_sim.network import convolution
from heinit_sim.network.steps.operation import WeightGradients
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled


@dataclass(frozen=True)
class Pooled:
    """The mean over the positions of each channel."""

    positions: int
    """P."""

    def forward(self, z: Scaled, out: FloatArray | None) -> tuple[Scaled, None]:
        """Σ_p z_p / P."""
        return _into(out, convolution.channel_means(z.mantissa, self.positions), z), None

    def adjoint(
        self, gradient: Scaled, kept: None, out: FloatArray | None, found: WeightGradients
    ) -> Scaled:
        """The gradient over P at every position."""
        spread = convolution.channel_means_adjoint(gradient.mantissa, self.positions)
        return _into(out, spread, gradient)


def _into(out: FloatArray | None, numbers: FloatArray, like: Scaled) -> Scaled:
    if out is None:
        return Scaled(numbers, like.exponent)
    out[...] = numbers
    return Scaled(out, like.exponent)
