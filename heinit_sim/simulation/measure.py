"""One forward and backward pass of some networks, and the moments of its layers."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.experiment.architecture import matrix_places
from heinit_sim.experiment.quantities import Measure, Quantity, Statistic
from heinit_sim.network.layers import Layer, Trace, make_layers
from heinit_sim.network.lsuv import ScaledWeights, unit_variance_factors
from heinit_sim.network.moments import (
    UnitMoments,
    along_layers,
    log10_moments,
    outer_moments,
    unit_moments,
    with_layers,
)
from heinit_sim.network.operations import Weights
from heinit_sim.network.passes import (
    LayerName,
    Stack,
    iter_backward,
    iter_forward,
    loss_gradient,
)
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import rescaled
from heinit_sim.simulation.cosines import Cosines, by_quantity, with_cosines
from heinit_sim.simulation.histograms import Counts, Tallies, counted, in_layers
from heinit_sim.simulation.plan import NetworkPass

Measured = Mapping[Measure, FloatArray]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""


class PassResult(NamedTuple):
    """One pass of some networks in numbers."""

    networks: Measured
    tallies: Tallies
    """Empty where no histograms are asked for."""
    cosines: Cosines
    """Empty where none are asked for."""


def biases_of(network_pass: NetworkPass, betas: Sequence[FloatArray]) -> list[FloatArray] | None:
    """β in the order of the weights, from standard-normal numbers; None for a network without."""
    places = matrix_places(len(network_pass.stds) - 1, network_pass.draws.residual)

    def by_place(values: Sequence[float]) -> list[float]:
        return [value for value, own in zip(values, places, strict=True) for _ in own]

    stds, means = network_pass.bias_stds, by_place(network_pass.bias_means)
    if any(stds):
        drawn = zip(by_place(stds), betas, means, strict=True)
        return [std * beta + mean for std, beta, mean in drawn]
    if not any(means):
        return None
    shapes = network_pass.draws.shapes
    return [np.full((1, shape[0], 1), mean) for mean, shape in zip(means, shapes, strict=True)]


def measure(
    network_pass: NetworkPass, weights: Weights, x: FloatArray, biases: Sequence[FloatArray] | None
) -> PassResult:
    """Go forward, to the loss and backward; take moments, histograms and cosines on the way.

    Args:
        network_pass: What the networks are and what is asked.
        weights: Ω/σ by place, each (n_networks, *shape).
        x: h_0, (n_networks, D_0, n_inputs).
        biases: β in the order of the weights, from `biases_of`.
    """
    if network_pass.lsuv:
        bare = _layers(network_pass, weights, None)
        factors = unit_variance_factors(bare, x, biases, network_pass.lsuv)
        weights = ScaledWeights(weights, factors)
    layers = _layers(network_pass, weights, biases)
    traces = list[Trace]()
    forward = iter_forward(layers, x, traces)
    cosines: dict[LayerName, FloatArray] = {}
    if network_pass.cosine:
        paired = network_pass.draws.inputs.distribution == "pair"
        forward = with_cosines(forward, cosines, paired=paired)
    counts: dict[LayerName, Counts] = {}
    if network_pass.histograms is not None:
        forward = counted(forward, network_pass.histograms, counts)
    moments: dict[LayerName, UnitMoments] = {}
    for stack in forward:
        moments |= _moments(stack, squarable=not layers[0].plain)

    ((_, output),) = stack.layers()
    backward = iter_backward(layers, loss_gradient(output, network_pass.target), traces)
    if network_pass.histograms is not None:
        backward = counted(backward, network_pass.histograms, counts)
    weight_moments: dict[int, UnitMoments] = {}
    for stack in backward:
        moments |= _moments(stack, squarable=not layers[0].plain)
        if stack.weight_moments is not None:
            weight_moments[stack.names[0][1]] = stack.weight_moments
    networks = _log10(moments, weight_moments, len(layers))
    return PassResult(networks, in_layers(counts), by_quantity(cosines))


def _moments(stack: Stack, *, squarable: bool) -> dict[LayerName, UnitMoments]:
    """The moments of each layer of a stack; without squares out of float range on the way."""
    moments = unit_moments(stack.numbers if squarable else rescaled(stack.numbers))
    return {name: UnitMoments(*row) for name, *row in zip(stack.names, *moments, strict=True)}


def _log10(
    moments: Mapping[LayerName, UnitMoments],
    weight_moments: Mapping[int, UnitMoments],
    n_layers: int,
) -> Measured:
    """Put the moments of the layers 0 … K together, quantity by quantity, as log10.

    Args:
        moments: Those of all layers of both passes.
        weight_moments: Those of ∂ℓ/∂Ω_k, k -> moments, of all layers in which they are not the
            outer product of ∂ℓ/∂f_k and h_k.
        n_layers: K + 1.
    """

    def of_all_layers(quantity: Quantity) -> UnitMoments:
        return along_layers([moments[quantity, k] for k in range(n_layers)])

    h, dl_df = of_all_layers("activation"), of_all_layers("grad_preactivation")
    log10: dict[Quantity, dict[Statistic, FloatArray]] = {
        "preactivation": log10_moments(of_all_layers("preactivation")),
        "activation": log10_moments(h),
        "grad_preactivation": log10_moments(dl_df),
        "grad_activation": log10_moments(of_all_layers("grad_activation")),
        "grad_weight": log10_moments(with_layers(outer_moments(dl_df, h), weight_moments)),
    }
    # ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    output_variance = log10["preactivation"]["variance"][-1]
    log10["grad_preactivation"]["variance"][-1] = output_variance + np.log10(4.0)
    return {(q, s): values.T for q, statistics in log10.items() for s, values in statistics.items()}


def _layers(
    network_pass: NetworkPass, weights: Weights, biases: Sequence[FloatArray] | None
) -> list[Layer]:
    activation = make_activation(network_pass.activation, dict(network_pass.activation_options))
    draws = network_pass.draws
    return make_layers(
        draws.widths,
        weights,
        network_pass.stds,
        activation,
        biases,
        draws.convolution,
        draws.residual,
    )
