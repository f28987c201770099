"""Activation -> gain in each convention in use, and what it does to both passes.

weights of variance gain²/fan_in:   q → gain² E[a(√q z)²]   χ₁ = gain² E[a'(√q z)²]   z ~ N(0, 1)
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import ALIASES, DEFAULT_SLOPES, Activation
from heinit_sim.experiment.initializers import GainWord, squared_gain
from heinit_sim.experiment.spelling import correction
from heinit_sim.theory.infinite_width.quadrature import layer_moments

LAYERS = 50

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
        raise ConfigError([f"ACTIVATION: error: unknown activation ({name!r}), {known}{hint}"])
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
    """Follow the length map through the layers, and the gradient back through them."""
    lengths, factors = [1.0], []
    for _ in range(LAYERS):
        moments = layer_moments(activation, np.array(lengths[-1]))
        lengths.append(value**2 * float(moments.second))
        factors.append(value**2 * float(moments.slope))
    return Gain(convention, value, lengths[1], factors[0], lengths[-1], math.prod(factors))
