"""Squared gains as constants: what a config may ask for by a word, without integrating.

Of an activation at pre-activations of variance 1: 1/E[a²], 1/Var[a], and PyTorch's table.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

GainWord = Literal["second_moment", "std", "pytorch"]
Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
"""What `torch.nn.init.calculate_gain` knows, but for its names of convolutions, all linear."""


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
_PYTORCH: dict[Nonlinearity, float] = {
    "linear": 1.0,
    "sigmoid": 1.0,
    "tanh": 25 / 9,
    "relu": 2.0,
    "selu": 9 / 16,
}


def pytorch_squared_gain(nonlinearity: Nonlinearity, negative_slope: float) -> float:
    """The square of `torch.nn.init.calculate_gain`: 2/(1 + α²) for leaky_relu."""
    if nonlinearity == "leaky_relu":
        return 2 / (1 + negative_slope**2)
    return _PYTORCH[nonlinearity]


def squared_gain(
    word: GainWord, activation: str, options: Mapping[str, object] | None = None
) -> float | None:
    """The square of an activation's own gain at pre-activations of variance 1.

    Args:
        word: The convention: second_moment, 1/E[a²]; std, 1/Var[a]; pytorch, calculate_gain's.
        activation: Its name.
        options: What it takes, as `activations.make_activation` has it.

    Returns:
        The square, or None where the activation has no such gain: PyTorch's table lacks it, or
        its slope below zero is another in each layer.
    """
    options = options or {}
    slope = options.get("negative_slope", 0.0)
    if not isinstance(slope, float | int):
        return None
    if word == "pytorch":
        known = activation in get_args(Nonlinearity)
        return pytorch_squared_gain(activation, slope) if known else None  # type: ignore[arg-type]  # as just seen
    moments = _slopes(slope) if options else _UNIT_MOMENTS[activation]
    return 1 / (moments.second if word == "second_moment" else moments.variance)
