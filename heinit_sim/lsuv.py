"""Layer-sequential unit variance: orthonormal weights, scaled until each Var f_k is 1.

Source: Mishkin & Matas 2016, All you need is a good init, algorithm 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import Activation
from heinit_sim.network import Weights
from heinit_sim.records import Lsuv

Array = NDArray[np.float64]


class ScaledWeights:
    """Weights by layer, each network's times a factor of its own, multiplied at each look."""

    def __init__(self, weights: Weights, factors: Sequence[Array]) -> None:
        self._weights, self._factors = weights, factors

    def __getitem__(self, k: int) -> Array:
        return self._weights[k] * self._factors[k][:, np.newaxis, np.newaxis]


def unit_variance_factors(
    weights: Weights,
    stds: Sequence[float],
    x: Array,
    activation: Activation,
    biases: Sequence[Array] | None,
    lsuv: Lsuv,
) -> list[Array]:
    """Factors of Ω_k after which Var f_k over units and inputs is 1, layer by layer.

    One network at a time, whatever others are beside it: f_k is measured on its batch, and its
    weights divided by √Var f_k, until |Var f_k − 1| is below the tolerance, or as often as is
    allowed. Without biases once is enough. Where Var f_k is 0 there is nothing to divide by.

    Args:
        weights: Ω_k/σ_k of the layers 0 … K, each (n_networks, fan_out, fan_in).
        stds: σ_k of the same layers.
        x: The batch, (n_networks, D_0, n_inputs).
        activation: a, of the hidden layers.
        biases: β_k of the same layers, as `network.iter_forward` takes them.
        lsuv: Tolerance and number of attempts.

    Returns:
        One factor per layer and network, each (n_networks,).
    """
    h, factors = x, []
    with np.errstate(over="ignore", invalid="ignore"):  # the pass says where
        for k, std in enumerate(stds):
            unscaled = std * (weights[k] @ h)
            bias = np.zeros(1) if biases is None else biases[k]
            factor, f = np.ones(len(x)), unscaled + bias
            for _ in range(lsuv.attempts):
                variance = _variance(f)
                off = (np.abs(variance - 1) >= lsuv.tolerance) & (variance > 0)
                if not off.any():
                    break
                factor[off] /= np.sqrt(variance[off])
                f = factor[:, np.newaxis, np.newaxis] * unscaled + bias
            factors.append(factor)
            if k < len(stds) - 1:
                h = activation.layer(k).value(f, np.empty_like(f))
    return factors


def _variance(f: Array) -> Array:
    """Over units and inputs, one number per network; 0 for what is past float range."""
    variance = f.reshape(len(f), -1).var(axis=1)
    settled: Array = np.where(np.isfinite(variance), variance, 0.0)
    return settled
