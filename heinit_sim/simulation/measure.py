"""One forward and backward pass of some networks, and the moments of its layers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.quantities import (
    BETWEEN_INPUTS,
    COUNTED,
    MEASURES,
    PASS_OF,
    Measure,
    Quantity,
)
from heinit_sim.experiment.steps import Row, WeightSpec, matrices, place_of_f
from heinit_sim.network import conditional, moments
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.lsuv import ScaledWeights, fitted_to_batch
from heinit_sim.network.moments import UnitMoments
from heinit_sim.network.passes import LayerName, Stack, iter_backward, iter_forward, loss_gradient
from heinit_sim.network.steps.dropout import MasksByPlace
from heinit_sim.network.steps.weights import WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, rescaled
from heinit_sim.sampling.streams import DrawnNormals
from heinit_sim.simulation.cosines import COSINE_QUANTITIES, Cosines, mean_cosines
from heinit_sim.simulation.histograms import Counts, Tallies, counted
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
    all_weights = [weights for row in network_pass.layers for weights in matrices(row)]
    specs = [weights.spec for weights in all_weights]
    means = [spec.bias_mean for spec in specs]
    if any(spec.bias_variance for spec in specs):
        stds = (math.sqrt(spec.bias_variance) for spec in specs)
        return [std * beta + mean for std, beta, mean in zip(stds, betas, means, strict=True)]
    if not any(means):
        return None
    rows = [weights.shape[0] for weights in all_weights]
    return [np.full((1, n, 1), mean) for mean, n in zip(means, rows, strict=True)]


class WeightsAboutMean:
    """Weights by place, those of each matrix σ ω + m over what multiplies them."""

    def __init__(self, weights: WeightsByPlace, specs: Sequence[WeightSpec]) -> None:
        self._weights, self._specs = weights, specs

    def __getitem__(self, place: int) -> FloatArray:
        spec, weights = self._specs[place], self._weights[place]
        if spec.weight_mean == 0:
            return weights
        drawn = weights if spec.weight_variance else np.zeros_like(weights)
        return drawn + spec.weight_mean / spec.weight_std


def measure(
    network_pass: NetworkPass,
    weights: WeightsByPlace | DrawnNormals,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
    masks: MasksByPlace | None = None,
) -> PassResult:
    """Go forward, to the loss and backward; take moments, histograms and cosines on the way.

    Args:
        network_pass: What the networks are and what is asked.
        weights: Ω/σ by place, each (n_networks, *shape); or numbers for networks without them.
        x: h_0, (n_networks, D_0, n_inputs).
        biases: β in the order of the weights, from `biases_of`.
        masks: Uniform numbers of dropouts by place, each (n_networks, units, n_inputs).
    """
    rows = network_pass.layers
    if isinstance(weights, DrawnNormals):
        forward, backward, plain = _conditional(rows, weights, x, biases)
    else:
        forward, backward, plain = _weighted(network_pass, weights, x, biases, masks)
    paired = network_pass.draws.inputs.distribution == "pair"
    by_layer: dict[LayerName, UnitMoments] = {}
    between: dict[LayerName, FloatArray] = {}
    counts: dict[LayerName, Counts] = {}
    cosines: dict[LayerName, FloatArray] = {}
    for stack in counted(forward, network_pass.histograms, counts):
        numbers = _squarable(stack, plain=plain)
        units = moments.unit_moments(numbers)
        by_layer |= _by_name(stack, units)
        between |= zip(stack.names, moments.between_inputs(numbers, units), strict=True)
        if network_pass.cosine:
            means = mean_cosines(stack.numbers.mantissa, paired=paired)
            cosines |= zip(stack.names, means, strict=True)

    assert stack.end is not None
    gradient = loss_gradient(stack.end, network_pass.target)
    for stack in counted(backward(gradient), network_pass.histograms, counts):
        by_layer |= _by_name(stack, moments.unit_moments(_squarable(stack, plain=plain)))
        if stack.weight_moments is not None:
            (_, k), *_ = stack.names
            by_layer["grad_weight", k] = stack.weight_moments
    every_layer = range(len(rows))
    return PassResult(
        _log10(by_layer, between, len(rows), seen=place_of_f(rows[-1]) == len(rows[-1]) - 1),
        {q: np.stack([counts[q, k] for k in every_layer]) for q in COUNTED if counts},
        {q: np.stack([cosines[q, k] for k in every_layer]).T for q in COSINE_QUANTITIES if cosines},
    )


_Backward = Callable[[Scaled], Iterator[Stack]]


def _weighted(
    network_pass: NetworkPass,
    weights: WeightsByPlace,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
    masks: MasksByPlace | None,
) -> tuple[Iterator[Stack], _Backward, bool]:
    """Both directions, the second from a gradient, and whether layers are held as plain floats."""
    rows = network_pass.layers
    if any(spec.weight_mean for spec in network_pass.specs):
        weights = WeightsAboutMean(weights, network_pass.specs)
    if network_pass.lsuv:
        bare = make_layers(rows, weights)
        factors, biases = fitted_to_batch(bare, x, biases, network_pass.lsuv)
        weights = ScaledWeights(weights, factors)
    layers, traces = make_layers(rows, weights, biases, masks), list[Trace]()
    backward = partial(iter_backward, layers, traces=traces)
    return iter_forward(layers, x, traces), backward, layers[0].holds_floats


def _conditional(
    rows: Sequence[Row],
    normals: DrawnNormals,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
) -> tuple[Iterator[Stack], _Backward, bool]:
    """The same without weights."""
    layers, traces = conditional.make_layers(rows, normals, biases), list[conditional.Trace]()
    backward = partial(conditional.iter_backward, layers, traces=traces)
    return conditional.iter_forward(layers, x, traces), backward, layers[0].holds_floats


def _squarable(stack: Stack, *, plain: bool) -> Scaled:
    """The numbers of a stack; plain floats need not have squares in float range."""
    return rescaled(stack.numbers) if plain else stack.numbers


def _by_name(stack: Stack, units: UnitMoments) -> dict[LayerName, UnitMoments]:
    """The moments of each layer of a stack."""
    return {name: UnitMoments(*row) for name, *row in zip(stack.names, *units, strict=True)}


def _log10(
    by_layer: Mapping[LayerName, UnitMoments],
    between: Mapping[LayerName, FloatArray],
    n_layers: int,
    *,
    seen: bool,
) -> Measured:
    """Put the moments of the layers 0 … K together, quantity by quantity, as log10.

    Args:
        by_layer: Moments over units; those of ∂ℓ/∂Ω_k where it is not the outer product of ∂ℓ/∂f_k
            and h_k.
        between: Variances between inputs, of the forward pass.
        n_layers: K + 1.
        seen: Whether the loss sees f_K itself.
    """
    layers: dict[Quantity, UnitMoments] = {
        q: moments.along_layers([by_layer[q, k] for k in range(n_layers)])
        for q in PASS_OF
        if q != "grad_weight"
    }
    weight = moments.outer_moments(layers["grad_preactivation"], layers["activation"])
    for k in range(n_layers):
        if ("grad_weight", k) in by_layer:
            weight.mean[k], weight.variance[k], weight.exponent[k] = by_layer["grad_weight", k]
    layers["grad_weight"] = weight
    log10 = {q: moments.log10_moments(m) for q, m in layers.items()}
    for q in {quantity: None for quantity, _ in between}:
        variances = np.array([between[q, k] for k in range(n_layers)])
        log10[q][BETWEEN_INPUTS] = moments.log10(variances, layers[q].exponent)
    # There ∂ℓ/∂f_K = 2 (f_K − y) varies as 2 f_K does, also where f_K is lost beside y.
    if seen:
        output_variance = log10["preactivation"]["variance"][-1]
        log10["grad_preactivation"]["variance"][-1] = output_variance + np.log10(4.0)
    return {(q, s): log10[q][s].T for q, s in MEASURES}
