"""One forward and backward pass of some networks, and the moments of what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation, Mask, Slope, make_activation
from heinit_sim.cosines import Cosines, by_quantity, with_cosines
from heinit_sim.draws import Draws
from heinit_sim.histograms import Counts, Tallies, counted, in_layers
from heinit_sim.lsuv import ScaledWeights, unit_variance_factors
from heinit_sim.moments import (
    UnitMoments,
    joined,
    log10_moments,
    outer_moments,
    taken,
    unit_moments,
)
from heinit_sim.network import (
    SETTLE_EVERY,
    Weights,
    iter_backward,
    iter_forward,
    loss_gradient,
)
from heinit_sim.records import COUNTED, Bins, Lsuv, Measure, Quantity, Statistic
from heinit_sim.scaled import Scaled, rescaled

Array = NDArray[np.float64]
Measured = Mapping[Measure, Array]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""


@dataclass(frozen=True)
class NetworkPass:
    """One forward and backward pass per trial; one serves all conditions the scale law joins."""

    draws: Draws
    activation: str | Activation
    activation_options: tuple[tuple[str, Slope], ...]
    stds: tuple[float, ...]
    bias_stds: tuple[float, ...]
    """σ_b of the layers 0 … K; empty: 0."""
    biases: tuple[float, ...]
    """Mean of the biases of the same layers; empty: 0."""
    target: float
    lsuv: Lsuv | None = None
    histograms: Bins | None = None
    cosine: bool = False


def biases_of(network_pass: NetworkPass, betas: Sequence[Array]) -> list[Array] | None:
    """β_k of the layers 0 … K from standard-normal numbers; None where there are none."""
    stds, means = network_pass.bias_stds, network_pass.biases
    if not stds:
        return [np.full((1, 1, 1), mean) for mean in means] or None
    drawn = [std * b for std, b in zip(stds, betas, strict=True)]
    return [b + mean for b, mean in zip(drawn, means, strict=True)] if means else drawn


def measure(
    network_pass: NetworkPass, weights: Weights, x: Array, biases: Sequence[Array] | None
) -> tuple[Measured, Tallies, Cosines]:
    """Forward, loss, backward; moments of all five quantities on the way, histograms, cosines."""
    options = dict(network_pass.activation_options)
    activation = make_activation(network_pass.activation, options)
    if network_pass.lsuv:
        how = (network_pass.stds, x, activation, biases, network_pass.lsuv)
        weights = ScaledWeights(weights, unit_variance_factors(weights, *how))
    homogeneous = activation.negative_slope is not None and biases is None
    layers: list[UnitMoments] = []
    derivatives: list[Array | Mask] = []
    bins, counts = network_pass.histograms, {quantity: list[Counts]() for quantity in COUNTED}
    passed = iter_forward(weights, network_pass.stds, x, activation, biases)
    cosines: list[Array] = []
    if network_pass.cosine:
        paired = network_pass.draws.inputs.distribution == "pair"
        passed = with_cosines(passed, cosines, paired=paired)
    for forward in counted(passed, bins, counts["activation"], counts["preactivation"]):
        layers.append(unit_moments(forward if homogeneous else rescaled(forward)))
        if len(forward.mantissa) == 2:  # f_k and h_{k+1}
            k = len(derivatives)
            derivatives.append(activation.layer(k).derivative(forward.mantissa[0]))
    alternating = joined(layers)  # h_0, f_0, h_1, f_1, …, h_K, f_K
    h, f = taken(alternating, slice(0, None, 2)), taken(alternating, slice(1, None, 2))

    output = Scaled(forward.mantissa[0], forward.exponent[0])
    dl_dout = loss_gradient(output, network_pass.target)
    every = SETTLE_EVERY if homogeneous else 1
    backward = iter_backward(weights, network_pass.stds, dl_dout, derivatives, every)
    backward = counted(backward, bins, counts["grad_preactivation"])
    alternating = joined(  # ∂f_K, ∂h_K, …, ∂f_0, ∂h_0
        [unit_moments(layer if homogeneous else rescaled(layer)) for layer in backward]
    )
    dl_dh, dl_df = (
        taken(alternating, slice(None, None, -2)),
        taken(alternating, slice(-2, None, -2)),
    )

    of: dict[Quantity, dict[Statistic, Array]] = {
        "preactivation": log10_moments(f),
        "activation": log10_moments(h),
        "grad_preactivation": log10_moments(dl_df),
        "grad_activation": log10_moments(dl_dh),
        "grad_weight": log10_moments(outer_moments(dl_df, h)),
    }
    # ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    of["grad_preactivation"]["variance"][-1] = of["preactivation"]["variance"][-1] + np.log10(4.0)
    measured = {(q, s): log10.T for q, moments in of.items() for s, log10 in moments.items()}
    counts["grad_preactivation"].reverse()
    return measured, in_layers(counts), by_quantity(cosines)
