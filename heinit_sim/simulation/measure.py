"""One forward and backward pass of some networks, and the moments of what it shows."""

from collections.abc import Mapping, Sequence

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.experiment.architecture import matrix_places
from heinit_sim.experiment.quantities import COUNTED, Measure, Quantity, Statistic
from heinit_sim.network.layers import Layer, Trace, make_layers
from heinit_sim.network.lsuv import ScaledWeights, unit_variance_factors
from heinit_sim.network.moments import (
    UnitMoments,
    joined,
    log10_moments,
    outer_moments,
    taken,
    unit_moments,
    with_layers,
)
from heinit_sim.network.operations import Weights
from heinit_sim.network.passes import iter_backward, iter_forward, loss_gradient
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, rescaled
from heinit_sim.simulation.cosines import Cosines, by_quantity, with_cosines
from heinit_sim.simulation.histograms import Counts, Tallies, counted, in_layers
from heinit_sim.simulation.plan import NetworkPass

Measured = Mapping[Measure, FloatArray]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""


def biases_of(network_pass: NetworkPass, betas: Sequence[FloatArray]) -> list[FloatArray] | None:
    """β in the order of the weights from standard-normal numbers; None where there are none."""
    places = matrix_places(len(network_pass.stds) - 1, network_pass.draws.residual)

    def by_place(values: Sequence[float]) -> list[float]:
        return [value for value, own in zip(values, places, strict=True) for _ in own]

    stds, means = network_pass.bias_stds, network_pass.biases
    if not stds and not means:
        return None
    if not stds:
        shapes = network_pass.draws.shapes
        return [np.full((1, s[0], 1), c) for c, s in zip(by_place(means), shapes, strict=True)]
    drawn = [std * b for std, b in zip(by_place(stds), betas, strict=True)]
    return [b + c for b, c in zip(drawn, by_place(means), strict=True)] if means else drawn


def measure(
    network_pass: NetworkPass, weights: Weights, x: FloatArray, biases: Sequence[FloatArray] | None
) -> tuple[Measured, Tallies, Cosines]:
    """Forward, loss, backward; moments of all five quantities on the way, histograms, cosines."""
    if network_pass.lsuv:
        bare = _layers(network_pass, weights, None)
        factors = unit_variance_factors(bare, x, biases, network_pass.lsuv)
        weights = ScaledWeights(weights, factors)
    layers = _layers(network_pass, weights, biases)
    direct, traces = layers[0].direct, list[Trace]()
    bins, counts = network_pass.histograms, {quantity: list[Counts]() for quantity in COUNTED}

    def moments(stack: Scaled) -> UnitMoments:
        return unit_moments(rescaled(stack) if direct else stack)

    forward, cosines = iter_forward(layers, x, traces), list[FloatArray]()
    if network_pass.cosine:
        paired = network_pass.draws.inputs.distribution == "pair"
        forward = with_cosines(forward, cosines, paired=paired)
    of_forward = []
    for stack in counted(forward, bins, counts["activation"], counts["preactivation"]):
        of_forward.append(moments(stack))
    alternating = joined(of_forward)  # h_0, f_0, h_1, f_1, …, h_K, f_K
    h, f = taken(alternating, slice(0, None, 2)), taken(alternating, slice(1, None, 2))

    dl_dout = loss_gradient(Scaled(stack.mantissa[0], stack.exponent[0]), network_pass.target)
    backward = iter_backward(layers, dl_dout, traces)
    of_backward: list[UnitMoments] = []
    of_weights: dict[int, UnitMoments] = {}
    for stack in counted(backward, bins, counts["grad_preactivation"]):
        if of_backward:  # the gradient has passed the last of the traces
            trace = traces.pop()
            k = len(traces)
            found = layers[k].weight_moments(trace)
            if found is not None:
                of_weights[k] = found
        of_backward.append(moments(stack))
    alternating = joined(of_backward)  # ∂f_K, ∂h_K, …, ∂f_0, ∂h_0
    dl_dh = taken(alternating, slice(None, None, -2))
    dl_df = taken(alternating, slice(-2, None, -2))

    of: dict[Quantity, dict[Statistic, FloatArray]] = {
        "preactivation": log10_moments(f),
        "activation": log10_moments(h),
        "grad_preactivation": log10_moments(dl_df),
        "grad_activation": log10_moments(dl_dh),
        "grad_weight": log10_moments(with_layers(outer_moments(dl_df, h), of_weights)),
    }
    # ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    of["grad_preactivation"]["variance"][-1] = of["preactivation"]["variance"][-1] + np.log10(4.0)
    measured = {(q, s): log10.T for q, moments in of.items() for s, log10 in moments.items()}
    counts["grad_preactivation"].reverse()
    return measured, in_layers(counts), by_quantity(cosines)


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
