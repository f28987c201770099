"""The layers of a network, made from its weights: from h_k to f_k and h_{k+1}, and back."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution, Norm, Residual, matrix_places
from heinit_sim.network import operations
from heinit_sim.network.moments import UnitMoments, pooled_moments
from heinit_sim.network.operations import Arithmetic, Kept, Operation, Weighted, WeightsByPlace
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.scaled_array import Exponents, Scaled, plus, times

# Layers between two looks at the range of the mantissas; a look costs as much as an activation.
# Slopes of activations are 0 or between 1e-6 and 1e3 in size: four layers of them change a norm by
# at most 2^±80, and its square stays within 2^±416.
SETTLE_EVERY = 4
# Plain floats end here: their squares must leave room for the sum of a layer.
_LARGEST = 2.0**500


class Trace(NamedTuple):
    """Whatever a layer keeps of the forward pass for the way back."""

    kept: tuple[Kept, ...]
    """Operation by operation of its branch."""
    derivative: FloatArray | Mask | None
    """a'[f_k]; None where no activation follows."""


class Layer(NamedTuple):
    """f_k = branch(h_k), then h_{k+1} = a[f_k] or h_k + s f_k; the output layer ends at f_K."""

    steps: tuple[Operation, ...]
    """Operations of the branch before its last weights."""
    last: Weighted
    """The weights that make f_k."""
    width_in: int
    """D_k, units of h_k."""
    width_out: int
    """D_{k+1}, units of f_k."""
    activation: Activation | None = None
    """a."""
    scale: float | None = None
    """s."""

    @property
    def branch(self) -> tuple[Operation, ...]:
        """The operations that lead from h_k to f_k."""
        return (*self.steps, self.last)

    @property
    def holds_floats(self) -> bool:
        """Whether layers are held as plain floats; networks out of their range become NaN."""
        return self.last.arithmetic == "plain"

    def forward(self, h: Scaled) -> tuple[Scaled, Trace]:
        """f_k and h_{k+1}, or f_K alone, stacked along a new first axis; and their trace."""
        is_output = self.activation is None and self.scale is None
        stack = empty_layers(1 if is_output else 2, h, self.width_out)
        z, kept = h, list[Kept]()
        for operation in self.branch:
            z, memory = operation.forward(z, stack[0] if operation is self.last else None)
            kept.append(memory)
        if not self.holds_floats:
            exponent, derivative = self._follow(h, z, stack)
        else:
            lost = self._lost(stack[0], h.mantissa)
            stack[0, lost] = 0.0  # no warning on the way to NaN
            exponent, derivative = self._follow(h, z, stack)
            stack[-1, ~(np.abs(stack[-1]).max(axis=(-1, -2)) < _LARGEST)] = np.nan
            stack[:, lost] = np.nan
        return Scaled(stack, exponent), Trace(tuple(kept), derivative)

    def adjoint(
        self, dl_df: Scaled, dl_dnext: Scaled | None, trace: Trace, out: FloatArray
    ) -> tuple[Scaled, UnitMoments | None]:
        """∂ℓ/∂h_k, in `out`, and the moments of ∂ℓ/∂Ω over all weights of the layer, by input.

        No moments where ∂ℓ/∂Ω is the outer product of ∂ℓ/∂f_k and h_k: theirs are enough, and are
        taken of all layers at once.

        Args:
            dl_df: ∂ℓ/∂f_k, from `through`.
            dl_dnext: ∂ℓ/∂h_{k+1}, which passes to h_k where f_k is added to it.
            trace: From `forward`.
            out: Where ∂ℓ/∂h_k goes, (..., D_k, n_inputs).
        """
        gradient, moments = dl_df, list[UnitMoments]()
        for n, operation in reversed(list(enumerate(self.branch))):
            if isinstance(operation, Weighted) and operation.measured:
                moments.append(operation.weight_moments(gradient, trace.kept[n]))
            gradient = operation.adjoint(gradient, trace.kept[n], None if n else out)
        if self.scale is not None:
            assert dl_dnext is not None
            gradient = plus(dl_dnext, gradient, out)
        return gradient, pooled_moments(moments) if moments else None

    def through(self, dl_dnext: Scaled, trace: Trace, out: FloatArray) -> Scaled:
        """∂ℓ/∂f_k from ∂ℓ/∂h_{k+1}: a'[f_k] ⊙ ∂ℓ/∂h_{k+1}, or s ∂ℓ/∂h_{k+1}."""
        if self.scale is not None:
            return times(self.scale, dl_dnext, out, settle=False)
        assert trace.derivative is not None
        return Scaled(np.multiply(trace.derivative, dl_dnext.mantissa, out), dl_dnext.exponent)

    def linear_part(self, h: FloatArray) -> FloatArray:
        """f_k in plain floats, of a layer without biases."""
        f = Scaled(h, np.zeros(h.shape[:-2], np.int64))
        for operation in self.branch:
            f, _ = operation.forward(f, None)
        return np.ldexp(f.mantissa, f.exponent[..., np.newaxis, np.newaxis])

    def _follow(
        self, h: Scaled, f: Scaled, stack: FloatArray
    ) -> tuple[Exponents, FloatArray | Mask | None]:
        """Put h_{k+1}, if there is one, after f_k in the stack; their exponents, and a'[f_k]."""
        derivative, exponents = None, [f.exponent] * len(stack)
        if self.activation is not None:
            self.activation.value(stack[0], stack[1])
            derivative = self.activation.derivative(stack[0])
        elif self.scale is not None and self.holds_floats:
            np.multiply(stack[0], self.scale, out=stack[1])
            stack[1] += h.mantissa
        elif self.scale is not None:
            exponents[1] = plus(h, f, stack[1], self.scale).exponent
        return np.array(exponents), derivative

    def _lost(self, f: FloatArray, h: FloatArray) -> Mask:
        """Networks whose f_k float range, not the network, makes infinite or zero; (...)."""
        size = np.abs(f).max(axis=(-1, -2))
        inside: Mask = size < _LARGEST
        if self.scale is None:  # a branch that is added to h_k may well be 0
            inside &= (size > 1 / _LARGEST) | ~np.any(h, (-1, -2))
        return ~inside


def empty_layers(count: int, like: Scaled, n_units: int) -> FloatArray:
    """An array for that many layers of so many units, with the networks and inputs of `like`."""
    shape = like.mantissa.shape
    return np.empty((count, *shape[:-2], n_units, shape[-1]))


def make_layers(
    widths: Sequence[int],
    weights: WeightsByPlace,
    stds: Sequence[float],
    activation: Activation,
    biases: Sequence[FloatArray] | None = None,
    convolution: Convolution | None = None,
    residual: Residual | None = None,
) -> list[Layer]:
    """The layers 0 … K of a network.

    Layers are held as plain floats where there are biases, or a[·] is not positively homogeneous;
    then a network is NaN from the layer on at which it leaves their range.

    Args:
        widths: D_0 … D_{K+1}.
        weights: Ω/σ in the order of `architecture.matrix_shapes`, with leading axes for networks.
        stds: σ_k of the layers 0 … K.
        activation: a.
        biases: β in the order of the weights, (..., rows of Ω, 1).
        convolution: How units of hidden layers are connected, if not each with every other.
        residual: How blocks add to what enters them, if they do.
    """
    depth = len(widths) - 2
    plain = biases is not None or activation.negative_slope is None
    layers = []
    for k, places in enumerate(matrix_places(depth, residual)):
        linear: operations.Dense | operations.Convolved = operations.Dense()
        if convolution is not None and k < depth:
            linear = operations.Convolved(convolution)
        settled = convolution is not None or k % SETTLE_EVERY == 0 or k == depth
        arithmetic: Arithmetic = "plain" if plain else "settled" if settled else "scaled"
        *inner, last = (
            Weighted(linear, weights, p, stds[k], None if biases is None else biases[p], arithmetic)
            for p in places
        )
        ends = widths[k], widths[k + 1]
        if residual is not None and 0 < k < depth:
            steps = _steps(activation.layer(k), inner, residual.norm)
            last = last._replace(std=0.0) if residual.zero_last else last
            layers.append(Layer(steps, last, *ends, scale=residual.scale))
        elif k == depth and convolution is not None and convolution.readout == "mean":
            layers.append(Layer((operations.Pooled(convolution),), last, *ends))
        else:
            last = last._replace(measured=isinstance(linear, operations.Convolved))
            follows = activation.layer(k) if k < depth else None
            if residual is not None and k == 0:
                follows = make_activation("linear", {})  # h_1 = f_0
            layers.append(Layer((), last, *ends, follows))
    return layers


def _steps(activation: Activation, inner: list[Weighted], norm: Norm) -> tuple[Operation, ...]:
    """The operations of a branch before its last weights: a[·], or a[Ω a[·]]."""
    steps: list[Operation] = [operations.Normalised()] if norm == "before" else []
    steps.append(operations.Activated(activation))
    if inner:
        steps += inner
        if norm == "inside":
            steps.append(operations.Normalised())
        steps.append(operations.Activated(activation))
    return tuple(steps)
