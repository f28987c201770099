"""Both directions of some networks: with weights, which may be fitted or trained, or without."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import WeightSpec
from heinit_sim.network import conditional
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.lsuv import ScaledWeights, fitted_to_batch
from heinit_sim.network.passes import Stack, iter_backward, iter_forward
from heinit_sim.network.steps.dropout import MasksByPlace
from heinit_sim.network.steps.training import Tape, TrainingStep
from heinit_sim.network.steps.weights import WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.sampling.streams import DrawnNormals
from heinit_sim.simulation.plan import NetworkPass


class Directions(NamedTuple):
    """The passes of some networks."""

    forward: Iterator[Stack]
    backward: Callable[[Scaled], Iterator[Stack]]
    """From a gradient."""
    plain: bool
    """Whether layers are held as plain floats."""
    updated: Callable[[], Iterator[Stack]] | None = None
    """Forward once more, behind the step of training that both made, if it is asked for."""


def biases_of(
    passes: Sequence[NetworkPass], betas: Sequence[FloatArray]
) -> list[FloatArray] | None:
    """β in the order of the weights, each (n_networks, rows of Ω, 1), of a stack with passes first.

    Args:
        passes: Passes that go side by side.
        betas: Standard-normal numbers, each (n_networks, rows of Ω, 1); empty where none is random.

    Returns:
        None for networks without biases.
    """
    if not passes[0].has_biases:
        return None
    if not betas:
        betas = [np.zeros((1, shape[0], 1)) for shape in passes[0].draws.shapes]
    biases = []
    for beta, *specs in zip(betas, *(network_pass.specs for network_pass in passes), strict=True):
        laws = [(math.sqrt(spec.bias_variance), spec.bias_mean) for spec in specs]
        stds, means = np.array(laws).T.reshape(2, -1, 1, 1, 1)
        beside = stds * beta + means
        biases.append(beside if passes[1:] else beside[0])
    return biases


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


def fitted(
    network_pass: NetworkPass,
    weights: WeightsByPlace,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
) -> tuple[WeightsByPlace, Sequence[FloatArray] | None]:
    """The weights Ω/σ with their means, and both as LSUV makes them of the batch."""
    if any(spec.weight_mean for spec in network_pass.specs):
        weights = WeightsAboutMean(weights, network_pass.specs)
    if network_pass.lsuv:
        bare = make_layers(network_pass.layers, weights)
        factors, biases = fitted_to_batch(bare, x, biases, network_pass.lsuv)
        weights = ScaledWeights(weights, factors)
    return weights, biases


def with_weights(
    passes: Sequence[NetworkPass],
    weights: WeightsByPlace,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
    masks: MasksByPlace | None,
) -> Directions:
    """The directions of networks that have weights."""
    network_pass, *others = passes
    tape = Tape() if network_pass.update else None
    beside, batch = [other.layers for other in others], network_pass.record.batch_gradient
    layers = make_layers(
        *(network_pass.layers, weights, biases, masks, beside), batch_gradient=batch, tape=tape
    )
    traces = list[Trace]()
    forward = iter_forward(layers, x, traces)
    backward = partial(iter_backward, layers, traces=traces)
    if not (network_pass.update and tape):
        return Directions(forward, backward, layers[0].holds_floats)
    training = TrainingStep(network_pass.update, tape)
    after = make_layers(network_pass.layers, weights, biases, masks, training=training)
    updated = partial(iter_forward, after, x, [])
    return Directions(forward, backward, layers[0].holds_floats, updated)


def without_weights(
    network_pass: NetworkPass,
    normals: DrawnNormals,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
) -> Directions:
    """The directions of networks without weights."""
    layers = conditional.make_layers(network_pass.layers, normals, biases)
    traces = list[conditional.Trace]()
    batch = network_pass.record.batch_gradient
    backward = partial(conditional.iter_backward, layers, traces=traces, batch_gradient=batch)
    forward = conditional.iter_forward(layers, x, traces)
    return Directions(forward, backward, layers[0].holds_floats)
