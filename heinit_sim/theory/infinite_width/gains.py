"""Activation -> gain in each convention in use, and what it does to both passes.

weights of variance gain²/fan_in:   q → gain² E[a(√q z)²]   χ₁ = gain² E[a'(√q z)²]   z ~ N(0, 1)

A gain may keep q = 1 and yet be of no use: where the slope of that map, gain² E[f a a']/q, is above
1, a deviation grows from layer to layer, and every network of finite width deviates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import ALIASES, DEFAULT_SLOPES, Activation
from heinit_sim.experiment.initializers import GainWord, squared_gain
from heinit_sim.experiment.spelling import correction
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.edge_of_chaos import length_slopes
from heinit_sim.theory.infinite_width.quadrature import layer_moments

LAYERS = 50
ERROR = 0.1
"""Relative error of the first variance that is followed through them."""
_SAME = 1e-9  # that much from 1, quadrature and rounding tell no difference
FixedPoint = Literal["", "attracts", "neutral", "repels"]

# Brock et al. 2021 publish these for their convention; samples gave them.
PUBLISHED: dict[str, float] = {"relu": 1.7140, "gelu": 1.7015, "silu": 1.7881}


@dataclass(frozen=True)
class Convention:
    """A way to choose the gain of an activation, by what it is meant to keep."""

    formula: str
    source: str
    remark: str


CONVENTIONS: dict[GainWord, Convention] = {
    "second_moment": Convention(
        "1/√E[a²]",
        "He et al. 2015, Delving Deep into Rectifiers, sec. 2.2, for any activation",
        "keeps the second moment of the activations, plain weights",
    ),
    "std": Convention(
        "1/std[a]",
        "Brock et al. 2021, normaliser-free nets with scaled weight standardization",
        "keeps the variance if every row of weights is centred; plain ones add E[a]²",
    ),
    "pytorch": Convention(
        "PyTorch",
        "torch.nn.init.calculate_gain",
        "tanh 5/3 and SELU 3/4 keep neither exactly; leaky_relu has √(2/(1+α²))",
    ),
}


@dataclass(frozen=True)
class Gain:
    """A gain, and what becomes of both passes with it, from pre-activations of variance 1 on."""

    convention: GainWord
    """Key of `CONVENTIONS`."""
    value: float
    forward: float
    """gain² E[a²]: by what the variance of the pre-activations grows in the first layer."""
    chi1: float
    """χ₁ = gain² E[a'²]: by what the squared gradient grows there."""
    forward_over_layers: float
    """Variance of the pre-activations behind `LAYERS` layers."""
    backward_over_layers: float
    """By what the squared gradient grows on its way back through them."""
    length_slope: float
    """dq'/dq at q = 1: by what a small error of the variance grows per layer."""
    forward_from_less: float
    """Variance of the pre-activations behind the layers if it is 1 − `ERROR` before them."""
    forward_from_more: float
    """Variance after those layers, from 1 + `ERROR` on."""

    @property
    def fixed_point(self) -> FixedPoint:
        """Say what q = 1 does to variances near it; empty if it is no fixed point of the layers."""
        if abs(self.forward - 1) > _SAME:
            return ""
        if abs(self.length_slope - 1) <= _SAME:
            return "neutral"
        return "repels" if self.length_slope > 1 else "attracts"


@dataclass(frozen=True)
class Gains:
    """Moments and gains of one activation at pre-activations of variance 1."""

    activation: str
    options: Mapping[str, float]
    homogeneous: bool
    """Whether the numbers hold at any variance of the pre-activations."""
    mean: float
    """E[a]."""
    second_moment: float
    """E[a²]."""
    slope: float
    """E[a'²]."""
    gains: tuple[Gain, ...]
    """One for each convention that has one."""


@cache
def gains_of(name: str) -> Gains:
    """The gains of an activation, leaky_relu with a slope of 0.01 and prelu with one of 0.25.

    Raises:
        ConfigError: No activation has that name.
    """
    name = ALIASES.get(name, name)
    if name not in ACTIVATIONS:
        meant = correction(name, [*ACTIVATIONS, *ALIASES])
        hint = f"; did you mean {meant!r}?" if meant else ""
        known = f"must be one of {', '.join(ACTIVATIONS)}"
        raise ConfigError([f"unknown activation ({name!r}), {known}{hint}"])
    options = {"negative_slope": DEFAULT_SLOPES[name]} if name in DEFAULT_SLOPES else {}
    activation = make_activation(name, options)
    mean, second, _, slope = map(float, layer_moments(activation, np.array(1.0)))
    squares = {key: squared_gain(key, name, options) for key in CONVENTIONS}
    gains = [_gain(activation, key, math.sqrt(square)) for key, square in squares.items() if square]
    homogeneous = activation.negative_slope is not None
    return Gains(name, options, homogeneous, mean, second, slope, tuple(gains))


def all_gains() -> list[Gains]:
    """The gains of all activations."""
    return [gains_of(name) for name in ACTIVATIONS]


def _gain(activation: Activation, convention: GainWord, value: float) -> Gain:
    """Follow the length map through the layers from 1 and near it, and gradients back from 1."""
    q: FloatArray = np.array([1.0, 1 - ERROR, 1 + ERROR])
    length_slope = value**2 * float(length_slopes(activation, np.array(1.0)))
    lengths, factors = [], []
    for _ in range(LAYERS):
        moments = layer_moments(activation, q)
        q = value**2 * moments.second
        lengths.append(q)
        factors.append(value**2 * float(moments.slope[0]))
    first, (last, less, more) = float(lengths[0][0]), map(float, lengths[-1])
    return Gain(
        convention, value, first, factors[0], last, math.prod(factors), length_slope, less, more
    )
