"""Ratios of norms across one layer, whose law given all layers before it is known.

For one input of a network with Gaussian weights, n = D_{k+1} units, q = σ²_k ‖h_k‖² + σ²_b:

    ‖f_k‖²/q                                      ~ χ²_n(n λ), λ = c²/q for biases of mean c
    ‖h_{k+1}‖²/E[a(√q z)²]                        a sum of n, z ~ N(0, 1)
    (‖∂ℓ/∂h_k‖² − c²/‖h_k‖²)/(σ²_k ‖∂ℓ/∂f_k‖²)      ~ χ²_{D_k − 1}
    (‖∂ℓ/∂f_{k−1}‖² − c²/‖h_k‖²)/(σ²_k ‖∂ℓ/∂f_k‖²)  ~ χ²_{m − 1}, m ~ Bin(D_k, ½), for ReLU

with c = ⟨∂ℓ/∂h_k, h_k⟩ = 2ℓ. The first two hold for any activation; the others for a positively
homogeneous one, zero biases and y = 0 (for the last with any slope, see `_leaky_cumulants`).
Deviations from the mean are uncorrelated over layers, and independent over networks. Averaged over
a batch, the first two keep their mean, and their spread can but shrink.

Source: Gaussian weights given the activations; Euler's identity for c. See `norm_chain`.
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.checks.scores import Score, Scores
from heinit_sim.experiment.activation_table import Activation, Slope
from heinit_sim.experiment.quantities import INPUT_0, Measure, Quantity, Statistic
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.p_values import normal_score
from heinit_sim.theory import assumptions
from heinit_sim.theory.infinite_width import about, even_moments

# E[a⁴]/E[a²]² − 1 of an activation that is all but saturated: below this the rounding and the
# quadrature of its moments would be seen.
_FLAT = 1e-6
# ln q of simulated networks that are not homogeneous stays within ± this; broken ones' need not.
_LN_RANGE = 700.0
# c²/q from which rounding hides what is left of the spread about a mean c.
_FAR = 1e18
# A sum of so few ratios that it is more skewed than one χ²_1 (√8) is not tested.
_MOST_SKEWED = 3.0


class LayerRatios(NamedTuple):
    """Ratios of one quantity over networks and layers, and the cumulants of their law.

    All arrays can be broadcast to (n_networks, n_layers).
    """

    quantity: Quantity
    statistic: Statistic
    layers: NDArray[np.int64]
    """The layers of the quantity, (n_layers,)."""
    ratio: FloatArray
    """(n_networks, n_layers); NaN where a network is dead, infinite if not a number otherwise."""
    mean: FloatArray
    variance: FloatArray
    """0 where the ratio is fixed, or known too badly to be tested."""
    third: FloatArray
    """The third cumulant."""
    freedom: FloatArray | None = None
    """n where the ratio is χ²_n, independent over networks and layers; else None."""


def chi_square_scores(ratios: LayerRatios) -> Scores:
    """Hold the sum of the ratios of each layer, and of all, against the law of that sum.

    Layers are left out that have no ratios which vary, or too few.
    """
    valid = ~np.isnan(ratios.ratio) & (ratios.variance > 0) & np.isfinite(ratios.variance)
    deviation = np.where(valid, ratios.ratio, 0.0) - np.where(valid, ratios.mean, 0.0)
    law = [np.where(valid, a, 0.0) for a in (ratios.mean, ratios.variance, ratios.third, 1.0)]
    with np.errstate(over="ignore"):  # of numbers that are beyond reason
        sums = np.array([terms.sum(axis=0) for terms in (deviation, *law)])
        columns = [sums.sum(axis=1).tolist(), *sums.T.tolist()]
    scores = zip([None, *ratios.layers.tolist()], (_score(*c) for c in columns), strict=True)
    return {k: score for k, score in scores if score is not None}


def _score(
    deviation: float, mean: float, variance: float, third: float, count: float
) -> Score | None:
    """The score of a sum of ratios, from their sums; deviations of ratios are uncorrelated."""
    std = math.sqrt(variance)
    if count == 0 or abs(skewness := third / variance / std) > _MOST_SKEWED:
        return None
    z = normal_score(deviation / std, skewness)
    return Score(1 + deviation / mean, std / mean, z, int(count))


def iter_layer_ratios(
    result: ConditionResult, activation: Activation, slope: Slope | None
) -> Iterator[LayerRatios]:
    """Yield the ratios of a condition that can be tested.

    Args:
        result: What its networks showed.
        activation: Its activation.
        slope: α, of all hidden layers or of each, where it is positively homogeneous and without
            biases, else None.
    """
    statistics: tuple[Statistic, ...] = (INPUT_0,)
    if result.condition.n_inputs > 1:
        statistics = (INPUT_0, "second_moment")
    for statistic in statistics:
        ln = ln_norms(result.condition, result.networks, statistic)
        yield from _forward_ratios(result.condition, ln, statistic, activation, slope is None)
        along = assumptions.has_known_gradients_along(result.condition)
        if slope is not None and along and statistic == INPUT_0:
            alpha = np.broadcast_to(slope, result.condition.depth)
            yield from _backward_ratios(result.condition, ln, alpha)


def ln_norms(
    condition: Condition, networks: Mapping[Measure, FloatArray], statistic: Statistic
) -> dict[Quantity, FloatArray]:
    """Quantity -> ln of the squared norms, (n_networks, K+1)."""
    units: dict[Quantity, tuple[int, ...]] = {}
    units["preactivation"] = units["grad_preactivation"] = condition.widths[1:]
    units["activation"] = units["grad_activation"] = condition.widths[:-1]
    return {q: np.log(10.0) * networks[q, statistic] + np.log(n) for q, n in units.items()}


def _forward_ratios(
    condition: Condition,
    ln: Mapping[Quantity, FloatArray],
    statistic: Statistic,
    activation: Activation,
    may_be_lost: bool,
) -> Iterator[LayerRatios]:
    """Yield ratios of f_k and of h_{k+1}; NaN is an error, unless networks `may_be_lost`."""
    with np.errstate(divide="ignore", invalid="ignore"):  # no biases; what is no number
        ln_b = np.log(condition.bias_variances)
        ln_q = np.logaddexp(np.log(condition.weight_variances) + ln["activation"], ln_b)
    dead = np.isneginf(ln_q)
    if may_be_lost:
        dead |= np.isnan(ln["preactivation"])
    n = np.array(condition.widths[1:], float)
    layers = np.arange(len(n))
    ratio = ratio_of(ln["preactivation"], ln_q, dead)
    cumulants, freedom = (n, 2 * n, 8 * n), n if statistic == INPUT_0 else None
    if any(condition.bias_means):
        # of no mean; of no variance; of neither, where a network is dead
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            off = np.exp(2 * np.log(np.abs(condition.bias_means)) - ln_q)
        off = np.minimum(off, _FAR)
        known = np.where(off < _FAR, n * (2 + 4 * off), 0.0)
        cumulants, freedom = (n * (1 + off), known, n * (8 + 24 * off)), None
    yield LayerRatios("preactivation", statistic, layers, ratio, *cumulants, freedom)

    ln_q, dead, n = ln_q[:, :-1], dead[:, :-1], n[:-1]
    if may_be_lost:  # a[f] may be past float range where f is not
        dead = dead | np.isnan(ln["activation"][:, 1:])
    if assumptions.has_scaled_activations(condition):
        alpha = np.array(activation.negative_slope)
        p2, p4, p6 = ((1 + alpha**power) / 2 for power in (2, 4, 6))
        ln_second = ln_q + np.log(p2)
        fourth, sixth = 3 * p4 / p2**2, 15 * p6 / p2**3
    elif statistic == INPUT_0:
        q = np.exp(np.clip(np.where(dead, 0.0, ln_q), -_LN_RANGE, _LN_RANGE))
        second, fourth, sixth = _even_moments(activation, q, condition.bias_means)
        # All units are off, or a² is past float range: no number is left of the average.
        dead = dead | (second == 0) | ~np.isfinite(second)
        ln_second = np.log(np.where(dead, 1.0, second))
    else:
        return  # E[a²] of an average over inputs is not that at the average q
    ratio = ratio_of(ln["activation"][:, 1:], ln_second, dead)
    variance = np.where(fourth - 1 > _FLAT, n * (fourth - 1), 0.0)
    third = n * (sixth - 3 * fourth + 2)
    yield LayerRatios("activation", statistic, layers[1:], ratio, n, variance, third)


def _even_moments(activation: Activation, q: FloatArray, means: tuple[float, ...]) -> FloatArray:
    """E[a²], E[a⁴]/E[a²]², E[a⁶]/E[a²]³ at the layers' variances q, (3, n_networks, K)."""
    if not any(means):
        return np.reshape(even_moments(activation, q.ravel()), (3, *q.shape))
    layers = [about(activation.layer(k), mean) for k, mean in enumerate(means[:-1])]
    with np.errstate(divide="ignore", invalid="ignore"):  # of units that are all off
        moments = [even_moments(layer, q[:, k]) for k, layer in enumerate(layers)]
    return np.nan_to_num(np.stack(moments, axis=-1), nan=1.0, posinf=np.inf)


def _backward_ratios(
    condition: Condition, ln: Mapping[Quantity, FloatArray], alpha: FloatArray
) -> Iterator[LayerRatios]:
    widths = np.array(condition.widths, float)
    layers = np.arange(condition.depth + 1)
    ln_across = np.log(condition.weight_variances) + ln["grad_preactivation"]
    dead = np.isneginf(ln["preactivation"][:, -1:])
    with np.errstate(invalid="ignore"):  # −inf − (−inf) of a dead network
        ln_along = 2 * (np.log(2.0) + ln["preactivation"][:, -1:]) - ln["activation"]
    along = ratio_of(ln_along, ln_across, dead)
    ratio = ratio_of(ln["grad_activation"], ln_across, dead, along)
    n = widths[:-1] - 1
    yield LayerRatios("grad_activation", INPUT_0, layers, ratio, n, 2 * n, 8 * n, n)

    along, ln_across, n = along[:, 1:], ln_across[:, 1:], widths[1:-1]
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that are beyond reason
        turned = alpha**2 * np.exp(ln["preactivation"][:, :-1] - ln["activation"][:, 1:])
        kept = np.where(alpha == 0, along, along * (1 + alpha**2 - turned))
        pairs = zip(_relu_cumulants(n), _leaky_cumulants(n, alpha, along, turned), strict=True)
        cumulants = [np.where(alpha == 0, rectified, leaky) for rectified, leaky in pairs]
    ratio = ratio_of(ln["grad_preactivation"][:, :-1], ln_across, dead, kept)
    yield LayerRatios("grad_preactivation", INPUT_0, layers[:-1], ratio, *cumulants)


def ratio_of(
    ln_of: FloatArray, ln_over: FloatArray, dead: Mask, less: FloatArray | float = 0.0
) -> FloatArray:
    """The quotient, less something; NaN where dead, infinite if not a number otherwise."""
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.exp(ln_of - ln_over) - less
    return np.where(dead, np.nan, np.where(np.isfinite(ratio), ratio, np.inf))


def _relu_cumulants(n: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First three cumulants of χ²_{m−1}, m ~ Bin(n, ½) given m ≥ 1.

    Given its degrees of freedom χ²_ν has the cumulants ν, 2ν, 8ν; total cumulance adds those of ν.
    """
    alive = 1 - 2.0**-n
    m1, m2, m3 = (m / alive for m in (n / 2, n * (n + 1) / 4, n**2 * (n + 3) / 8))
    variance = m2 - m1**2
    third = m3 - 3 * m1 * m2 + 2 * m1**3
    nu = m1 - 1
    return nu, 2 * nu + variance, 8 * nu + 6 * variance + third


def _leaky_cumulants(
    n: FloatArray, alpha: FloatArray, along: FloatArray, turned: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """First three cumulants of R + t w² + b w: the gradient across h_k after slopes 1 and α ≠ 0.

    w ~ N(0, 1) goes in the direction that turns the positive units of h_k into the negative ones.
    With cos² the share of the positive units in ‖h_k‖², slopes leave t = sin² + α² cos² of a square
    in this direction and cos² + α² sin² of one along h_k; b² = 4 cos² sin² (1 − α²)² of the square
    `along` mixes the two. R ~ χ²_{m−1} + α² χ²_{n−m−1}, m ~ Bin(n, ½), is the rest.

    Args:
        n: D_k of the hidden layers.
        alpha: α of the hidden layers.
        along: c²/‖h_k‖² over σ²_k ‖∂ℓ/∂f_k‖², (n_networks, K).
        turned: t = α² ‖f_{k−1}‖²/‖h_k‖², likewise.

    The first two are exact for n > 1, with χ²_{−1} counted as minus χ²_1: w is missing where all
    units are on one side. Given all but w, t w² + b w − t has mean zero, hence no correlation
    with R; the third leaves out the little that t and m have in common. One unit has no w at all,
    and nothing to test.
    """
    cross = np.maximum(4 * along * (1 - turned) * (turned - alpha**2), 0.0)
    mean = (n / 2 - 1) * (1 + alpha**2) + turned
    of_m = (1 - alpha**2) * n / 4
    variance = 2 * (n / 2 - 1) * (1 + alpha**4) + (1 - alpha**2) * of_m
    third = 8 * (n / 2 - 1) * (1 + alpha**6) + 6 * (1 - alpha**4) * of_m
    variance = np.where(n > 1, variance + 2 * turned**2 + cross, 0.0)
    return mean, variance, third + 8 * turned**3 + 6 * turned * cross
