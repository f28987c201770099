"""Forward and backward passes of fully connected networks, batched: pure functions of arrays.

    f_k = β_k + Ω_k h_k,   h_{k+1} = a[f_k],   ℓ = Σ_o (f_K,o − y)²

The weights are handed over as Ω_k/σ_k and σ_k, so that one set of standard-normal draws serves
every variance. Activations and gradients have one row per unit and one column per input; leading
axes, if any, run over independent networks, of Ω as well. Both passes yield layer by layer and
keep nothing. Gradients are rescaled on the way at any depth; activations where that commutes with
a[·], in a positively homogeneous network without biases.

Source: Prince, Understanding Deep Learning (2023), eq. 7.6 and 7.13.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation
from heinit_sim.scaled import Scaled, minus, product, scaled

Array = NDArray[np.float64]

# Layers between two looks at the range of the mantissas; a look costs as much as an activation.
# Slopes of activations are 0 or between 1e-6 and 1e3 in size: four layers of them change a norm by
# at most 2^±80, and its square stays within 2^±416.
SETTLE_EVERY = 4
# What cannot be rescaled ends here: its square must leave room for the sum of a layer.
_LARGEST = 2.0**500


class Weights(Protocol):
    """Ω_k/σ_k by layer: a list, or what draws them anew at each look."""

    def __getitem__(self, k: int, /) -> Array: ...


def iter_forward(
    weights: Weights,
    stds: Sequence[float],
    x: Array,
    activation: Activation,
    biases: Sequence[Array] | None = None,
) -> Iterator[Scaled]:
    """Yield h_0, then f_k with h_{k+1} for k = 0 … K−1, then f_K.

    h_0 = x,   f_k = β_k + σ_k Ω_k h_k,   h_{k+1} = a[f_k]. One or two layers at a time, as they
    have the same shape: stacked along a new first axis, all the networks' numbers in one array.

    Args:
        weights: Ω_k/σ_k of the layers 0 … K, each (..., fan_out, fan_in).
        stds: σ_k of the same layers.
        x: Inputs, (..., D_0, n_inputs).
        activation: a; the activations are rescaled on the way if it is positively homogeneous.
        biases: β_k of the same layers, (..., fan_out, 1) with 1 for any length; then nothing is
            rescaled either.

    What is not rescaled is NaN from the layer on at which it left the range of a float.
    """
    if biases is not None or activation.negative_slope is None:
        yield from _iter_unscaled(weights, stds, x, activation, biases)
        return
    h = scaled(x)
    yield Scaled(h.mantissa[np.newaxis], h.exponent[np.newaxis])
    for k in range(len(stds) - 1):
        omega = weights[k]
        pair = _layers(2, h, omega.shape[-2])
        settle = k % SETTLE_EVERY == 0
        f = product(stds[k], omega, h, out=pair[0], settle=settle)
        h = Scaled(activation.layer(k).value(f.mantissa, pair[1]), f.exponent)
        yield Scaled(pair, f.exponent[np.newaxis])
    omega = weights[len(stds) - 1]
    output = _layers(1, h, omega.shape[-2])
    f = product(stds[-1], omega, h, out=output[0])
    yield Scaled(output, f.exponent[np.newaxis])


def iter_backward(
    weights: Weights,
    stds: Sequence[float],
    dl_df: Scaled,
    derivatives: Sequence[NDArray[np.float64] | NDArray[np.bool_]],
    settle_every: int = SETTLE_EVERY,
) -> Iterator[Scaled]:
    """Yield ∂ℓ/∂f_K, then ∂ℓ/∂h_k with ∂ℓ/∂f_{k−1} for k = K … 1, then ∂ℓ/∂h_0 (eq. 7.13).

    ∂ℓ/∂h_k = σ_k Ω_kᵀ ∂ℓ/∂f_k,   ∂ℓ/∂f_{k−1} = a'[f_{k−1}] ⊙ ∂ℓ/∂h_k, per input. Stacked as in
    `iter_forward`.

    Args:
        weights: Ω_k/σ_k of the layers 0 … K, each (..., fan_out, fan_in).
        stds: σ_k of the same layers.
        dl_df: ∂ℓ/∂f_K, (..., D_o, n_inputs).
        derivatives: a'[f_k] of the hidden layers k = 0 … K−1.
        settle_every: Layers between two looks at the range; 1 where slopes may be tiny.
    """
    yield Scaled(dl_df.mantissa[np.newaxis], dl_df.exponent[np.newaxis])
    for k in reversed(range(1, len(stds))):
        transposed = weights[k].swapaxes(-1, -2)
        pair = _layers(2, dl_df, transposed.shape[-2])
        settle = k % settle_every == 0
        dl_dh = product(stds[k], transposed, dl_df, out=pair[0], settle=settle)
        masked = np.multiply(derivatives[k - 1], dl_dh.mantissa, out=pair[1])
        dl_df = Scaled(masked, dl_dh.exponent)
        yield Scaled(pair, dl_dh.exponent[np.newaxis])
    transposed = weights[0].swapaxes(-1, -2)
    to_input = _layers(1, dl_df, transposed.shape[-2])
    dl_dh = product(stds[0], transposed, dl_df, out=to_input[0])
    yield Scaled(to_input, dl_dh.exponent[np.newaxis])


def loss_gradient(output: Scaled, target: float) -> Scaled:
    """∂ℓ/∂f_K = 2 (f_K − y) of the least-squares loss, at any magnitude of f_K."""
    difference = minus(output, target)
    return Scaled(difference.mantissa, difference.exponent + 1)


def _iter_unscaled(
    weights: Weights,
    stds: Sequence[float],
    x: Array,
    activation: Activation,
    biases: Sequence[Array] | None,
) -> Iterator[Scaled]:
    """The forward pass in plain floats: every exponent is 0, and networks out of range are NaN."""
    h = Scaled(x, np.zeros(x.shape[:-2], np.int64))
    yield Scaled(x[np.newaxis], h.exponent[np.newaxis])
    for k, std in enumerate(stds):
        omega = weights[k]
        hidden = k < len(stds) - 1
        layers = _layers(2 if hidden else 1, h, omega.shape[-2])
        f = np.matmul(omega, h.mantissa, out=layers[0])
        with np.errstate(over="ignore"):  # of a network that is lost
            f *= std
        if biases is not None:
            f += biases[k]
        lost = _lost(f, h.mantissa)
        f[lost] = 0.0
        if hidden:
            h = Scaled(activation.layer(k).value(f, layers[1]), h.exponent)
            layers[1, ~(np.abs(h.mantissa).max(axis=(-1, -2)) < _LARGEST)] = np.nan
        layers[:, lost] = np.nan
        yield Scaled(layers, h.exponent[np.newaxis])


def _lost(f: Array, h: Array) -> NDArray[np.bool_]:
    """Whose pre-activation float range, not the network, makes infinite or zero; (...)."""
    size = np.abs(f).max(axis=(-1, -2))
    inside: NDArray[np.bool_] = (size < _LARGEST) & ((size > 1 / _LARGEST) | ~np.any(h, (-1, -2)))
    return ~inside


def _layers(count: int, like: Scaled, n_units: int) -> Array:
    """Room for that many layers of so many units, for the networks and inputs of `like`."""
    shape = like.mantissa.shape
    return np.empty((count, *shape[:-2], n_units, shape[-1]))
