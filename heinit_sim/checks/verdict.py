"""The slope of a condition in decades per layer, and the word for it."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from heinit_sim.checks.fates import fates
from heinit_sim.experiment.quantities import ALIKE_DECADES, BETWEEN_INPUTS, Growth, Measure, Pass
from heinit_sim.experiment.results import ConditionResult, Prediction
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray, Mask
from heinit_sim.numerics.bootstrap import resampled_medians
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.theory import assumptions

ALIKE = "the variance between inputs vanishes"
"""Reason of a forward pass that vanishes though its variance does not."""
Word = Literal[Growth, "undecided", "undefined"]

# Each pass is judged by a variance: of h_k, and of ∂ℓ/∂h_k on its way to the input.
_JUDGED: dict[Pass, tuple[Measure, int]] = {
    "forward": (("activation", "variance"), +1),
    "backward": (("grad_activation", "variance"), -1),
}
_BETWEEN: Measure = ("activation", BETWEEN_INPUTS)
_DOUBTED = ("stable", "undecided")  # words of a variance, of which that between inputs has a say
ALLOWED_DECADES = 1.0
"""Decades that "stable" allows over a whole network beyond the drift of a finite width."""
# Another word takes so many standard errors beyond that, and "stable" errors so small.
_ERRORS_OUTSIDE = 3
_ERRORS_WITHIN = 2
_RELU_SPREAD = 5.0  # times 1/width: stands in where the spread of an activation is not known
_RESAMPLED = 300  # networks at most in a sample; the error shrinks with the root of their number
_ONE_SIGMA = (0.158655, 0.841345)  # quantiles one standard error about a normal law's median
# Median over mean in standard error, √(π/2); slope of a random walk by least squares, √(6/5).
_SLOPE_OF_MEDIAN = math.sqrt(math.pi / 2 * 6 / 5)


class Limits(NamedTuple):
    """The numbers that the word for a slope goes by, all in decades per layer."""

    low: float
    """The steepest fall of the typical network where the infinite-width one is level."""
    high: float
    """The least one."""
    allowed: float
    """Largest distance beyond these at which a slope is called stable."""
    error: float
    """Standard error of the slope."""


class Stretch(NamedTuple):
    """Factors of the weights' variances with which the word for a pass is the same."""

    upper: float
    """log10 of the largest of them; infinite for the last stretch."""
    word: Word
    doubt: str
    """As in `Trend`."""


@dataclass(frozen=True)
class Trend:
    """Change of the variance per hidden layer, in the direction of one pass."""

    decades_per_layer: float
    """Least-squares slope of the median over networks; NaN where fewer than two layers have one,
    -inf where the median network is dead."""
    error: float
    """Standard error of the slope over networks; NaN for one network, or where the slope is not
    finite."""
    theory_decades_per_layer: float
    """Slope of the infinite-width prediction."""
    drift: float
    """Slope of the typical network where the infinite-width one is level."""
    allowed: float
    """Largest distance from the drift at which a slope is called stable."""
    word: Word
    limits: Limits
    """The numbers that the word goes by."""
    fate: str = ""
    """Where networks that did not come through were lost; empty if all came through."""
    doubt: str = ""
    """Why the word is `undecided`, or which other variance vanishes; else empty."""

    @property
    def stable(self) -> str:
        """The slopes that are called stable, e.g. "-0.011 ± 0.020"."""
        return f"{self.drift:+z.3f} ± {self.allowed:.3f}"

    @property
    def reason(self) -> str:
        """The numbers behind the word, e.g. "-0.012 ± 0.003 decades per layer; …"."""
        error = "" if math.isnan(self.error) else f" ± {self.error:.3f}"
        slope = f"{self.decades_per_layer:+z.3f}{error} decades per layer"
        if math.isnan(self.decades_per_layer):
            slope = "no slope, as fewer than two hidden layers have a variance that is known"
        parts = [self.fate, f"{slope}; stable is {self.stable}", self.doubt]
        return "; ".join(part for part in parts if part)


def trend(result: ConditionResult, direction: Pass) -> Trend:
    """Say whether the signal of one pass vanishes, stays or explodes.

    The backward pass is judged by the variance of ∂ℓ/∂h_k. The forward pass is by that of h_k, and
    where this does not tell, by the variance between inputs: if it vanishes, the signal has, for
    every input gives the same output. Beyond a factor of 10 it may fall by K², as inputs align at
    the edge of chaos, like 1/k² in ReLU layers and like 1/k in those of tanh.
    """
    found = _trend(result, *_JUDGED[direction], ALLOWED_DECADES)
    if direction == "backward" or found.word not in _DOUBTED:
        return found
    apart = _told_apart(result)
    if apart is None:
        return found
    inputs = _trend_between_inputs(result, apart)
    if inputs.word != "vanishing":
        return found
    error = "" if math.isnan(inputs.error) else f" ± {inputs.error:.3f}"
    slope = f"{inputs.decades_per_layer:+z.3f}{error} decades per layer"
    if math.isinf(inputs.decades_per_layer):
        lost = np.isneginf(np.median(apart, axis=0))
        slope = f"none is left from layer {int(lost.argmax())} on"
    return replace(found, word="vanishing", doubt=f"{ALIKE}: {slope}, stable is {inputs.stable}")


def words_by_scale(result: ConditionResult, direction: Pass) -> list[Stretch]:
    """The words of `trend` with every σ² multiplied by a factor, from the least factor to any.

    By the scale law both passes have each slope of a variance changed by log10 of the factor, and
    no error: for conditions that obey it.
    """
    own = _trend(result, *_JUDGED[direction], ALLOWED_DECADES)
    apart = _told_apart(result) if direction == "forward" else None
    inputs = None if apart is None else _trend_between_inputs(result, apart)
    edges = sorted(_edges(own) | (_edges(inputs) if inputs else set()))
    ends = [edges[0] - 2, *edges, edges[-1] + 2] if edges else [0.0, 0.0]
    stretches: list[Stretch] = []
    for (lower, higher), upper in zip(pairwise(ends), [*edges, math.inf], strict=True):
        within = (lower + higher) / 2
        word, doubt = _word(own.decades_per_layer + within, own.limits)
        if inputs and word in _DOUBTED:
            slope = inputs.decades_per_layer + within
            if _word(slope, inputs.limits)[0] == "vanishing":
                word, doubt = "vanishing", ALIKE
        if stretches and stretches[-1][1:] == (word, doubt):
            stretches.pop()
        stretches.append(Stretch(upper, word, doubt))
    return stretches


def word_of_theory(decades_per_layer: float, drift: float, depth: int) -> Word:
    """The word for an infinite-width slope, of networks that drift so much below it.

    Args:
        decades_per_layer: The slope, in the direction of the pass.
        drift: That of the typical network where the slope is 0.
        depth: K, the number of hidden layers.
    """
    limits = Limits(drift, drift, ALLOWED_DECADES / depth, 0.0)
    return _word(decades_per_layer + drift, limits)[0]


def _edges(found: Trend) -> set[float]:
    """log10 of the factors at which the word of a slope may change."""
    low, high, allowed, error = found.limits
    far = allowed + _ERRORS_OUTSIDE * error
    slopes = (low - far, low - allowed, high + allowed, high + far)
    return {edge for slope in slopes if math.isfinite(edge := slope - found.decades_per_layer)}


def _told_apart(result: ConditionResult) -> FloatArray | None:
    """Variances between inputs, −inf where they may be rounding alone; None where none is left."""
    apart = result.networks.get(_BETWEEN)
    if apart is None or np.median(apart[:, 0]) == -math.inf:  # inputs alike from the start
        return None
    rounding = result.networks["activation", "second_moment"] - ALIKE_DECADES
    return np.where(apart < rounding, -np.inf, apart)


def _trend_between_inputs(result: ConditionResult, apart: FloatArray) -> Trend:
    networks = {**result.networks, _BETWEEN: apart}
    allowed = ALLOWED_DECADES + 2 * math.log10(result.condition.depth)
    return _trend(replace(result, networks=networks), _BETWEEN, +1, allowed)


def _trend(result: ConditionResult, measure: Measure, sign: int, allowed_decades: float) -> Trend:
    """Fit the layers 1 … K, in the direction of the pass.

    "Stable" is a slope that changes the variance by less than the allowed decades over the network,
    beyond the drift of the median that a finite width brings (half of `log_norm_spread`, in the
    logarithm: −5/2n per ReLU layer of n units). The drift of convolutions, whose units at other
    positions share weights, and of blocks may be anything from none to half of the
    variance over networks of ln ‖h_K‖²/‖h_0‖², which takes the median of a log-normal law back to
    its mean. A slope is vanishing or exploding where it is outside by three standard errors, the
    measured one or, where that is larger, the one that the spread implies.

    In between it is `undecided`, and so is a slope within where two standard errors, or the drift
    itself, change the variance by that much or more: the networks are too few or too narrow
    for a word on their law. Networks that leave the range of a float are left out while they are
    fewer than half; if not, the signal explodes or vanishes, whatever the slope of the layers
    before, and its gradients are not known.
    """
    condition = result.condition
    depth, n_networks = condition.depth, len(result.networks[measure])
    layers = np.where(_varying(condition), result.networks[measure], np.nan)[:, 1:]
    whole = ~np.isnan(layers[:, _varying(condition)[1:]]).any(axis=1)
    typical = 2 * np.count_nonzero(whole) > n_networks
    layers = layers[whole] if typical else layers
    slope = sign * _least_squares_slope(np.median(layers, axis=0))
    slope = -math.inf if math.isinf(slope) else slope  # dead, in the direction of either pass
    error = error_of_slope(layers) if typical else math.nan

    spread, shown = result.log_norm_spread, _measured_spread(result)
    per_layer = 1 / depth / math.log(10)
    drifts = np.array([spread or 0.0, (spread or 0.0) + shown]) / -2 * per_layer
    allowed = allowed_decades / depth
    if spread is None and not math.isnan(error):
        doubt = error
    else:
        expected = (
            sum(_RELU_SPREAD / n for n in condition.widths[1:-1]) if spread is None else spread
        )
        of_law = _SLOPE_OF_MEDIAN * math.sqrt(expected / n_networks) * per_layer
        doubt = float(np.fmax(of_law, error))
    limits = Limits(float(drifts[1]), float(drifts[0]), allowed, doubt)
    word, why = _word(slope, limits)
    theory = _predicted_slope(result, measure, sign)
    all_fates = fates(result)
    lost = [fate.word for fate in all_fates if fate.word in ("overflow", "underflow")]
    if sign > 0 and lost and not typical:
        word, why = "exploding" if lost[0] == "overflow" else "vanishing", ""
    text = ", ".join(fate.text for fate in all_fates)
    drift = 0.0 + float(drifts.mean())
    allowed += float(drifts[0] - drifts[1]) / 2
    error = error if math.isfinite(error) else math.nan
    return Trend(slope, error, theory, drift, allowed, word, limits, text, why)


def _word(slope: float, limits: Limits) -> tuple[Word, str]:
    """The word for a slope, and why it is undecided where it is."""
    low, high, allowed, error = limits
    beyond = slope - min(max(slope, low), high)
    if math.isnan(beyond):
        return "undefined", ""
    if abs(beyond) > allowed + _ERRORS_OUTSIDE * error:
        return ("exploding" if beyond > 0 else "vanishing"), ""
    if -low > allowed:
        return "undecided", "narrow layers alone take the typical network that far"
    if abs(beyond) > allowed or _ERRORS_WITHIN * error > allowed:
        if math.isinf(error):
            return "undecided", "with so many dead networks, others may have a dead median"
        if _ERRORS_WITHIN * error <= allowed:
            return "undecided", "it is beyond that by less than three standard errors"
        return "undecided", f"± {error:.3f} is too much to tell; more trials will"
    return "stable", ""


def _varying(condition: Condition) -> Mask:
    """Which of the layers 0 … K have more than one number, without which there is no variance."""
    varying: Mask = np.array(condition.widths[:-1]) * condition.n_inputs > 1
    return varying


def _measured_spread(result: ConditionResult) -> float:
    """Variance over networks of ln ‖h_K‖²/‖h_0‖²; 0 where theory takes care of it, or for one."""
    if assumptions.has_fresh_layers(result.condition):
        return 0.0
    h = result.networks["activation", "second_moment"]
    with np.errstate(invalid="ignore"):  # −inf − (−inf) of inputs that are zero
        variance, _ = variance_of_ln(h[:, -1:] - h[:, :1])
    return float(np.nan_to_num(variance[0]))


def predicted_slope(prediction: Prediction, direction: Pass) -> float:
    """Slope of the infinite-width variance over the layers 1 … K, in decades per layer.

    NaN where some of them are too narrow for it.
    """
    return _predicted_slope(prediction, *_JUDGED[direction])


def _predicted_slope(prediction: Prediction, measure: Measure, sign: int) -> float:
    if measure not in prediction.mean_field or prediction.misfit is not None:
        return math.nan
    slope = sign * _least_squares_slope(prediction.mean_field[measure][1:])
    return -math.inf if math.isinf(slope) else slope


def error_of_slope(log10_values: FloatArray) -> float:
    """Standard error of the slope of the medians over networks, by resampling the networks.

    All layers of one network share what its output brings, which cancels in its own slope but not
    in that of the medians: no statistic of the networks' own slopes will do. Half of the distance
    between the quantiles that lie one standard error about a normal law's median is taken: networks
    that are dead count as they do in the median.

    Args:
        log10_values: One row per network, (n_networks, K); a column that has a NaN is left out.

    Returns:
        The error in decades per layer; NaN for one network or layer, infinite where one sample in
        six would have a dead median, NaN where the median is dead.
    """
    largest: FloatArray = log10_values.max(axis=0)
    known = ~np.isnan(largest)
    values, n_networks = log10_values[:, known], len(log10_values)
    if n_networks < 2 or np.count_nonzero(known) < 2:
        return math.nan
    if np.isneginf(np.median(values, axis=0)).any():
        return math.nan
    n_rows = min(n_networks, _RESAMPLED)
    medians = resampled_medians(values, n_rows)
    alive = ~np.isneginf(medians.min(axis=1))
    slopes = np.full(len(medians), -np.inf)
    slopes[alive] = np.vecdot(medians[alive], _contrast(known))
    low, high = np.quantile(slopes, _ONE_SIGMA, method="nearest")
    return float(high - low) / 2 * math.sqrt(n_rows / n_networks)


def _least_squares_slope(log10_values: FloatArray) -> float:
    """Slope over the layers that are known; −inf where one is all zero, NaN for fewer than two."""
    known: Mask = ~np.isnan(log10_values)
    if np.count_nonzero(known) < 2:
        return math.nan
    if np.isneginf(log10_values).any():
        return -math.inf
    return float(_contrast(known) @ log10_values[known])


def _contrast(known: Mask) -> FloatArray:
    """Weights of the known layers in a least-squares slope."""
    layers: FloatArray = np.flatnonzero(known).astype(float)
    layers -= layers.mean()
    contrast: FloatArray = layers / (layers @ layers)
    return contrast
