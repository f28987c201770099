"""How far one step of training moves each layer."""

from collections.abc import Iterable

import numpy as np

from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.network.moments import log10
from heinit_sim.network.passes import Stack
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.scaled_array import plus, rescaled, squared_norms

_UPDATES: dict[Quantity, Quantity] = {
    "preactivation": "preactivation_update",
    "activation": "activation_update",
}


def log10_updates(before: Iterable[Stack], after: Iterable[Stack]) -> dict[Measure, FloatArray]:
    """log10 of the mean square of h'_k − h_k and of f'_k − f_k, each (n_networks, K+1).

    Both passes round; a difference of less than about 1e-15 of what it is of is rounding alone.

    Args:
        before: The forward pass.
        after: That of the same inputs behind the step.
    """
    by_layer: dict[Quantity, list[FloatArray]] = {update: [] for update in _UPDATES.values()}
    for one, other in zip(before, after, strict=True):
        minus = plus(other.numbers, one.numbers, np.empty_like(one.numbers.mantissa), -1.0)
        difference = rescaled(minus)
        squares = squared_norms(difference.mantissa) / np.prod(difference.mantissa.shape[-2:])
        sizes = log10(squares, difference.exponent)
        for (quantity, _), size in zip(one.names, sizes, strict=True):
            by_layer[_UPDATES[quantity]].append(size)
    return {(q, "second_moment"): np.stack(layers, -1) for q, layers in by_layer.items()}
