"""Layer-sequential unit variance: orthonormal weights, scaled until each Var f_k is 1.

Source: Mishkin & Matas 2016, All you need is a good init, algorithm 1; biases that centre each unit
are those of fast.ai's course.
"""

from collections.abc import Sequence

import numpy as np

from heinit_sim.experiment.sweep_config import Lsuv
from heinit_sim.network.layers import Layer
from heinit_sim.network.steps.add import Added
from heinit_sim.network.steps.operation import Operation
from heinit_sim.network.steps.weights import Convolved, Weighted, WeightsByPlace
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import Scaled


class ScaledWeights:
    """Weights by layer, each network's times a factor of its own, multiplied at each look."""

    def __init__(self, weights: WeightsByPlace, factors: Sequence[FloatArray]) -> None:
        self._weights, self._factors = weights, factors

    def __getitem__(self, k: int) -> FloatArray:
        omega, factors = self._weights[k], self._factors[k]
        return omega * factors.reshape(-1, *(1,) * (omega.ndim - 1))


def fitted_to_batch(
    layers: Sequence[Layer], x: FloatArray, biases: Sequence[FloatArray] | None, lsuv: Lsuv
) -> tuple[list[FloatArray], Sequence[FloatArray] | None]:
    """Factors of Ω_k after which Var f_k over units and inputs is 1, layer by layer, and biases.

    One network at a time, whatever others are beside it: f_k is measured on its batch, and its
    weights divided by √Var f_k, until |Var f_k − 1| is below the tolerance, or as often as is
    allowed. Without biases once is enough. Where Var f_k is 0 there is nothing to divide by.
    Biases that centre are minus the mean of each unit, of a channel that over its positions too.

    Args:
        layers: The layers 0 … K without their biases, each of one matrix, no branches.
        x: The batch, (n_networks, D_0, n_inputs).
        biases: β_k of the same layers, (n_networks, rows of Ω_k, 1).
        lsuv: Tolerance, number of attempts, and whether biases centre.

    Returns:
        One factor per layer and network, each (n_networks,), and the biases of the network.
    """
    h, factors, centring = x, [], []
    with np.errstate(over="ignore", invalid="ignore"):  # the pass says where
        for k, layer in enumerate(layers):
            *before, weighted = layer.operations[: layer.place + 1]
            assert isinstance(weighted, Weighted)
            unscaled = _after([*before, weighted], h)
            shift = _minus_means(unscaled, weighted) if lsuv.centre else None
            if shift is not None:  # from here on it goes with the weights, and is scaled with them
                unscaled += weighted.linear.per_unit(shift)
            given = None if lsuv.centre else biases
            bias = np.zeros(1) if given is None else weighted.linear.per_unit(given[k])
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
            if shift is not None:
                centring.append(factor[:, np.newaxis, np.newaxis] * shift)
            h = _after(layer.operations[layer.place + 1 :], f)
    return factors, centring or biases


def _minus_means(f: FloatArray, weighted: Weighted) -> FloatArray:
    """Biases that bring the mean of each row of weights over the batch to 0, (n_networks, rows, 1).

    None of what is past float range.
    """
    linear = weighted.linear
    positions = linear.window.positions_out if isinstance(linear, Convolved) else 1
    rows = f.reshape(len(f), f.shape[1] // positions, -1)
    means = rows.mean(axis=-1, keepdims=True)
    return -np.where(np.isfinite(means), means, 0.0)


def _after(operations: Sequence[Operation | Added], z: FloatArray) -> FloatArray:
    """The result of some steps, as plain floats."""
    result = Scaled(z, np.zeros(z.shape[:-2], np.int64))
    for operation in operations:
        assert not isinstance(operation, Added)
        result, _ = operation.forward(result, None)
    return np.ldexp(result.mantissa, result.exponent[..., np.newaxis, np.newaxis])
