"""Networks drawn to probe an identity, and both their passes, layer by layer, as plain arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator

from heinit_sim.activations import network_activation
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.steps import Activate, dense_layers
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.network.layers import Layer, Trace, make_layers
from heinit_sim.network.passes import LayerName, iter_backward, iter_forward, layers_by_name
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, scaled


@dataclass(frozen=True)
class Networks:
    """Some independent networks of L weight layers with one input each."""

    weights: Sequence[FloatArray]
    """Ω_k/σ_k of the layers 0 … L−1, (n_networks, fan_out, fan_in)."""
    variances: tuple[float, ...]
    """σ²_Ω of the layers 0 … L−1."""
    x: FloatArray
    """h_0, (n_networks, D_0), standard-normal."""
    activation: Activation
    slope: float
    """α, the activation's slope below zero."""
    dl_df: FloatArray
    """∂ℓ/∂f_{L−1} as if from outside, (n_networks, D_L): standard-normal, independent of all."""

    @property
    def p2(self) -> float:
        """E[a(z)²] = E[a'(z)²] = (1 + α²)/2, z ~ N(0, 1)."""
        return second_moment(self.slope)

    @property
    def stds(self) -> list[float]:
        """σ_Ω of the layers."""
        return [variance**0.5 for variance in self.variances]

    def forward(self) -> tuple[list[FloatArray], list[FloatArray]]:
        """h_k and f_k of the layers k = 0 … L−1, each (n_networks, units)."""
        layers = layers_by_name(iter_forward(self._layers(), self.x[..., np.newaxis], []))
        return _in_order(layers, "activation"), _in_order(layers, "preactivation")

    def backward(
        self, f: Sequence[FloatArray], dl_df: FloatArray
    ) -> tuple[list[FloatArray], list[FloatArray]]:
        """∂ℓ/∂h_k and ∂ℓ/∂f_k of the layers k = 0 … L−1, from ∂ℓ/∂f_{L−1}; see `forward`."""
        derivatives = [self.activation.derivative(f_k)[..., np.newaxis] for f_k in f[:-1]]
        traces: list[Trace] = [*((None, derivative) for derivative in derivatives), (None,)]
        last = scaled(dl_df[..., np.newaxis])
        layers = layers_by_name(iter_backward(self._layers(), last, traces))
        return _in_order(layers, "grad_activation"), _in_order(layers, "grad_preactivation")

    def _layers(self) -> list[Layer]:
        widths = [self.x.shape[-1], *(omega.shape[-2] for omega in self.weights)]
        variances = [std**2 for std in self.stds]
        return make_layers(dense_layers(widths, variances, Activate(self.activation)), self.weights)


def second_moment(slope: float) -> float:
    """E[a(z)²] = (1 + α²)/2, z ~ N(0, 1); He et al. 2015, eq. 15."""
    return (1 + slope**2) / 2


def slope_of(condition: Condition) -> float:
    """α, the slope of the condition's activation below zero.

    Raises:
        ConfigError: The activation has none: the identities do not hold for it.
    """
    slope = network_activation(condition).common_slope
    if slope is None:
        known = "identities are derived for relu, linear, leaky_relu and prelu of one slope"
        names = ", ".join(str(activate.function) for activate in condition.activates)
        raise ConfigError([f"activation {names}: {known}; choose one of them"])
    return slope


def sample_networks(
    rng: Generator,
    n_networks: int,
    widths: Sequence[int],
    variances: Sequence[float],
    condition: Condition,
) -> Networks:
    """Draw networks of these widths and variances, with the condition's activation."""
    activation = network_activation(condition)
    return Networks(
        [rng.standard_normal((n_networks, *fans[::-1])) for fans in pairwise(widths)],
        tuple(variances),
        rng.standard_normal((n_networks, widths[0])),
        activation,
        slope_of(condition),
        rng.standard_normal((n_networks, widths[-1])),
    )


def n_draws(widths: Sequence[int]) -> int:
    """Random numbers of one network of these widths."""
    return sum(a * b for a, b in pairwise(widths)) + widths[0] + widths[-1]


def mean_square(z: FloatArray) -> FloatArray:
    """Second moment over the units of a layer, one number per network."""
    second: FloatArray = np.mean(z**2, axis=1)
    return second


def _in_order(layers: Mapping[LayerName, Scaled], quantity: Quantity) -> list[FloatArray]:
    """The layers of one quantity in the order of k, as the numbers they stand for."""
    in_order = [layers[quantity, k] for k in range(len(layers) // 2)]
    return [np.ldexp(z.mantissa[..., 0], z.exponent[..., np.newaxis]) for z in in_order]
