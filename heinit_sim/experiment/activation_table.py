"""Names of activations and what is known of each without evaluating it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # NumPy is not needed to read a config
    from heinit_sim.numerics import FloatArray, Mask

Slope = float | tuple[float, ...]
"""Of all hidden layers, or of each of them."""


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
    """What can be added to z."""
    by_layer: tuple[Activation, ...] = ()
    """The activations of the hidden layers, where they differ."""

    @property
    def common_slope(self) -> float | None:
        """α where one serves all layers of a positively homogeneous activation."""
        return None if isinstance(self.negative_slope, tuple) else self.negative_slope

    def layer(self, k: int) -> Activation:
        """The activation that follows f_k."""
        return self.by_layer[k] if self.by_layer else self


ALIASES = {"swish": "silu"}
"""Second names."""

ActivationName = Literal[
    "relu",
    "leaky_relu",
    "linear",
    "tanh",
    "sigmoid",
    "erf",
    "hard_tanh",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "gelu_tanh",
    "silu",
    "mish",
    "softplus",
    "relu6",
    "prelu",
    "sin",
    "swish",
]
DEFAULT_ACTIVATION: ActivationName = "relu"
DEFAULT_SLOPES: dict[str, float] = {"leaky_relu": 0.01, "prelu": 0.25}
"""Of the activations that take a negative_slope: PyTorch's."""


class UnitMoments(NamedTuple):
    """Moments of a(z), z ~ N(0, 1)."""

    second: float
    """E[a²]."""
    variance: float
    """E[a²] − E[a]²."""


def _slopes(negative_slope: float) -> UnitMoments:
    """Of slope 1 above zero and α below: (1 + α²)/2, and that less (1 − α)²/2π."""
    second = (1 + negative_slope**2) / 2
    return UnitMoments(second, second - (1 - negative_slope) ** 2 / (2 * math.pi))


# Integrals to 17 digits.
_UNIT_MOMENTS: dict[str, UnitMoments] = {
    "relu": _slopes(0.0),
    "linear": _slopes(1.0),
    "tanh": UnitMoments(0.39429449039784117, 0.39429449039784117),
    "sigmoid": UnitMoments(0.29337903585809296, 0.043379035858092963),
    "erf": UnitMoments(2 / math.pi * math.asin(2 / 3), 2 / math.pi * math.asin(2 / 3)),
    "hard_tanh": UnitMoments(0.5160585509617133, 0.5160585509617133),
    "softsign": UnitMoments(0.1830140212665475, 0.1830140212665475),
    "elu": UnitMoments(0.64494541749292386, 0.61917856337214122),
    "selu": UnitMoments(1.0, 1.0),
    "gelu": UnitMoments(0.42522148257029868, 0.34564401102435101),
    "gelu_tanh": UnitMoments(0.42519371103309945, 0.34564794586762279),
    "silu": UnitMoments(0.35577551981735216, 0.31308329699442092),
    "mish": UnitMoments(0.45234219237588277, 0.39454816283016359),
    "softplus": UnitMoments(0.92124590885930028, 0.27151450180055873),
    "relu6": UnitMoments(0.49999999807527048, 0.34084505510812996),
    "sin": UnitMoments(0.43233235838169365, 0.43233235838169365),
}
_UNIT_MOMENTS["swish"] = _UNIT_MOMENTS["silu"]
