"""The slope of a condition in decades per layer, and the word for it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from heinit_sim.experiment.quantities import Growth, Measure, Pass
from heinit_sim.experiment.results import ConditionResult, Prediction
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.theory import assumptions

Word = Literal[Growth, "undefined"]

# Each pass is judged by a variance: of h_k, and of ∂ℓ/∂h_k on its way to the input.
_JUDGED: dict[Pass, tuple[Measure, int]] = {
    "forward": (("activation", "variance"), +1),
    "backward": (("grad_activation", "variance"), -1),
}
# "Stable" allows this much over the whole network beyond the drift of a finite width: a factor 10.
_ALLOWED_DECADES = 1.0
# Median over mean in standard error, √(π/2); slope of a random walk by least squares, √(6/5).
_SLOPE_OF_MEDIAN = math.sqrt(math.pi / 2 * 6 / 5)


@dataclass(frozen=True)
class Trend:
    """Change of the variance per hidden layer, in the direction of one pass."""

    decades_per_layer: float
    """Least-squares slope of the median over networks; NaN with one hidden layer, -inf where the
    median network is dead."""
    error: float
    """Standard error of the slope over networks; NaN for one network."""
    theory_decades_per_layer: float
    """Slope of the infinite-width prediction."""
    drift: float
    """Slope of the typical network where the infinite-width one is level."""
    allowed: float
    """Largest distance from the drift at which a slope is called stable."""
    word: Word
    fate: str = ""
    """Where networks that did not come through were lost; empty if all came through."""

    @property
    def reason(self) -> str:
        """The numbers behind the word, e.g. "-0.012 ± 0.003 decades per layer; …"."""
        error = "" if math.isnan(self.error) else f" ± {self.error:.3f}"
        stable = f"stable is {self.drift:+z.3f} ± {self.allowed:.3f}"
        slope = f"{self.decades_per_layer:+z.3f}{error} decades per layer; {stable}"
        if math.isnan(self.decades_per_layer):
            slope = "no slope"
        return f"{self.fate}; {slope}" if self.fate else slope


def trend(result: ConditionResult, direction: Pass) -> Trend:
    """Fit the layers 1 … K of one pass and say whether its signal vanishes, stays or explodes.

    "Stable" is a slope that changes the variance by less than a factor of 10 over the network,
    beyond the drift of the median that a finite width brings (half of `log_norm_spread`, in the
    logarithm: −5/2n per ReLU layer of n units) and three standard errors of the slope: those that
    this spread implies, or where it is not known, the measured ones. The drift of convolutions,
    whose units at other positions share weights, and of residual networks may be anything from none
    to what the networks show: half of the variance over networks of ln ‖h_K‖²/‖h_0‖², which takes
    the median of a log-normal law back to its mean. Networks that leave the range of a float are
    left out while they are fewer than half; if not, the signal explodes or vanishes, whatever the
    slope of the layers before, and its gradients are not known.
    """
    measure, sign = _JUDGED[direction]
    depth = result.condition.depth
    layers = result.networks[measure][:, 1:]
    whole = ~np.isnan(layers).any(axis=1)
    typical = 2 * np.count_nonzero(whole) > len(layers)
    median = np.median(layers[whole] if typical else layers, axis=0)
    slope = sign * _least_squares_slope(median)
    slope = -math.inf if math.isinf(slope) else slope  # dead, in the direction of either pass
    spread = result.log_norm_spread or 0.0
    drift = 0.0 - spread / 2 / depth / math.log(10)
    shown = _measured_spread(result) / 2 / depth / math.log(10)
    n_networks = len(layers)
    measured = _error_of_slope(layers)
    error = _SLOPE_OF_MEDIAN * math.sqrt(spread / n_networks) / depth / math.log(10)
    allowed = _ALLOWED_DECADES / depth + 3 * (error if spread else np.nan_to_num(measured))
    drift, allowed = drift - shown / 2, allowed + shown / 2  # from all of it to none
    word = _word(slope - drift, float(allowed))
    theory = predicted_slope(result, direction)
    all_fates = fates(result)
    lost = [fate.word for fate in all_fates if fate.word in ("overflow", "underflow")]
    if direction == "forward" and lost and not typical:
        word = "exploding" if lost[0] == "overflow" else "vanishing"
    text = ", ".join(fate.text for fate in all_fates)
    return Trend(slope, measured, theory, drift, float(allowed), word, text)


def _measured_spread(result: ConditionResult) -> float:
    """Variance over networks of ln ‖h_K‖²/‖h_0‖²; 0 where theory takes care of it, or for one."""
    if assumptions.has_fresh_layers(result.condition):
        return 0.0
    h = result.networks["activation", "second_moment"]
    with np.errstate(invalid="ignore"):  # −inf − (−inf) of inputs that are zero
        variance, _ = variance_of_ln(h[:, -1:] - h[:, :1])
    return float(np.nan_to_num(variance[0]))


def predicted_slope(prediction: Prediction, direction: Pass) -> float:
    """Slope of the infinite-width variance over the layers 1 … K, in decades per layer."""
    measure, sign = _JUDGED[direction]
    slope = sign * _least_squares_slope(prediction.mean_field[measure][1:])
    return -math.inf if math.isinf(slope) else slope


def _error_of_slope(log10_values: FloatArray) -> float:
    """Standard error of the median network's slope: that of a mean times √(π/2); NaN for one."""
    alive = log10_values[np.isfinite(log10_values).all(axis=1)]
    if len(alive) < 2:
        return math.nan
    slopes = np.array([_least_squares_slope(network) for network in alive])
    return float(slopes.std(ddof=1) / math.sqrt(len(slopes)) * math.sqrt(math.pi / 2))


def _word(excess: float, allowed: float) -> Word:
    if math.isnan(excess):
        return "undefined"
    if abs(excess) <= allowed:
        return "stable"
    return "exploding" if excess > 0 else "vanishing"


def _least_squares_slope(log10_values: FloatArray) -> float:
    """Slope over the layers that are known; −inf where one is all zero, NaN for fewer than two."""
    log10_values = log10_values[~np.isnan(log10_values)]
    if len(log10_values) < 2:
        return math.nan
    if np.isneginf(log10_values).any():
        return -math.inf
    layers = np.arange(len(log10_values)) - (len(log10_values) - 1) / 2
    return float(layers @ log10_values / (layers @ layers))


FateWord = Literal["dead", "off", "overflow", "underflow"]
_TEXTS: dict[FateWord, str] = {
    "dead": "dead from",
    "off": "all units off at",
    "overflow": "overflow at",
    "underflow": "underflow at",
}


@dataclass(frozen=True)
class Fate:
    """One way in which networks of a condition were lost."""

    word: FateWord
    first: int
    """The first layer where one of them was."""
    n_networks: int
    """Number of networks that were lost so."""
    n_all: int
    """Networks of the condition."""

    @property
    def text(self) -> str:
        """One line, e.g. "overflow at layer 212 in 3 of 100 networks"."""
        at = f"{_TEXTS[self.word]} layer {self.first}" + " or later" * (self.n_networks > 1)
        return f"{at} in {self.n_networks} of {self.n_all} networks"


def fates(result: ConditionResult) -> list[Fate]:
    """Tell how networks of a condition were lost, the commonest way first; empty if none was.

    A network is dead from the layer on behind which all activations are zero; where biases bring
    them back, all units of that layer were off, and nothing of the input passes it. A network whose
    activation is not homogeneous, or that has biases, overflows or underflows at the first
    pre-activations f_k beyond the range of a float; these, what follows and all its gradients are
    NaN.
    """
    h = result.networks["activation", "second_moment"]
    f = result.networks["preactivation", "second_moment"]
    condition = result.condition
    first_layers: dict[FateWord, list[int]] = {}
    for network_h, network_f in zip(h, f, strict=True):
        if np.isnan(network_f).any():
            k = int(np.isnan(network_f).argmax())
            scale = condition.weight_variances[k] * condition.fans[k][0]
            log10_q = network_h[k] + math.log10(scale)
            # Activations that are lost before their layer is are too large.
            first_layers.setdefault("underflow" if log10_q <= 0 else "overflow", []).append(k)
        elif (off := np.isneginf(network_h[1:])).any():
            k = int(off.argmax())
            first_layers.setdefault("dead" if off[k:].all() else "off", []).append(1 + k)
    common = sorted(first_layers.items(), key=lambda item: -len(item[1]))
    return [Fate(word, min(layers), len(layers), len(h)) for word, layers in common]
