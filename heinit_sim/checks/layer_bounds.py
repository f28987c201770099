"""Laws of single layers that a number follows or may not go beyond, whatever came before.

For one input, Gaussian weights and n = D_{k+1} units, q = σ²_k ‖h_k‖² + σ²_b:

    χ²_{D_k − 1} ≤ ‖∂ℓ/∂h_k‖²/(σ²_k ‖∂ℓ/∂f_k‖²) ≤ χ²_{D_k + n − 1}
    Σ_j a'(√q y_j)² z_j² − sup a'² χ²_1 ≤ ‖∂ℓ/∂f_{k−1}‖²/(σ²_k ‖∂ℓ/∂f_k‖²)

for any activation, loss and biases: the part of Ω_kᵀδ across h_k is independent of the forward
pass, the part along it at most ‖Ω_k h_k‖ ‖δ‖/‖h_k‖. A slope leaves at least what Anderson's
inequality and interlacing of eigenvalues allow. With one output the first is χ²_{D_K}, for a batch
as well. Averages over N inputs lie between the extremes of N such numbers.

The mean over the units and inputs of f_k is N(0, q/n) for one input and spreads no more for a
batch, so that n (E[f_k²] − Var f_k)/q is χ²_1 or less. That of h_{k+1} ≥ 0 of a rectifier is, by
Gaussian concentration, no more than √(q/2π) but for a number as light-tailed as N(0, q/n).

Source: Gaussian weights given the activations (Anderson 1955; Cauchy's interlacing; Tsirelson,
Ibragimov & Sudakov 1976). All are uncorrelated over layers, and sums are held as in `layer_ratios`.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heinit_sim.checks.layer_ratios import LayerRatios, chi_square_scores, ln_norms, ratio_of
from heinit_sim.checks.scores import Score, Scores
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import INPUT_0, Measure
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.p_values import normal_score
from heinit_sim.numerics.special_functions import chi_square_rank
from heinit_sim.theory.infinite_width import even_moments

# Sums of so few squares of ranks are not tested: from here on they are all but normal.
_FEWEST_RANKS = 20
_LN_RANGE = 700.0  # as in `layer_ratios`


class Law(NamedTuple):
    """Numbers that are held against a law, under its name, and how it fares."""

    name: str
    measure: Measure | None
    """None for a law of one layer alone, which says nothing of the others."""
    scores: Scores


def rank_scores(ratios: LayerRatios) -> Scores:
    """Hold the spread of ratios that are χ² of a known freedom against that law.

    Their ranks u = P(χ² ≤ ratio) are uniform and independent over networks and layers, and of
    (u − ½)² the mean is 1/12, the variance 1/180 and the third central moment 1/3780.
    """
    assert ratios.freedom is not None
    freedom = np.broadcast_to(ratios.freedom, ratios.ratio.shape)
    valid = ~np.isnan(ratios.ratio) & (freedom >= 1)
    ranks = chi_square_rank(np.where(valid, ratios.ratio, 1.0), np.where(valid, freedom, 1.0))
    squares = np.where(valid, (ranks - 0.5) ** 2 - 1 / 12, 0.0)
    sums, counts = squares.sum(axis=0), valid.sum(axis=0)
    columns = [(None, sums.sum(), counts.sum())]
    columns += zip(ratios.layers.tolist(), sums, counts, strict=True)
    scores: Scores = {}
    for layer, total, count in columns:
        if count >= _FEWEST_RANKS:
            error = math.sqrt(count / 180)
            z = normal_score(total / error, count / 3780 / error**3)
            relative = 1 + 12 * total / count
            scores[layer] = Score(float(relative), 12 * error / count, float(z), int(count))
    return scores


def iter_laws(result: ConditionResult, activation: Activation) -> Iterator[Law]:
    """Yield what `layer_ratios` leaves: gradients whatever the activation, and variances.

    Args:
        result: What the networks of a condition of fully connected layers showed.
        activation: Its activation.
    """
    condition = result.condition
    ln = ln_norms(condition, result.networks, INPUT_0)
    widths = np.array(condition.widths, float)
    layers = np.arange(condition.depth + 1)
    ln_across = np.log(condition.weight_variances) + ln["grad_preactivation"]
    dead = ~np.isfinite(ln_across)
    ratio = ratio_of(ln["grad_activation"], ln_across, dead)
    least, most = widths[:-1] - 1, widths[:-1] + widths[1:] - 1
    yield from _input_laws(result, ln["activation"][:, :1])
    if condition.widths[-1] == 1:
        exact = LayerRatios(
            "grad_activation", INPUT_0, layers[-1:], ratio[:, -1:],
            most[-1:], 2 * most[-1:], 8 * most[-1:], most[-1:],
        )  # fmt: skip
        yield Law("spread of the output weights", ("grad_activation", INPUT_0), rank_scores(exact))
    low = LayerRatios("grad_activation", INPUT_0, layers, ratio, least, 2 * least, 8 * least)
    high = low._replace(mean=most, variance=2 * most, third=8 * most)
    yield Law("grad_activation, bounds", ("grad_activation", INPUT_0), bounded_scores(low, high))
    if not any(condition.bias_means):
        yield Law(
            "grad_preactivation, bound",
            ("grad_preactivation", INPUT_0),
            _least_after_slopes(result, activation),
        )
    if condition.n_inputs > 1:
        yield Law(
            "grad_activation of the batch, bounds",
            ("grad_activation", "second_moment"),
            _batch_scores(result),
        )
    measured = ("preactivation", "variance") in result.networks  # else norms alone are known
    if measured and not any(condition.bias_means):
        yield from _variance_laws(result, activation)


def _input_laws(result: ConditionResult, ln_squares: FloatArray) -> Iterator[Law]:
    """Yield ‖x‖²/s² ~ χ²_D of inputs that are N(0, s²)."""
    inputs, width = result.condition.inputs, float(result.condition.widths[0])
    normal = inputs.distribution in ("standard_normal", "normal", "pair")
    if not normal or inputs.normalisation != "none" or inputs.mean != 0 or inputs.std <= 0:
        return
    ratio = np.exp(np.clip(ln_squares - 2 * math.log(inputs.std), -_LN_RANGE, _LN_RANGE))
    n = np.array([width])
    law = LayerRatios("activation", INPUT_0, np.array([0]), ratio, n, 2 * n, 8 * n, n)
    yield Law("inputs", ("activation", INPUT_0), chi_square_scores(law))
    yield Law("inputs, spread", ("activation", INPUT_0), rank_scores(law))


def bounded_scores(low: LayerRatios, high: LayerRatios | None) -> Scores:
    """Hold sums of the same ratios against a law that they may not fall below, and one above."""
    below = chi_square_scores(low)
    if high is None:
        return {k: s._replace(z=min(s.z, 0.0), most=math.inf) for k, s in below.items()}
    scores: Scores = {}
    for layer, top in chi_square_scores(high).items():
        bottom = below.get(layer)
        z, least = max(top.z, 0.0), 0.0
        if bottom is not None:
            z += min(bottom.z, 0.0)
            least = top.relative / bottom.relative if bottom.relative else 0.0
        scores[layer] = top._replace(z=z, least=min(least, 1.0))
    return scores


def _least_after_slopes(result: ConditionResult, activation: Activation) -> Scores:
    """Hold ∂ℓ/∂f_{k−1} against the least that slopes leave of the gradient across h_k."""
    condition = result.condition
    ln = ln_norms(condition, result.networks, INPUT_0)
    ln_across = (np.log(condition.weight_variances) + ln["grad_preactivation"])[:, 1:]
    ln_b = np.log(condition.bias_variances)
    ln_q = np.logaddexp(np.log(condition.weight_variances) + ln["activation"], ln_b)[:, :-1]
    dead = ~np.isfinite(ln_across) | ~np.isfinite(ln_q)
    q = np.exp(np.clip(np.where(dead, 0.0, ln_q), -_LN_RANGE, _LN_RANGE))
    moments, largest = list[tuple[FloatArray, ...]](), list[float]()
    for k in range(condition.depth):
        slope = _slope(activation.layer(k))
        if activation.negative_slope is not None and k > 0 and not activation.by_layer:
            moments.append(moments[0])  # of any q
        else:
            column = q[:, k] if activation.negative_slope is None else np.ones(len(q))
            moments.append(even_moments(slope, column))
        largest.append(float(np.abs(slope.value(_GRID, np.empty_like(_GRID))).max()) ** 2)
    second, fourth, _ = np.stack(moments, axis=-1)
    n, top = np.array(condition.widths[1:-1], float), np.array(largest)
    variance = n * (3 * fourth - 1) * second**2
    unknown = ~np.isfinite(variance) | (variance <= 0) | (n * second <= top)
    ratio = ratio_of(ln["grad_preactivation"][:, :-1], ln_across, dead | unknown)
    spread = np.where(unknown, 0.0, (np.sqrt(np.maximum(variance, 0.0)) + math.sqrt(2) * top) ** 2)
    layers = np.arange(condition.depth)
    # A sum of squares is skewed to the right: below its mean, a normal law goes farther.
    least = np.maximum(n * second - top, 0.0)
    low = LayerRatios("grad_preactivation", INPUT_0, layers, ratio, least, spread, np.zeros(1))
    return bounded_scores(low, None)


_GRID = np.arange(-60.0, 60.0, 2.0**-7)


def _slope(activation: Activation) -> Activation:
    """The derivative as a function of its own, with the same panels."""

    def value(z: FloatArray, out: FloatArray) -> FloatArray:
        out[...] = activation.derivative(z)
        return out

    return replace(activation, value=value, by_layer=())


def _batch_scores(result: ConditionResult) -> Scores:
    """Hold ‖∂ℓ/∂h_k‖² of a batch between the extremes of its inputs, by Chernoff's bound.

    P(χ²_n ≥ n x) for x > 1 and P(χ²_n ≤ n x) for x < 1 are at most exp(−n (x − 1 − ln x)/2).
    """
    condition = result.condition
    ln = ln_norms(condition, result.networks, "second_moment")
    across = np.log(condition.weight_variances) + ln["grad_preactivation"]
    ln_ratio = ln["grad_activation"] - across
    widths = np.array(condition.widths, float)
    least, most = widths[:-1] - 1, widths[:-1] + widths[1:] - 1
    if condition.widths[-1] == 1:
        least = np.concatenate([least[:-1], most[-1:]])
    valid = np.isfinite(across) & (least > 0)
    exponents = np.zeros_like(ln_ratio)
    for n, outside in ((least, ln_ratio < np.log(least)), (most, ln_ratio > np.log(most))):
        ln_x = ln_ratio - np.log(n)
        far = n * (np.exp(ln_x) - 1 - ln_x) / 2
        exponents = np.where(outside & valid, far, exponents)
    exponents = np.where(valid & np.isnan(ln_ratio), np.inf, exponents)
    tests = int(valid.sum()) * condition.n_inputs
    if tests == 0:
        return {}
    worst = float(exponents.max())
    p = min(tests * math.exp(-worst), 1.0)
    network, layer = np.unravel_index(exponents.argmax(), exponents.shape)
    share = float(np.exp(np.clip(ln_ratio[network, layer], -700, 700)) / most[layer])
    return {None: Score(share, 0.0, 0.0, int(valid.sum()), bound=p)}


def _variance_laws(result: ConditionResult, activation: Activation) -> Iterator[Law]:
    """Yield what is known of the squared mean over units and inputs, E[z²] − Var z."""
    condition, single = result.condition, result.condition.n_inputs == 1
    ln = ln_norms(condition, result.networks, "second_moment")
    ln_b = np.log(condition.bias_variances)
    ln_q = np.logaddexp(np.log(condition.weight_variances) + ln["activation"], ln_b)
    shares = [
        np.maximum(1 - 10 ** (variance - second), 0.0)
        for second, variance in (
            (result.networks[q, "second_moment"], result.networks[q, "variance"])
            for q in ("preactivation", "activation")
        )
    ]
    f = shares[0] * np.exp(ln["preactivation"] - ln_q)
    # n (E[h²] − Var h)/q, of the n units of h_{k+1}
    h = shares[1][:, 1:] * np.exp(ln["activation"][:, 1:] - ln_q[:, :-1])
    f = np.where(np.isfinite(ln_q), f, np.nan)
    n = np.array(condition.widths[1:], float)
    one = np.ones_like(n)
    freedom = one if single else None
    law = LayerRatios(
        "preactivation", "variance", np.arange(len(n)), f, one, 2 * one, 8 * one, freedom
    )
    scores = chi_square_scores(law)
    if not single:
        scores = {k: s._replace(z=max(s.z, 0.0), least=0.0) for k, s in scores.items()}
    yield Law("preactivation, variance", ("preactivation", "variance"), scores)
    if activation.negative_slope == 0.0:
        yield Law(
            "activation, variance",
            ("activation", "variance"),
            _rectified_scores(h, n[:-1], single=single),
        )


def _rectified_scores(squared: FloatArray, n: FloatArray, *, single: bool) -> Scores:
    """Hold the mean of rectified units against √(q/2π), by the tail exp(−t²/2M) of M of them."""
    means = np.sqrt(squared)
    excess = np.where(np.isfinite(means), means - np.sqrt(n / (2 * math.pi)), 0.0)
    count = int(np.isfinite(means).sum())
    total = float(excess.sum())
    if count == 0:
        return {}
    if not single:  # inputs of unequal length have less
        total = max(total, 0.0)
    bound = min((1 + single) * math.exp(-(total**2) / (2 * count)), 1.0)
    expected = float(np.where(np.isfinite(means), np.sqrt(n / (2 * math.pi)), 0.0).sum())
    least = 1.0 if single else 0.0
    return {None: Score(1 + total / expected, 0.0, 0.0, count, least=least, bound=bound)}
