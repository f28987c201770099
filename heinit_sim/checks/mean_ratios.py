"""Ratios of norms across one layer of a convolutional or residual network, whose mean is 1.

Positions share weights, and branches add to what they see, so that the law of a layer does not
follow from the norm of the one before. The mean of that law does, whatever came before, for one
input as for the average over a batch, at any width:

    E[f_k²] / (fan_in σ² E[h_k²] + σ²_b + c²)     circular convolutions; layers fully connected
    E[h_{k+1}²] / (p2 E[f_k²])                    slopes 1 and α, p2 = (1 + α²)/2; given |f_k|
    E[h_{k+1}²] / (E[h_k²] + s² E[f_k²])          residual blocks; given h_k and |f_k|

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

from heinit_sim.checks.scores import Score, Scores
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import INPUT_0, Quantity, Statistic
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import LN10
from heinit_sim.theory import assumptions

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


def iter_mean_ratios(
    result: ConditionResult, activation: Activation, *, may_be_lost: bool
) -> Iterator[MeanRatios]:
    """Yield what can be tested of a condition; nothing where nothing is known.

    Args:
        result: What the networks of a convolutional or residual condition showed.
        activation: Its activation.
        may_be_lost: Whether NaN is a network that left float range; else it is an error.
    """
    condition = result.condition
    units = np.array(condition.widths[1:], float)
    if condition.convolution is not None:
        units[:-1] = condition.convolution.channels[1:]
    statistics: tuple[Statistic, ...] = (INPUT_0,)
    if condition.n_inputs > 1:
        statistics = (INPUT_0, "second_moment")
    for statistic in statistics:
        h, f = (LN10 * result.networks[q, statistic] for q in ("activation", "preactivation"))
        layers = np.array(assumptions.layers_outside_blocks(condition), np.int64)
        expected, least = _ln_after_weights(condition, h), _least_after_weights(condition)[layers]
        excess = _excess(f, expected, may_be_lost)[:, layers]
        yield MeanRatios("preactivation", statistic, layers, excess, units[layers], least)
        layers = np.array(assumptions.layers_of_activation_ratios(condition), np.int64)
        if len(layers):
            expected = _ln_after_activation(condition, activation, h, f)
            excess = _excess(h[:, 1:], expected, may_be_lost)[:, layers]
            least = np.ones(len(layers))
            yield MeanRatios("activation", statistic, layers + 1, excess, units[layers], least)


def _least_after_weights(condition: Condition) -> FloatArray:
    """Smallest share of fan_in σ² E[h_k²] that E[f_k²] may be, of the layers 0 … K."""
    least, convolution = np.ones(condition.depth + 1), condition.convolution
    if convolution is not None and convolution.padding == "zero":
        seen = (convolution.kernel // 2 + 1) ** len(convolution.image)  # images are as large
        least[:-1] = seen / convolution.taps
    if convolution is not None and convolution.readout == "mean" and convolution.positions > 1:
        least[-1] = 0.0
    return least


def _ln_after_weights(condition: Condition, h: FloatArray) -> FloatArray:
    fan_in = np.array([fans[0] for fans in condition.fans], float)
    with np.errstate(divide="ignore"):  # no biases
        ln_b = np.log(np.array(condition.bias_variances) + np.square(condition.bias_means))
    ln_f = np.log(fan_in) + np.log(condition.weight_variances) + h
    return np.array(np.logaddexp(ln_f, ln_b))


def _ln_after_activation(
    condition: Condition, activation: Activation, h: FloatArray, f: FloatArray
) -> FloatArray:
    f = f[:, :-1]
    if condition.residual is None:
        alpha = np.broadcast_to(np.array(activation.negative_slope, float), condition.depth)
        return f + np.log((1 + alpha**2) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):  # a branch of no weight; lost numbers
        added = f + np.log(condition.residual.scale**2)
    expected: FloatArray = np.logaddexp(h[:, :-1], added)
    expected[:, 0] = f[:, 0]
    return expected


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
