"""Forward and backward passes of a network, batched: pure functions of arrays.

    f_k = branch(h_k),   h_{k+1} = a[f_k] or h_k + s f_k,   ℓ = Σ_o (f_K,o − y)²

What a layer does is its own matter (`blocks`); in the plainest network f_k = β_k + Ω_k h_k.
Activations and gradients have one row per unit and one column per input; leading axes, if any, run
over independent networks. Both passes yield layer by layer and keep no more than the way back
needs. Gradients are rescaled on the way at any depth; activations where that commutes with a[·],
in a positively homogeneous network without biases.

Source: Prince, Understanding Deep Learning (2023), eq. 7.6 and 7.13.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from heinit_sim.network.layers import Layer, Trace, room
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled, minus, scaled


def iter_forward(layers: Sequence[Layer], x: FloatArray, traces: list[Trace]) -> Iterator[Scaled]:
    """Yield h_0, then f_k with h_{k+1} for k = 0 … K−1, then f_K.

    One or two layers at a time, as they have the same shape: stacked along a new first axis, all
    the networks' numbers in one array.

    Args:
        layers: Of the network, from `blocks.make_layers`.
        x: h_0, (..., D_0, n_inputs).
        traces: Takes what each layer keeps for the way back.
    """
    direct = layers[0].direct
    h = Scaled(x, np.zeros(x.shape[:-2], np.int64)) if direct else scaled(x)
    yield Scaled(h.mantissa[np.newaxis], h.exponent[np.newaxis])
    for layer in layers:
        stack, trace = layer.forward(h)
        traces.append(trace)
        h = Scaled(stack.mantissa[-1], stack.exponent[-1])
        yield stack


def iter_backward(layers: Sequence[Layer], dl_df: Scaled, traces: list[Trace]) -> Iterator[Scaled]:
    """Yield ∂ℓ/∂f_K, then ∂ℓ/∂h_k with ∂ℓ/∂f_{k−1} for k = K … 1, then ∂ℓ/∂h_0 (eq. 7.13).

    Per input, and stacked as in `iter_forward`.

    Args:
        layers: Of the network.
        dl_df: ∂ℓ/∂f_K, (..., D_o, n_inputs).
        traces: What the layers kept; once ∂ℓ/∂h_k is there, also what `Layer.weight_moments`
            needs of layer k.
    """
    yield Scaled(dl_df.mantissa[np.newaxis], dl_df.exponent[np.newaxis])
    dl_dh: Scaled | None = None
    for k in reversed(range(len(layers))):
        stack = room(2 if k else 1, dl_df, layers[k].width_in)
        dl_dh, traces[k] = layers[k].adjoint(dl_df, dl_dh, traces[k], stack[0])
        exponent = dl_dh.exponent[np.newaxis]
        if k:
            dl_df = layers[k - 1].through(dl_dh, traces[k - 1], stack[1])
            if dl_df.exponent is not dl_dh.exponent:
                exponent = np.stack([dl_dh.exponent, dl_df.exponent])
        yield Scaled(stack, exponent)


def loss_gradient(output: Scaled, target: float) -> Scaled:
    """∂ℓ/∂f_K = 2 (f_K − y) of the least-squares loss, at any magnitude of f_K."""
    difference = minus(output, target)
    return Scaled(difference.mantissa, difference.exponent + 1)
