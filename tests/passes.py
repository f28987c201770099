"""Both passes of many networks at once; the way back may be made a wrong one."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from heinit_sim.experiment.quantities import PASS_OF, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.network.layers import Trace, make_layers
from heinit_sim.network.losses import least_squares, probe
from heinit_sim.network.moments import (
    UnitMoments,
    along_layers,
    log10_moments,
    outer_moments,
    unit_moments,
)
from heinit_sim.network.passes import iter_backward, iter_forward, layers_by_name

Array = np.ndarray


def simulated_passes(
    condition: Condition,
    n_networks: int,
    seed: int,
    *,
    mask: Callable[[Array], Array] = lambda derivative: derivative,
    transposed: bool = False,
    fixed_input: Array | None = None,
) -> dict[Measure, Array]:
    """log10 of second moments and variances, (K+1, n_networks), without streams of their own.

    Args:
        condition: A fully connected network without biases.
        n_networks: How many are drawn.
        seed: Of all that is drawn.
        mask: Makes of a derivative a'(f_k) what the backward pass takes for it.
        transposed: Whether the backward pass takes Ω for Ωᵀ, in square layers.
        fixed_input: x of every network, if not drawn.
    """
    rng = np.random.default_rng(seed)
    widths = condition.widths
    weights = [rng.standard_normal((n_networks, out, into)) for into, out in pairwise(widths)]
    x = rng.standard_normal((n_networks, widths[0], condition.n_inputs))
    if fixed_input is not None:
        x[:] = fixed_input[:, np.newaxis]
    traces: list[Trace] = []
    named = layers_by_name(iter_forward(make_layers(condition.layers, weights), x, traces))
    traces = [(None, *(mask(derivative) for derivative in trace[1:])) for trace in traces]
    if transposed:
        weights = [w.swapaxes(-1, -2) if w.shape[-1] == w.shape[-2] else w for w in weights]
    output = named["preactivation", condition.depth]
    gradient = least_squares(output, condition.loss.target).gradient
    if condition.loss.name == "probe":
        gradient = probe(output, rng.standard_normal(output.mantissa.shape)).gradient
    layers = make_layers(condition.layers, weights)
    named |= layers_by_name(iter_backward(layers, gradient, traces))
    units: dict[Quantity, UnitMoments] = {
        q: along_layers([unit_moments(named[q, k]) for k in range(condition.depth + 1)])
        for q in PASS_OF
        if q != "grad_weight"
    }
    units["grad_weight"] = outer_moments(units["grad_preactivation"], units["activation"])
    return {(q, s): v for q, moments in units.items() for s, v in log10_moments(moments).items()}
