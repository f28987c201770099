"""Ratios of norms across one layer of convolutions or blocks, whose mean is 1.

Positions share weights, and branches add to what they see, so that the law of a layer does not
follow from the norm of the one before. The mean of that law does, whatever came before, for one
input as for the average over a batch, at any width:

    E[f_k²] / (fan_in σ² E[h_k²] + σ²_b + c²)     circular convolutions; layers fully connected
    E[h_{k+1}²] / (p2 E[f_k²])                    slopes 1 and α, p2 = (1 + α²)/2; given |f_k|
    E[h_{k+1}²] / (α² E[h_k²] + s² E[f_k²])       blocks α h_k + s f_k; given h_k and |f_k|

The last two take biases of mean 0. With zeros beyond the edge the mean of the first depends on
where in the image h_k is, and averaged over positions the output layer's on their signs: no more
than 1, and no less than what a kernel sees from a corner, or 0.

Source: weights of mean 0 and variance σ²; turning the signs of all that leads to one channel of f_k
turns its signs and nothing else that the ratio is given.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import activation_of
from heinit_sim.checks.scores import Score, Scores
from heinit_sim.experiment.quantities import INPUT_0, Quantity, Statistic
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.steps import (
    Activate,
    Add,
    Pool,
    Row,
    Weights,
    behind_f,
    matrices,
    place_of_f,
)
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import LN10

# From so many channels in all on, averages of squares, χ²_1 at their most skewed, go beyond what
# Student's t allows less than twice as often: 1.8 times at 1e-4 for 50 networks of 20 channels.
_ENOUGH = 1000
_ROUNDING = 1e-9  # of ratios that are 1, of blocks that add nothing


class MeanRatios(NamedTuple):
    """Ratios of one quantity in some layers, less 1."""

    quantity: Quantity
    statistic: Statistic
    layers: NDArray[np.int64]
    """The layers of the quantity, (n_layers,)."""
    excess: FloatArray
    """(n_networks, n_layers); 0 where a network is dead or lost, infinite for what is no number."""
    channels: FloatArray
    """Channels of each, (n_layers,): what is independent in a layer, at the least."""
    least: FloatArray
    """Smallest mean that a ratio may have, (n_layers,): 1 where it is known."""


def t_scores(ratios: MeanRatios) -> Scores:
    """Hold the mean of the ratios of each layer, and of all, against 1 or a range that ends there.

    Each network gives one number, its ratios weighted by the channels behind them, whose deviations
    from 1 are uncorrelated over layers. An average over networks is no more skewed than χ² of as
    many degrees of freedom as channels in all of them; fewer than `_ENOUGH` are left out.
    """
    columns: dict[int | None, list[int]] = {None: list(range(len(ratios.layers)))}
    columns |= {int(k): [place] for place, k in enumerate(ratios.layers)}
    scores = {
        k: _t_score(ratios.excess[:, c], ratios.channels[c], ratios.least[c])
        for k, c in columns.items()
    }
    return {k: score for k, score in scores.items() if score is not None}


def iter_mean_ratios(result: ConditionResult, *, may_be_lost: bool) -> Iterator[MeanRatios]:
    """Yield what can be tested of a condition; nothing where nothing is known.

    Args:
        result: What the networks of a condition with convolutions or blocks showed.
        may_be_lost: Whether NaN is a network that left float range; else it is an error.
    """
    condition = result.condition
    channels = np.array([weights.channels[1] for weights in condition.weights], float)
    statistics: tuple[Statistic, ...] = (INPUT_0,)
    if condition.n_inputs > 1:
        statistics = (INPUT_0, "second_moment")
    weighed = np.flatnonzero([_makes_f_of_h(row) for row in condition.layers])
    least = np.array([_least_after_weights(condition.layers[k]) for k in weighed])
    for statistic in statistics:
        h, f = (LN10 * result.networks[q, statistic] for q in ("activation", "preactivation"))
        excess = _excess(f, _ln_after_weights(condition, h), may_be_lost)[:, weighed]
        yield MeanRatios("preactivation", statistic, weighed, excess, channels[weighed], least)
        expected, known = _ln_after_f(condition, h, f)
        if len(known):
            excess = _excess(h[:, known + 1], expected, may_be_lost)
            ones = np.ones(len(known))
            yield MeanRatios("activation", statistic, known + 1, excess, channels[known], ones)


def _makes_f_of_h(row: Row) -> bool:
    """Whether f_k is β + Ω h_k, or that of an average over positions, and every position counts."""
    before = row[: place_of_f(row)]
    last = row[len(before)]
    if not isinstance(last, Weights) or (last.window and last.window.stride > 1):
        return False
    return all(isinstance(step, Pool) for step in before)


def _least_after_weights(row: Row) -> float:
    """Smallest share of fan_in σ² E[h_k²] that E[f_k²] may be: what a kernel sees from a corner."""
    if isinstance(row[0], Pool):
        return 1.0 if row[0].positions == 1 else 0.0
    window = row[0].window if isinstance(row[0], Weights) else None
    if window is None:
        return 1.0
    if window.padding == "circular":
        return 1.0
    seen = ((window.kernel + 1) // 2) ** len(window.image)  # images are as large
    return float(seen / window.taps)


def _ln_after_weights(condition: Condition, h: FloatArray) -> FloatArray:
    fan_in = np.array([fans[0] for fans in condition.fans], float)
    with np.errstate(divide="ignore", invalid="ignore"):  # no biases; networks that are lost
        ln_b = np.log(np.array(condition.bias_variances) + np.square(condition.bias_means))
        ln_f = np.log(fan_in) + np.log(condition.weight_variances) + h
        return np.array(np.logaddexp(ln_f, ln_b))


def _ln_after_f(
    condition: Condition, h: FloatArray, f: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Ln of the mean of E[h_{k+1}²], (n_networks, known layers), and these layers k."""
    known, columns = list[int](), list[FloatArray]()
    for k, row in enumerate(condition.layers[:-1]):
        behind = behind_f(row)
        if matrices(row)[-1].spec.bias_mean:
            continue
        match behind:
            case ():
                columns.append(f[:, k])
            case (Activate() as activate,):
                slope = activation_of(activate).common_slope
                if slope is None:
                    continue
                columns.append(f[:, k] + math.log((1 + slope**2) / 2))
            case (Add(scale, skip),) if not any(isinstance(step, Add) for step in row[:-1]):
                with np.errstate(divide="ignore", invalid="ignore"):  # of no weight; lost numbers
                    sides = (h[:, k] + np.log(skip**2), f[:, k] + np.log(scale**2))
                    columns.append(np.logaddexp(*sides))
            case _:
                continue
        known.append(k)
    expected = np.array(columns).T.reshape(len(f), -1)
    return expected, np.array(known, np.int64)


def _excess(ln: FloatArray, ln_expected: FloatArray, may_be_lost: bool) -> FloatArray:
    dead = np.isneginf(ln_expected) & np.isneginf(ln)
    if may_be_lost:
        dead |= np.isnan(ln) | np.isnan(ln_expected)
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(ln - ln_expected) - 1
    return np.where(dead, 0.0, np.where(np.isfinite(ratio), ratio, np.inf))


def _t_score(excess: FloatArray, channels: FloatArray, least: FloatArray) -> Score | None:
    """The score of some layers together: Student's t of one weighted number for each network."""
    n_networks = len(excess)
    if n_networks < 2 or n_networks * channels.sum() < _ENOUGH:
        return None
    shares = channels / channels.sum()
    by_network, lowest = excess @ shares, 1 - float((1 - least) @ shares)  # 1 of ones
    mean = float(by_network.mean())
    with np.errstate(invalid="ignore"):  # of numbers that are beyond reason
        error = float(by_network.std(ddof=1)) / math.sqrt(n_networks)
    outside = max(mean, 0.0) + min(1 + mean - lowest, 0.0)  # of lowest … 1
    if outside == 0 or np.abs(by_network).max() < _ROUNDING:
        t = 0.0
    elif 0 < error < math.inf:
        t = outside / error
    else:
        t = math.copysign(math.inf, mean)
    return Score(1 + mean, error, t, excess.size, n_networks - 1.0, lowest)
