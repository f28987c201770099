"""One row per activation: all that is known of it without evaluating it.

A new activation is a row here and its a(z), a'(z) in `heinit_sim.activations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # NumPy is not needed to read a config
    from heinit_sim.numerics import FloatArray, Mask

Slope = float | tuple[float, ...]
"""α, the slope below zero: one number for all hidden layers, or one for each."""


@dataclass(frozen=True)
class Activation:
    """An activation function a and its derivative, elementwise."""

    value: Callable[[FloatArray, FloatArray], FloatArray]
    """a(z) of the first array into the second, which is returned."""
    derivative: Callable[[FloatArray], FloatArray | Mask]
    """a'(z); at a kink the slope below it, as booleans where it is only ever 0 or 1."""
    negative_slope: Slope | None = None
    """α if a is positively homogeneous: slope 1 above zero, α below; None for all others."""
    kinks: tuple[float, ...] = ()
    """Where a or a derivative of it jumps; of a periodic function, where its quadrants end."""
    period: float = math.inf
    """Number that can be added to z and leaves a(z) as it is."""
    by_layer: tuple[Activation, ...] = ()
    """The activations of the hidden layers, where they differ."""
    together: Callable[[FloatArray, FloatArray], FloatArray] | None = None
    """`both`, where one takes most of what the other does."""

    def both(self, z: FloatArray, out: FloatArray) -> FloatArray | Mask:
        """a(z) into the second array; a'(z) is returned."""
        if self.together:
            return self.together(z, out)
        self.value(z, out)
        return self.derivative(z)

    @property
    def common_slope(self) -> float | None:
        """α where one serves all layers of a positively homogeneous activation."""
        return None if isinstance(self.negative_slope, tuple) else self.negative_slope

    def layer(self, k: int) -> Activation:
        """The activation that follows f_k."""
        return self.by_layer[k] if self.by_layer else self


class GaussianMoments(NamedTuple):
    """Moments of a(z), z ~ N(0, 1)."""

    second: float
    """E[a²]."""
    variance: float
    """E[a²] − E[a]²."""


class Entry(NamedTuple):
    """One activation; what depends on its option is a function of that."""

    name: str
    """Proper name, as literature has it."""
    formula: str
    """a(z) as the table of gains writes it."""
    moments: GaussianMoments | Callable[[float], GaussianMoments]
    torch_squared_gain: float | Callable[[float], float] | None = None
    """The square of `torch.nn.init.calculate_gain`; None where PyTorch knows none."""
    negative_slope: float | None = None
    """PyTorch's default of the option `negative_slope`; None where there is no such option."""
    frequency: float | None = None
    """Default of the option `frequency`; None where there is no such option."""
    aliases: tuple[str, ...] = ()


def rectifier_moments(negative_slope: float) -> GaussianMoments:
    """Second moment (1 + α²)/2 and variance, less by (1 − α)²/2π, of slope 1 above 0, α below."""
    second = (1 + negative_slope**2) / 2
    return GaussianMoments(second, second - (1 - negative_slope) ** 2 / (2 * math.pi))


def _centred(second: float) -> GaussianMoments:
    return GaussianMoments(second, second)


def _sine_moments(frequency: float) -> GaussianMoments:
    return _centred(-math.expm1(-2 * frequency**2) / 2)


TABLE: dict[str, Entry] = {
    "relu": Entry("ReLU", "max(z, 0)", rectifier_moments(0.0), 2.0),
    "leaky_relu": Entry(
        "leaky ReLU",
        "z above 0, α z below",
        rectifier_moments,
        lambda negative_slope: 2 / (1 + negative_slope**2),
        negative_slope=0.01,
    ),
    "linear": Entry("linear", "z", rectifier_moments(1.0), 1.0),
    # Moments that are numbers are integrals to 17 digits.
    "tanh": Entry("tanh", "tanh z", _centred(0.39429449039784117), 25 / 9),
    "sigmoid": Entry(
        "sigmoid", "1/(1 + e^−z)", GaussianMoments(0.29337903585809296, 0.043379035858092963), 1.0
    ),
    "erf": Entry("erf", "erf z", _centred(2 / math.pi * math.asin(2 / 3))),
    "hard_tanh": Entry("hard tanh", "z, cut at −1 and 1", _centred(0.5160585509617133)),
    "softsign": Entry("softsign", "z/(1 + |z|)", _centred(0.1830140212665475)),
    "elu": Entry(
        "ELU", "z above 0, e^z − 1 below", GaussianMoments(0.64494541749292386, 0.61917856337214122)
    ),
    "selu": Entry("SELU", "1.0507 z above 0, 1.7581 (e^z − 1) below", _centred(1.0), 9 / 16),
    "gelu": Entry("GELU", "z Φ(z)", GaussianMoments(0.42522148257029868, 0.34564401102435101)),
    "gelu_tanh": Entry(
        "GELU (tanh)",
        "z (1 + tanh(√(2/π) (z + 0.044715 z³)))/2",
        GaussianMoments(0.42519371103309945, 0.34564794586762279),
    ),
    "silu": Entry(
        "SiLU",
        "z/(1 + e^−z)",
        GaussianMoments(0.35577551981735216, 0.31308329699442092),
        aliases=("swish",),
    ),
    "mish": Entry(
        "Mish", "z tanh(ln(1 + e^z))", GaussianMoments(0.45234219237588277, 0.39454816283016359)
    ),
    "softplus": Entry(
        "softplus", "ln(1 + e^z)", GaussianMoments(0.92124590885930028, 0.27151450180055873)
    ),
    "relu6": Entry(
        "ReLU6", "z, cut at 0 and 6", GaussianMoments(0.49999999807527048, 0.34084505510812996)
    ),
    "prelu": Entry("PReLU", "z above 0, α z below", rectifier_moments, negative_slope=0.25),
    "sin": Entry("sine", "sin ωz, ω = 1", _sine_moments, frequency=1.0),
}
ALIASES = {alias: name for name, row in TABLE.items() for alias in row.aliases}
"""Second name -> first name."""
DEFAULT_SLOPES = {
    name: row.negative_slope for name, row in TABLE.items() if row.negative_slope is not None
}
"""Activation with the option `negative_slope` -> its default."""
DEFAULT_FREQUENCIES = {
    name: row.frequency for name, row in TABLE.items() if row.frequency is not None
}
"""Activation with the option `frequency` -> its default."""
DEFAULT_ACTIVATION = "relu"

if TYPE_CHECKING:
    ActivationName = str
    Nonlinearity = str
else:
    ActivationName = Literal[(*TABLE, *ALIASES)]
    Nonlinearity = Literal[tuple(n for n, row in TABLE.items() if row.torch_squared_gain)]
