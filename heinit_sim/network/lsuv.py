"""Layer-sequential unit variance: orthonormal weights, scaled until each Var f_k is 1.

Source: Mishkin & Matas 2016, All you need is a good init, algorithm 1.
"""

from collections.abc import Sequence

import numpy as np

from heinit_sim.experiment.sweep_config import Lsuv
from heinit_sim.network.layers import Layer
from heinit_sim.network.operations import WeightsByPlace
from heinit_sim.numerics import FloatArray


class ScaledWeights:
    """Weights by layer, each network's times a factor of its own, multiplied at each look."""

    def __init__(self, weights: WeightsByPlace, factors: Sequence[FloatArray]) -> None:
        self._weights, self._factors = weights, factors

    def __getitem__(self, k: int) -> FloatArray:
        omega, factors = self._weights[k], self._factors[k]
        return omega * factors.reshape(-1, *(1,) * (omega.ndim - 1))


def unit_variance_factors(
    layers: Sequence[Layer], x: FloatArray, biases: Sequence[FloatArray] | None, lsuv: Lsuv
) -> list[FloatArray]:
    """Factors of Ω_k after which Var f_k over units and inputs is 1, layer by layer.

    One network at a time, whatever others are beside it: f_k is measured on its batch, and its
    weights divided by √Var f_k, until |Var f_k − 1| is below the tolerance, or as often as is
    allowed. Without biases once is enough. Where Var f_k is 0 there is nothing to divide by.

    Args:
        layers: The layers 0 … K without their biases, each of one weight matrix.
        x: The batch, (n_networks, D_0, n_inputs).
        biases: β_k of the same layers, (n_networks, rows of Ω_k, 1).
        lsuv: Tolerance and number of attempts.

    Returns:
        One factor per layer and network, each (n_networks,).
    """
    h, factors = x, []
    with np.errstate(over="ignore", invalid="ignore"):  # the pass says where
        for k, layer in enumerate(layers):
            unscaled = layer.linear_part(h)
            bias = np.zeros(1) if biases is None else layer.last.linear.per_unit(biases[k])
            factor, f = np.ones(len(x)), unscaled + bias
            for _ in range(lsuv.attempts):
                variance = f.reshape(len(f), -1).var(axis=1)
                variance = np.where(np.isfinite(variance), variance, 0.0)  # past float range
                off = (np.abs(variance - 1) >= lsuv.tolerance) & (variance > 0)
                if not off.any():
                    break
                factor[off] /= np.sqrt(variance[off])
                f = factor[:, np.newaxis, np.newaxis] * unscaled + bias
            factors.append(factor)
            if layer.activation is not None:
                h = layer.activation.value(f, np.empty_like(f))
    return factors
