"""One forward and backward pass of some networks, and the moments of its layers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.experiment.quantities import (
    BATCH_MEASURES,
    BETWEEN_INPUTS,
    COUNTED,
    MEASURES,
    PASS_OF,
    Measure,
    Quantity,
)
from heinit_sim.experiment.records import Output, RatioMeasure
from heinit_sim.experiment.steps import place_of_f
from heinit_sim.network import losses, moments
from heinit_sim.network.batch_gradients import BatchGradient
from heinit_sim.network.moments import UnitMoments
from heinit_sim.network.passes import LayerName, Stack
from heinit_sim.network.steps.dropout import MasksByPlace
from heinit_sim.network.steps.weights import WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Factor, Scaled
from heinit_sim.sampling.streams import DrawnNormals
from heinit_sim.simulation.directions import fitted, with_weights, without_weights
from heinit_sim.simulation.histograms import Counts, Tallies, counted
from heinit_sim.simulation.jacobians import jacobian_outputs
from heinit_sim.simulation.plan import NetworkPass
from heinit_sim.simulation.ratios import Ratios, taken_ratios
from heinit_sim.simulation.updates import log10_updates

Measured = Mapping[Measure, FloatArray]
"""(quantity, statistic) -> log10, (n_networks, K+1)."""
Outputs = Mapping[Output, FloatArray]
"""Numbers that are of no layer -> (n_networks, how many one network has)."""


class PassResult(NamedTuple):
    """One pass of some networks in numbers."""

    networks: Measured
    tallies: Tallies
    """Empty where no histograms are asked for."""
    ratios: Ratios
    """Empty where none are asked for."""
    outputs: Outputs


class Judge(NamedTuple):
    """The draws that losses need beside the outputs, of the networks of some trials."""

    classes: losses.Classes | None = None
    """(n_networks, n_inputs), for cross entropy."""
    probes: FloatArray | None = None
    """∂ℓ/∂f, (n_networks, D_o, n_inputs), for probes."""

    def judged(self, passes: Sequence[NetworkPass], output: Scaled) -> losses.Judged:
        """The loss of passes that go side by side, and its gradient."""
        loss = passes[0].loss
        match loss.name:
            case "cross_entropy":
                assert self.classes is not None, "classes are drawn for it"
                return losses.cross_entropy(output, self.classes)
            case "probe":
                assert self.probes is not None, "probes are drawn for it"
                return losses.probe(output, self.probes)
        target: Factor = loss.target
        if passes[1:]:
            target = np.array([each.loss.target for each in passes])[:, np.newaxis]
        return losses.least_squares(output, target)


NOTHING_DRAWN = Judge()
"""No draws, of which least squares needs none."""


def measure(
    passes: Sequence[NetworkPass],
    weights: WeightsByPlace | DrawnNormals,
    x: FloatArray,
    biases: Sequence[FloatArray] | None,
    masks: MasksByPlace | None = None,
    judge: Judge = NOTHING_DRAWN,
) -> list[PassResult]:
    """Go forward, to the loss and backward; take moments, histograms and ratios on the way.

    Args:
        passes: What the networks are and what is asked: passes that `side_by_side` puts together
            go through each layer together, along a first axis.
        weights: Ω/σ by place, each (n_networks, *shape); or numbers for networks without them.
        x: h_0, (n_networks, D_0, n_inputs).
        biases: β in the order of the weights, from `biases_of`.
        masks: Uniform numbers of dropouts by place, each (n_networks, units, n_inputs).
        judge: Knows what is drawn for the losses.

    Returns:
        One result for each pass; its bits do not depend on those beside it.
    """
    network_pass, *others = passes
    rows = network_pass.layers
    if others:
        x = np.repeat(x[np.newaxis], len(passes), axis=0)
    if isinstance(weights, DrawnNormals):
        forward, backward, plain, updated = without_weights(network_pass, weights, x, biases)
    else:
        weights, biases = fitted(network_pass, weights, x, biases)
        forward, backward, plain, updated = with_weights(passes, weights, x, biases, masks)
    before = list[Stack]()
    paired = network_pass.draws.inputs.distribution == "pair"
    by_layer: dict[LayerName, UnitMoments] = {}
    between: dict[LayerName, FloatArray] = {}
    counts: dict[LayerName, Counts] = {}
    ratios: dict[tuple[RatioMeasure, int], FloatArray] = {}
    record = network_pass.record
    for stack in counted(forward, record.histograms, counts):
        numbers, units = moments.squarable(stack.numbers, plain=plain)
        by_layer |= _by_name(stack, units)
        between |= zip(stack.names, moments.between_inputs(numbers, units), strict=True)
        for measure, k, values in taken_ratios(stack, record, paired=paired):
            ratios[measure, k] = values
        if updated:
            before.append(stack)

    assert stack.end is not None
    judged = judge.judged(passes, stack.end)
    batch = list[BatchGradient]()
    for stack in counted(backward(judged.gradient), record.histograms, counts):
        by_layer |= _by_name(stack, moments.squarable(stack.numbers, plain=plain)[1])
        for measure, k, values in taken_ratios(stack, record, paired=paired):
            ratios[measure, k] = values
        if stack.batch_gradient is not None:
            batch.append(stack.batch_gradient)
        if stack.weight_moments is not None:
            (_, k), *_ = stack.names
            by_layer["grad_weight", k] = stack.weight_moments
    every_layer = range(len(rows))
    seen = place_of_f(rows[-1]) == len(rows[-1]) - 1
    seen &= network_pass.loss.name == "least_squares"
    measured = _log10(by_layer, between, len(rows), seen=seen)
    if record.batch_gradient:
        measured |= _of_batch(batch[::-1])
    if updated:
        measured |= log10_updates(before, updated())
    tallies = {q: np.stack([counts[q, k] for k in every_layer], -2) for q in COUNTED if counts}
    taken = {m: np.stack([ratios[m, k] for k in every_layer], -1) for m in record.ratios}
    outputs: dict[Output, FloatArray] = {"log10_loss": judged.log10_loss[..., np.newaxis]}
    if record.jacobian:
        assert not isinstance(weights, DrawnNormals), "a Jacobian has weights"
        outputs |= jacobian_outputs(passes, weights, x, biases, masks)
    kinds = [_by_pass(kind, len(passes)) for kind in (measured, tallies, taken, outputs)]
    return [PassResult(*parts) for parts in zip(*kinds, strict=True)]


def _by_pass(arrays: Mapping[Any, NDArray[Any]], n_passes: int) -> list[dict[Any, NDArray[Any]]]:
    """The same mapping for each pass of a stack; only several have an axis of their own."""
    parts = {key: array.reshape(n_passes, *array.shape[-2:]) for key, array in arrays.items()}
    return [{key: array[n] for key, array in parts.items()} for n in range(n_passes)]


def _by_name(stack: Stack, units: UnitMoments) -> dict[LayerName, UnitMoments]:
    """The moments of each layer of a stack."""
    return {name: UnitMoments(*row) for name, *row in zip(stack.names, *units, strict=True)}


def _log10(
    by_layer: Mapping[LayerName, UnitMoments],
    between: Mapping[LayerName, FloatArray],
    n_layers: int,
    *,
    seen: bool,
) -> dict[Measure, FloatArray]:
    """Put the moments of the layers 0 … K together, quantity by quantity, as log10.

    Args:
        by_layer: Moments over units; those of ∂ℓ/∂Ω_k where it is not the outer product of ∂ℓ/∂f_k
            and h_k.
        between: Variances between inputs, of the forward pass.
        n_layers: K + 1.
        seen: Whether the loss is Σ (f_K − y)² of f_K itself.
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
    return {(q, s): np.moveaxis(log10[q][s], 0, -1) for q, s in MEASURES}


def _of_batch(layers: Sequence[BatchGradient]) -> dict[Measure, FloatArray]:
    """log10 of the mean squares of the batch's gradient, from those of the layers 0 … K."""
    return {
        measure: np.stack([moments.log10(*square) for square in squares], axis=-1)
        for measure, squares in zip(BATCH_MEASURES, zip(*layers, strict=True), strict=True)
    }
