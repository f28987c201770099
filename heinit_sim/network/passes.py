"""Forward and backward passes of a network, batched: pure functions of arrays.

    h_k → f_k → h_{k+1},   ℓ of f_K

`layers` says what a layer does; in the plainest network f_k = β_k + Ω_k h_k, h_{k+1} = a[f_k]. The
loss (`losses`) sees what the last row of steps ends with: f_K, but for an activation of the output.
Activations and gradients have one row per unit and one column per input; leading axes, if any, run
over independent networks. Both passes yield layer by layer and keep no more than the way back
needs. Gradients are rescaled on the way at any depth; activations where that commutes with a[·],
in a positively homogeneous network without biases.

Source: Prince, Understanding Deep Learning (2023), eq. 7.6 and 7.13.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.quantities import Quantity
from heinit_sim.network.batch_gradients import BatchGradient
from heinit_sim.network.layers import Layer, Trace, empty_layers
from heinit_sim.network.moments import UnitMoments
from heinit_sim.network.steps.activation import Slopes
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, scaled

LayerName = tuple[Quantity, int]
"""The quantity that a layer holds, and its index k."""


class Stack(NamedTuple):
    """The one or two layers that a pass comes to in one step; they have the same shape."""

    names: tuple[LayerName, ...]
    numbers: Scaled
    """All their numbers in one array, (layers, ..., units, n_inputs), in the order of the names."""
    weight_moments: UnitMoments | None = None
    """The moments of ∂ℓ/∂Ω_k, beside ∂ℓ/∂h_k, unless those of ∂ℓ/∂f_k and h_k tell them."""
    batch_gradient: BatchGradient | None = None
    """The gradient of the batch's mean loss by Ω_k and β_k, beside ∂ℓ/∂h_k, if it is asked for."""
    end: Scaled | None = None
    """Numbers that the loss sees, beside f_K: f_K itself, unless other steps follow it."""
    slopes: Callable[[], list[Slopes]] = list[Slopes]
    """Gives a'[z] of the activations that make h_{k+1} of h_k, beside f_k and h_{k+1}."""

    def layers(self) -> list[tuple[LayerName, Scaled]]:
        """Each layer with its name."""
        return [(name, Scaled(*z)) for name, *z in zip(self.names, *self.numbers, strict=True)]


def iter_forward(layers: Sequence[Layer], x: FloatArray, traces: list[Trace]) -> Iterator[Stack]:
    """Yield h_0, then f_k with h_{k+1} for k = 0 … K−1, then f_K.

    Args:
        layers: The network, from `make_layers`.
        x: h_0, (..., D_0, n_inputs).
        traces: Takes the trace of each layer, for `iter_backward`.
    """
    h = Scaled(x, np.zeros(x.shape[:-2], np.int64)) if layers[0].holds_floats else scaled(x)
    yield alone(("activation", 0), h)
    for k, layer in enumerate(layers):
        numbers, trace = layer.forward(h)
        traces.append(trace)
        h = Scaled(numbers.mantissa[-1], numbers.exponent[-1])
        if layer.is_last:
            f = Scaled(numbers.mantissa[0], numbers.exponent[0])
            yield alone(("preactivation", k), f)._replace(end=h)
        else:
            names: tuple[LayerName, ...] = ("preactivation", k), ("activation", k + 1)
            yield Stack(names, numbers, slopes=partial(layer.slopes, trace))


def iter_backward(layers: Sequence[Layer], dl_dend: Scaled, traces: list[Trace]) -> Iterator[Stack]:
    """Yield ∂ℓ/∂f_K, then ∂ℓ/∂h_k with ∂ℓ/∂f_{k−1} for k = K … 1, then ∂ℓ/∂h_0 (eq. 7.13).

    Args:
        layers: The network, from `make_layers`.
        dl_dend: The gradient of what the loss sees, input by input, (..., D_o, n_inputs).
        traces: Those that `iter_forward` left; each is taken off once the gradient has passed.
    """
    dl_df, skipping = layers[-1].through(dl_dend, traces[-1], None)
    yield alone(("grad_preactivation", len(layers) - 1), dl_df)
    for k in reversed(range(len(layers))):
        mantissa = empty_layers(2 if k else 1, dl_df, layers[k].width_in)
        dl_dh, moments, batch = layers[k].adjoint(dl_df, skipping, traces.pop(), mantissa[0])
        names: tuple[LayerName, ...] = (("grad_activation", k),)
        exponents = [dl_dh.exponent]
        if k:
            dl_df, skipping = layers[k - 1].through(dl_dh, traces[k - 1], mantissa[1])
            names = (*names, ("grad_preactivation", k - 1))
            exponents.append(dl_df.exponent)
        yield Stack(names, Scaled(mantissa, np.array(exponents)), moments, batch)


def layers_by_name(stacks: Iterable[Stack]) -> dict[LayerName, Scaled]:
    """Each layer of a pass that is gone through to its end."""
    return {name: layer for stack in stacks for name, layer in stack.layers()}


def alone(name: LayerName, layer: Scaled) -> Stack:
    """A layer that a pass comes to by itself."""
    return Stack((name,), Scaled(layer.mantissa[np.newaxis], layer.exponent[np.newaxis]))
