"""Relations of f_k with h_{k+1}, and of their gradients, by what the layer ends with."""

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.checks.relations import (
    ALIKE_DECADES,
    Networks,
    Relation,
    at_most,
    equal,
    is_small,
    log_sum,
    tells_inputs_apart,
)
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, INPUT_0, Measure, Statistic
from heinit_sim.experiment.steps import Activate, Add, Row, behind_f, by_layer
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray, Mask

# Where the sizes of a and a' are looked up, and what a grid of this step may miss of their maxima:
# a third derivative below 10 times step²/8.
_GRID = np.arange(-60.0, 60.0, 2.0**-10)
_GRID_MISSES = 2e-6


def activation_relations(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Roots of h_{k+1} lie within the triangle of α h_k and s f_k, or what slopes make of f_k."""
    statistics: list[Statistic] = ["second_moment", "variance", INPUT_0]
    if tells_inputs_apart(networks):
        statistics.append(BETWEEN_INPUTS)
    same, activated, adds = _layers_by_end(condition)
    added = list(adds)
    skip = np.log10([add.skip**2 for add in adds.values()])
    scale = np.log10([add.scale**2 for add in adds.values()])
    seconds = networks["activation", "second_moment"]
    for statistic in statistics:
        measure: Measure = ("activation", statistic)
        least_most = np.full_like(seconds[:, 1:], -np.inf)
        if statistic == BETWEEN_INPUTS:
            least_most = np.maximum(seconds[:, 1:], seconds[:, :-1]) - ALIKE_DECADES
        before, after = networks[measure][:, :-1], networks[measure][:, 1:]
        f = networks["preactivation", statistic][:, :-1]
        if same:
            yield equal(measure, _next(same), after[:, same], f[:, same])
        if added:
            sides = before[:, added] + skip, f[:, added] + scale
            most = np.maximum(2 * log_sum(sides[0] / 2, sides[1] / 2), least_most[:, added])
            yield at_most(measure, _next(added), after[:, added], most)
            for one, other in (sides, sides[::-1]):
                most = 2 * log_sum(after[:, added] / 2, other / 2)
                most = np.maximum(most, least_most[:, added])
                yield at_most(measure, _next(added), one, most)
        if not activated:
            continue
        small: Mask = np.zeros(1, bool)
        if statistic == INPUT_0:
            small = is_small(networks, "activation")[:, 1:]
            small = (small | is_small(networks, "preactivation")[:, :-1])[:, activated]
        f, after = f[:, activated], after[:, activated]
        low, high, zero, top = _sizes(condition)[activated].T
        most = f + 2 * np.log10(high)
        least = f + 2 * np.log10(low)
        about_mean = statistic in ("variance", BETWEEN_INPUTS)
        if not about_mean:
            most = 2 * log_sum(most / 2, np.broadcast_to(np.log10(zero), most.shape))
        most = np.maximum(np.minimum(most, 2 * np.log10(top)), least_most[:, activated])
        yield at_most(measure, _next(activated), after, most)
        if not about_mean:
            least = np.where(small | (after == -np.inf) & (low == 0), -np.inf, least)
            yield at_most(measure, _next(activated), least, after)


def gradient_relations(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Gradients of f_k are those of h_{k+1} times slopes of the activation, or s in a block."""
    same, activated, adds = _layers_by_end(condition)
    added, scale = list(adds), np.log10([add.scale**2 for add in adds.values()])
    statistics: tuple[Statistic, ...] = ("second_moment", INPUT_0, "variance")
    for statistic in statistics:
        measure: Measure = ("grad_preactivation", statistic)
        df = networks[measure][:, :-1]
        dh = networks["grad_activation", statistic][:, 1:]
        if same:
            yield equal(measure, same, df[:, same], dh[:, same])
        if added:
            yield equal(measure, added, df[:, added], dh[:, added] + scale)
        if not activated or statistic == "variance":
            continue
        df, dh = df[:, activated], dh[:, activated]
        low, high = _sizes(condition)[activated].T[:2]
        small: Mask = np.zeros(1, bool)
        if statistic == INPUT_0:
            small = is_small(networks, "grad_activation")[:, 1:]
            small = (small | is_small(networks, "grad_preactivation")[:, :-1])[:, activated]
        most, least = (dh + 2 * np.log10(size) for size in (high, low))
        yield at_most(measure, activated, df, most)
        yield at_most(measure, activated, np.where(small, -np.inf, least), df)


def _layers_by_end(condition: Condition) -> tuple[list[int], list[int], dict[int, Add]]:
    """Layers with h_{k+1} = f_k, a[f_k], and α h_k + s f_k; others have other ends."""
    same, activated, added = list[int](), list[int](), dict[int, Add]()
    for k, row in enumerate(condition.layers[:-1]):
        match behind_f(row):
            case ():
                same.append(k)
            case (Activate(),):
                activated.append(k)
            case (Add() as add,) if not any(isinstance(step, Add) for step in row[:-1]):
                added[k] = add
    return same, activated, added


def _next(layers: Sequence[int]) -> list[int]:
    """The layers k + 1."""
    return [k + 1 for k in layers]


def _sizes(condition: Condition) -> FloatArray:
    """Least and largest |a'|, |a(0)| and largest |a| of each hidden layer, (K, 4).

    Nothing is known of a user's own activation; of others that are not homogeneous no least |a'|.
    """
    return np.array(by_layer(condition.layers[:-1], _end_sizes))


def _end_sizes(row: Row) -> tuple[float, float, float, float]:
    unknown = (0.0, np.inf, 0.0, np.inf)
    match behind_f(row):
        case (Activate() as activate,):
            activation = activation_of(activate)
        case _:
            return unknown
    slope = activation.common_slope
    if slope is not None:
        return min(abs(slope), 1.0), max(abs(slope), 1.0), 0.0, np.inf
    return unknown if activate.function is activation else _named(activation)


@cache
def _named(activation: Activation) -> tuple[float, float, float, float]:
    grid = _GRID * min(activation.period / (2 * math.pi), 1.0)
    z = np.array([0.0, -1e150, 1e150, *grid])
    values = np.abs(activation.value(z, np.empty_like(z)))
    slopes = np.abs(np.asarray(activation.derivative(grid), float))
    top = values.max() if values[1:3].max() < 1e100 else np.inf
    return 0.0, float(slopes.max()) + _GRID_MISSES, float(values[0]), float(top) + _GRID_MISSES
