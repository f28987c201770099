"""The layers of a network, from its weights: what leads from h_k to f_k and h_{k+1}, and back."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution, Residual, matrix_places
from heinit_sim.network.moments import UnitMoments, pooled_moments
from heinit_sim.network.operations import (
    Activated,
    Convolved,
    Dense,
    Kept,
    Linear,
    Normalised,
    Operation,
    Pooled,
    Weighted,
    Weights,
)
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Scaled, plus, times

# Layers between two looks at the range of the mantissas; a look costs as much as an activation.
# Slopes of activations are 0 or between 1e-6 and 1e3 in size: four layers of them change a norm by
# at most 2^±80, and its square stays within 2^±416.
SETTLE_EVERY = 4
# What cannot be rescaled ends here: its square must leave room for the sum of a layer.
_LARGEST = 2.0**500


class Trace(NamedTuple):
    """What a layer keeps of the forward pass for the way back, and of the way back."""

    kept: tuple[Kept, ...]
    """Operation by operation of its branch."""
    derivative: FloatArray | Mask | None
    """a'[f_k]; None where no activation follows."""
    weighted: tuple[tuple[Weighted, Scaled, Kept], ...] = ()
    """Once the gradient has passed: its weights, ∂ℓ/∂ what they made, and what they kept."""


class Layer(NamedTuple):
    """f_k = branch(h_k), then h_{k+1} = a[f_k] or h_k + s f_k; the output layer ends at f_K."""

    branch: tuple[Operation, ...]
    width_in: int
    """D_k, units of h_k."""
    width_out: int
    """D_{k+1}, units of f_k."""
    activation: Activation | None = None
    """a."""
    scale: float | None = None
    """s."""
    direct: bool = False
    """Whether it stays in plain floats; then networks out of their range become NaN."""

    def forward(self, h: Scaled) -> tuple[Scaled, Trace]:
        """f_k and h_{k+1}, or f_K alone, stacked along a new first axis; and what is kept."""
        last = self.activation is None and self.scale is None
        stack = room(1 if last else 2, h, self.width_out)
        f, out, kept = h, stack[0], []
        for operation in self.branch[:-1]:
            f, own = operation.forward(f, None)
            kept.append(own)
        f, own = self.branch[-1].forward(f, out)
        lost = self._lost(out, h.mantissa) if self.direct else None
        if lost is not None:
            stack[0, lost] = 0.0
        exponent, derivative = f.exponent[np.newaxis], None
        if self.activation is not None:
            self.activation.value(out, stack[1])
            derivative = self.activation.derivative(out)
        elif self.scale is not None and self.direct:
            np.multiply(out, self.scale, out=stack[1])
            stack[1] += h.mantissa
        elif self.scale is not None:
            exponent = np.stack([f.exponent, plus(h, f, stack[1], self.scale).exponent])
        if lost is not None:
            stack[-1, ~(np.abs(stack[-1]).max(axis=(-1, -2)) < _LARGEST)] = np.nan
            stack[:, lost] = np.nan
        return Scaled(stack, exponent), Trace((*kept, own), derivative)

    def adjoint(
        self, dl_df: Scaled, dl_dnext: Scaled | None, trace: Trace, out: FloatArray
    ) -> tuple[Scaled, Trace]:
        """∂ℓ/∂h_k from ∂ℓ/∂f_k and, where f_k is added to h_k, ∂ℓ/∂h_{k+1}; see `through`."""
        gradient, weighted = dl_df, []
        for n in range(len(self.branch) - 1, -1, -1):
            operation, kept = self.branch[n], trace.kept[n]
            if kept is not None and isinstance(operation, Weighted):
                weighted.append((operation, gradient, kept))
            gradient = operation.adjoint(gradient, kept, None if n else out)
        if self.scale is not None:
            assert dl_dnext is not None
            gradient = plus(dl_dnext, gradient, out)
        return gradient, Trace((), None, tuple(weighted))

    def through(self, dl_dnext: Scaled, trace: Trace, out: FloatArray) -> Scaled:
        """∂ℓ/∂f_k from ∂ℓ/∂h_{k+1}: a'[f_k] ⊙ or s ∂ℓ/∂h_{k+1}."""
        if self.scale is not None:
            return times(self.scale, dl_dnext, out, settle=False)
        assert trace.derivative is not None
        return Scaled(np.multiply(trace.derivative, dl_dnext.mantissa, out), dl_dnext.exponent)

    def weight_moments(self, trace: Trace) -> UnitMoments | None:
        """Mean and variance of ∂ℓ/∂Ω over all weights of the layer, for each input.

        None where ∂ℓ/∂Ω is the outer product of ∂ℓ/∂f_k and h_k: their moments are enough, and
        are taken of all layers at once.

        Args:
            trace: What the gradient left when it passed.
        """
        if not trace.weighted:
            return None
        found = [weights.weight_moments(dl_df, kept) for weights, dl_df, kept in trace.weighted]
        return pooled_moments(found)

    def linear_part(self, h: FloatArray) -> FloatArray:
        """f_k in plain floats, of a layer without biases."""
        f = Scaled(h, np.zeros(h.shape[:-2], np.int64))
        for operation in self.branch:
            f, _ = operation.forward(f, None)
        return np.ldexp(f.mantissa, f.exponent[..., np.newaxis, np.newaxis])

    def per_unit(self, biases: FloatArray) -> FloatArray:
        """β_k, (..., rows of Ω_k, 1), as one number for each unit."""
        last = self.branch[-1]
        assert isinstance(last, Weighted)  # a branch ends with weights
        return last.linear.per_unit(biases)

    def _lost(self, f: FloatArray, h: FloatArray) -> NDArray[np.bool_]:
        """Whose pre-activation float range, not the network, makes infinite or zero; (...)."""
        size = np.abs(f).max(axis=(-1, -2))
        inside: NDArray[np.bool_] = size < _LARGEST
        if self.scale is None:  # what is added to h_k may well be 0
            inside &= (size > 1 / _LARGEST) | ~np.any(h, (-1, -2))
        return ~inside


def room(count: int, like: Scaled, n_units: int) -> FloatArray:
    """Room for that many layers of so many units, for the networks and inputs of `like`."""
    shape = like.mantissa.shape
    return np.empty((count, *shape[:-2], n_units, shape[-1]))


def make_layers(
    widths: Sequence[int],
    weights: Weights,
    stds: Sequence[float],
    activation: Activation,
    biases: Sequence[FloatArray] | None = None,
    convolution: Convolution | None = None,
    residual: Residual | None = None,
) -> list[Layer]:
    """The layers 0 … K of a network.

    Args:
        widths: D_0 … D_{K+1}.
        weights: Ω/σ in the order of `topology.matrix_shapes`, with leading axes for networks.
        stds: σ_k of the layers 0 … K.
        activation: a; the activations are rescaled on the way if it is positively homogeneous.
        biases: β in the order of the weights, (..., rows of Ω, 1); then nothing is rescaled either.
        convolution: What the hidden layers are, if not fully connected.
        residual: How blocks add to what enters them, if they do.

    What is not rescaled is NaN from the layer on at which it left the range of a float.
    """
    depth = len(widths) - 2
    direct = biases is not None or activation.negative_slope is None
    dense, dense_inside = Dense(), Dense(inside=True, direct=direct)
    convolved = None if convolution is None else Convolved(convolution, direct)

    def weighted(k: int, place: int, std: float, *, inside: bool) -> Weighted:
        linear: Linear = dense_inside if inside else dense
        if convolved is not None and k < depth:
            linear = convolved
        beta = None if biases is None else biases[place]
        settle = convolution is not None or k % SETTLE_EVERY == 0 or k == depth
        return Weighted(linear, weights, place, std, beta, direct, settle)

    layers = []
    for k, places in enumerate(matrix_places(depth, residual)):
        if residual is not None and 0 < k < depth:
            steps: list[Operation] = [Normalised()] if residual.norm == "before" else []
            for n, place in enumerate(places):
                last = n == len(places) - 1
                if n > 0 and residual.norm == "inside":
                    steps.append(Normalised())
                std = 0.0 if last and residual.zero_last else stds[k]
                steps += [Activated(activation.layer(k)), weighted(k, place, std, inside=True)]
            layers.append(
                Layer(tuple(steps), widths[k], widths[k + 1], None, residual.scale, direct)
            )
            continue
        branch: tuple[Operation, ...] = (weighted(k, places[0], stds[k], inside=False),)
        if k == depth and convolution is not None and convolution.readout == "mean":
            branch = (Pooled(convolution), weighted(k, places[0], stds[k], inside=True))
        follows = activation.layer(k) if k < depth else None
        if residual is not None and k == 0:
            follows = make_activation("linear", {})
        layers.append(Layer(branch, widths[k], widths[k + 1], follows, None, direct))
    return layers
