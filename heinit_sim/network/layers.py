"""The layers of a network, made from its rows of steps: from h_k to f_k and h_{k+1}, and back."""

import math
from collections.abc import Iterator, Sequence
from itertools import count
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Attention,
    Dropout,
    Gate,
    Norm,
    Pool,
    Row,
    Step,
    Weights,
    activates_in,
    distinct,
    is_plain,
    place_of_f,
    units_in,
    weights_in,
)
from heinit_sim.network.batch_gradients import BatchGradient, pooled_gradients
from heinit_sim.network.moments import UnitMoments, pooled_moments
from heinit_sim.network.steps.activation import Activated, Slopes
from heinit_sim.network.steps.add import Added
from heinit_sim.network.steps.attention import Attended
from heinit_sim.network.steps.dropout import Dropped, MasksByPlace
from heinit_sim.network.steps.gate import Gated
from heinit_sim.network.steps.norm import Normalised
from heinit_sim.network.steps.operation import (
    LARGEST,
    Arithmetic,
    Kept,
    Operation,
    WeightGradients,
    lost_networks,
    squared_sizes,
)
from heinit_sim.network.steps.pool import Pooled
from heinit_sim.network.steps.training import Tape, TrainingStep
from heinit_sim.network.steps.weights import Convolved, Dense, Weighted, WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Factor, Scaled, plus

# Layers between two looks at the range of the mantissas; a look costs as much as an activation.
# Slopes of activations are 0 or between 1e-6 and 1e3 in size: four layers of them change a norm by
# at most 2^±80, and its square stays within 2^±416.
SETTLE_EVERY = 4

Trace = tuple[Kept, ...]
"""Whatever a layer keeps of the forward pass for the way back, step by step."""


class Layer(NamedTuple):
    """A row of operations: the last one with weights makes f_k, and the row ends with h_{k+1}."""

    operations: tuple[Operation | Added, ...]
    """All steps, in the order of the forward pass."""
    place: int
    """Which of them makes f_k."""
    width_in: int
    """D_k, units of h_k."""
    width_out: int
    """D_{k+1}, units of f_k and h_{k+1}."""
    holds_floats: bool
    """Whether layers are held as plain floats; networks out of their range become NaN."""
    is_last: bool
    """Whether the loss sees what the row ends with; f_k stands for both where it is the end."""

    def forward(self, h: Scaled) -> tuple[Scaled, Trace]:
        """f_k and h_{k+1}, stacked along a new first axis, and their trace.

        The last layer has f_K alone where nothing follows it.
        """
        end = len(self.operations) - 1
        stack = empty_layers(1 if self.is_last and self.place == end else 2, h, self.width_out)
        entered = z = f = h
        kept, lost = list[Kept](), np.zeros(h.mantissa.shape[:-2], bool)
        for place, operation in enumerate(self.operations):
            out = stack[0] if place == self.place else stack[-1] if place == end else None
            if isinstance(operation, Added):
                entered = z = operation.forward(entered, z, out)
                kept.append(None)
            else:
                z, memory = operation.forward(z, out)
                kept.append(memory)
            if place == self.place:
                f = z
            if self.holds_floats and place < end:
                left = lost_networks(z.mantissa)
                if left.any():
                    lost |= left
                    z.mantissa[left] = 0.0  # no warning on the way to NaN
        if self.place == end and not self.is_last:
            stack[1] = stack[0]
        if self.holds_floats:
            stack[-1, ~(squared_sizes(stack[-1]) < LARGEST**2)] = np.nan
            stack[:, lost] = np.nan
        return Scaled(stack, np.array([f.exponent, z.exponent][: len(stack)])), tuple(kept)

    def slopes(self, trace: Trace) -> list[Slopes]:
        """a'[z] of each activation of the row, but for those of gates."""
        return [
            Slopes(operation.activations, kept)
            for operation, kept in zip(self.operations, trace, strict=True)
            if isinstance(operation, Activated)
        ]

    def through(
        self, dl_dend: Scaled, trace: Trace, out: FloatArray | None
    ) -> tuple[Scaled, Scaled | None]:
        """∂ℓ/∂f_k from ∂ℓ/∂h_{k+1}, and the gradient that skips f_k, for `adjoint`.

        Args:
            dl_dend: ∂ℓ/∂h_{k+1}; in the last layer that of what the loss sees.
            trace: From `forward`.
            out: Where ∂ℓ/∂f_k goes, (..., D_{k+1}, n_inputs).
        """
        behind = range(len(self.operations) - 1, self.place, -1)
        if not behind and out is not None:
            out[...] = dl_dend.mantissa
            return Scaled(out, dl_dend.exponent), None
        return self._back(behind, dl_dend, None, trace, out, [])

    def adjoint(
        self, dl_df: Scaled, skipping: Scaled | None, trace: Trace, out: FloatArray
    ) -> tuple[Scaled, UnitMoments | None, BatchGradient | None]:
        """∂ℓ/∂h_k, in `out`; moments of ∂ℓ/∂Ω over all weights of the layer; the batch's gradient.

        Moments are by input, and None where ∂ℓ/∂Ω is the outer product of ∂ℓ/∂f_k and h_k: theirs
        are enough, and are taken of all layers at once. The gradient of the batch's mean loss, by
        all weights and by all biases, is None where it is not asked for.

        Args:
            dl_df: ∂ℓ/∂f_k, from `through`.
            skipping: The gradient that passes f_k by, from there too.
            trace: From `forward`.
            out: Where ∂ℓ/∂h_k goes, (..., D_k, n_inputs).
        """
        found: WeightGradients = []
        before = range(self.place, -1, -1)
        gradient, skipping = self._back(before, dl_df, skipping, trace, out, found)
        if skipping is not None:
            gradient = plus(skipping, gradient, out)
        moments = [(g.moments, g.n_weights) for g in found if g.moments is not None]
        batch = [(g.batch, g.n_weights, g.n_biases) for g in found if g.batch is not None]
        return (
            gradient,
            pooled_moments(moments) if moments else None,
            pooled_gradients(batch) if batch else None,
        )

    def _back(
        self,
        places: range,
        gradient: Scaled,
        skipping: Scaled | None,
        trace: Trace,
        out: FloatArray | None,
        found: WeightGradients,
    ) -> tuple[Scaled, Scaled | None]:
        """Take a gradient, and what of it skips the branch that it is in, back through steps."""
        for place in places:
            operation, into = self.operations[place], out if place == places[-1] else None
            if not isinstance(operation, Added):
                gradient = operation.adjoint(gradient, trace[place], into, found)
                continue
            if skipping is not None:
                gradient = plus(skipping, gradient, np.empty_like(gradient.mantissa))
            gradient, skipping = operation.adjoint(gradient, into)
        return gradient, skipping


def empty_layers(count: int, like: Scaled, n_units: int) -> FloatArray:
    """An array for that many layers of so many units, with the networks and inputs of `like`."""
    shape = like.mantissa.shape
    return np.empty((count, *shape[:-2], n_units, shape[-1]))


def make_layers(
    rows: Sequence[Row],
    weights: WeightsByPlace,
    biases: Sequence[FloatArray] | None = None,
    masks: MasksByPlace | None = None,
    beside: Sequence[Sequence[Row]] = (),
    *,
    measured: bool = True,
    batch_gradient: bool = False,
    tape: Tape | None = None,
    training: TrainingStep | None = None,
) -> list[Layer]:
    """The layers 0 … K of a network.

    Layers are held as plain floats where there are biases, or any step is not positively
    homogeneous; then a network is NaN from the layer on at which it leaves their range.

    Args:
        rows: The steps of the layers 0 … K.
        weights: Ω/σ in the order of the rows, with leading axes for networks.
        biases: β in the order of the weights, (..., rows of Ω, 1).
        masks: Uniform numbers in [0, 1) of each dropout, (..., units, n_inputs).
        beside: The rows of other networks of the same weights Ω/σ, which differ in nothing but σ
            and activations: all go through each layer together, along a first axis.
        measured: Whether the way back takes the moments of ∂ℓ/∂Ω.
        batch_gradient: Whether the way back takes the gradient of the batch's mean loss.
        tape: Takes what a `TrainingStep` needs of both passes.
        training: What has changed weights and biases, if anything has.
    """
    networks = (rows, *beside)
    every = [step for row in distinct(rows) for step in row]
    holds_floats = biases is not None or not all(map(_is_homogeneous, every))
    n_weights, n_dropouts = count(), count()
    layers = []
    for k, row in enumerate(rows):
        arithmetic: Arithmetic = "plain" if holds_floats else "settled"
        is_last, place = k == len(rows) - 1, place_of_f(row)
        dense = is_plain(row) and len(row) <= 2 and weights_in(row[0])[0].window is None
        if arithmetic == "settled" and dense and k % SETTLE_EVERY and not is_last:
            arithmetic = "scaled"
        adds = any(isinstance(step, Add) for step in row)
        operations = []
        for place_in_row, step in enumerate(row):
            steps = [network[k][place_in_row] for network in networks]
            weighted = []
            for matrix, stds in zip(weights_in(step), _stds(steps), strict=True):
                index = next(n_weights)
                weighted.append(
                    Weighted(
                        Dense() if matrix.window is None else Convolved(matrix.window),
                        weights,
                        index,
                        stds,
                        math.prod(matrix.shape),
                        matrix.shape[0],
                        None if biases is None else biases[index],
                        arithmetic,
                        measured=measured and (matrix.window is not None or not is_plain(row)),
                        batch=batch_gradient,
                        may_vanish=adds,
                        tape=tape,
                        training=training,
                    )
                )
            operations.append(_operation(steps, weighted, arithmetic, masks, n_dropouts))
        units = units_in(row), weights_in(row[place])[-1].outputs
        layers.append(Layer(tuple(operations), place, *units, holds_floats, is_last))
    return layers


def _stds(steps: Sequence[Step]) -> Iterator[Factor]:
    """σ of each matrix of a step, or one of each network where they differ, (networks, 1)."""
    first, *others = steps
    for place, weights in enumerate(weights_in(first)):
        std = weights.spec.weight_std
        if others:
            stds = [std, *(weights_in(step)[place].spec.weight_std for step in others)]
            yield std if len(set(stds)) == 1 else np.array(stds)[:, np.newaxis]
        else:
            yield std


def _operation(
    steps: Sequence[Step],
    weighted: Sequence[Weighted],
    arithmetic: Arithmetic,
    masks: MasksByPlace | None,
    n_dropouts: Iterator[int],
) -> Operation | Added:
    """The operation of a step of networks that go together, in the arithmetic of its layer."""
    match step := steps[0]:
        case Weights():
            return weighted[0]
        case Activate():
            return Activated(tuple(activation_of(step) for step in steps))
        case Norm(kind, positions):
            return Normalised(kind, positions, arithmetic)
        case Gate():
            gate, value = weighted
            return Gated(gate, value, activation_of(step.activation))
        case Dropout(rate):
            assert masks is not None, "dropout needs masks"
            return Dropped(masks, next(n_dropouts), rate)
        case Attention():
            query, key, value = weighted
            return Attended(query, key, value, step.heads, step.causal, step.tokens)
        case Pool(positions):
            return Pooled(positions)
        case Add(scale, skip):
            return Added(scale, skip, arithmetic)


def _is_homogeneous(step: Step) -> bool:
    """Whether a factor of what enters is one of what leaves, or its square."""
    slopes = [activation_of(activate).negative_slope for activate in activates_in(step)]
    return None not in slopes and not isinstance(step, Attention)
