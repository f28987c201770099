"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

Never by the mean of a deep layer, which rare networks carry: by what single layers do, whose law
is known exactly (`steps`), pooled over layers and networks, and layer by layer.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.predictions import homogeneous_slope
from heinit_sim.records import INPUT_0, Condition, ConditionResult, Finding, SweepResult
from heinit_sim.steps import Steps, iter_steps

Array = NDArray[np.float64]

# ‖∂ℓ/∂Ω_k‖ = ‖∂ℓ/∂f_k‖ ‖h_k‖ but for rounding: of the sums behind their log10, and of log10 itself.
_PRODUCT_DECADES = 1e-9
_PRODUCT_RELATIVE = 1e-14
# Inputs of a batch share an exponent; the squares of one so much smaller than another lose digits.
_SHARED_DECADES = 250
# A sum of so few ratios that it is more skewed than one χ²_1 (√8) is not tested.
_MOST_SKEWED = 3.0


class Score(NamedTuple):
    """The sum of some ratios held against its law."""

    relative: float
    """Over what it should be on average; its standard error follows."""
    error: float
    z: float
    """The deviation as a standard normal score."""
    n_layers: int
    """How many ratios: layers of networks."""

    @property
    def p(self) -> float:
        """Probability that correct code deviates as much, to either side."""
        return math.erfc(abs(self.z) / math.sqrt(2.0))


def check(result: SweepResult, alpha: float = 1e-3) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers.

    Args:
        result: A simulated sweep.
        alpha: Family-wise level: the probability that a correct simulation shows any alarm, over
            all conditions, quantities and layers together (Bonferroni).

    Returns:
        One finding per condition and quantity, with what was measured over what theory says.
    """
    tested = [one for of in result.conditions for one in _tested(of)]
    findings = [_finding(name, scores, alpha / len(tested)) for name, scores in tested]
    return findings + [_product(of) for of in result.conditions]


def score(steps: Steps) -> dict[int | None, Score]:
    """Layer -> its score, over networks; None -> that of all layers together.

    Left out is what has no ratios that vary, or too few.
    """
    valid = ~np.isnan(steps.ratio) & (steps.variance > 0) & np.isfinite(steps.variance)
    deviation = np.where(valid, steps.ratio, 0.0) - np.where(valid, steps.mean, 0.0)
    of_law = [np.where(valid, a, 0.0) for a in (steps.mean, steps.variance, steps.third, 1.0)]
    with np.errstate(over="ignore"):  # of numbers that are beyond reason
        sums = np.array([each.sum(axis=0) for each in (deviation, *of_law)])
        columns = [sums.sum(axis=1).tolist(), *sums.T.tolist()]
    scores = zip([None, *steps.layers.tolist()], (_score(*c) for c in columns), strict=True)
    return {k: found for k, found in scores if found is not None}


def _score(
    deviation: float, mean: float, variance: float, third: float, count: float
) -> Score | None:
    """From the sums over ratios; their deviations are uncorrelated."""
    std = math.sqrt(variance)
    if count == 0 or abs(skewness := third / variance / std) > _MOST_SKEWED:
        return None
    z = _normal_score(deviation / std, skewness)
    return Score(1 + deviation / mean, std / mean, z, int(count))


def _tested(of: ConditionResult) -> list[tuple[str, dict[int | None, Score]]]:
    condition = of.condition
    if condition.weight_distribution != "normal":
        return []  # the laws are those of Gaussian weights
    activation = make_activation(condition.activation, condition.activation_options)
    tested = []
    for steps in iter_steps(of, activation, homogeneous_slope(condition)):
        batch = "" if steps.statistic == INPUT_0 else " of the batch"
        scores = score(steps)
        if None in scores:
            tested.append((_name(condition, f"{steps.quantity}{batch}"), scores))
    return tested


def _finding(name: str, scores: dict[int | None, Score], level: float) -> Finding:
    """Half of the level for all layers together, half for the worst of them."""
    pooled = scores[None]
    layers = {k: found for k, found in scores.items() if k is not None}
    reason = _text(pooled)
    held = 2 * pooled.p >= level and all(2 * len(layers) * s.p >= level for s in layers.values())
    if not held and layers:
        worst = max(layers, key=lambda k: abs(layers[k].z))
        reason += f" over {pooled.n_layers} layers; most at layer {worst}: {_text(layers[worst])}"
    return Finding(name, held, reason)


def _text(found: Score) -> str:
    return f"{found.relative:.4f} ± {found.error:.4f} of theory, z = {found.z:+.1f}"


def _product(of: ConditionResult) -> Finding:
    """For one input the weight gradient is the outer product of ∂ℓ/∂f_k and h_k."""
    weight, df, h = (
        of.networks[quantity, INPUT_0]
        for quantity in ("grad_weight", "grad_preactivation", "activation")
    )
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where both are 0
        gap = np.where(weight == df + h, 0.0, np.abs(weight - df - h))
    close = gap < _PRODUCT_DECADES + _PRODUCT_RELATIVE * (np.abs(df) + np.abs(h))
    if homogeneous_slope(of.condition) is None:  # numbers may leave float range
        batch = of.networks["grad_weight", "second_moment"]
        lost = np.isnan(gap) | np.isinf(weight) | (df + h < batch - _SHARED_DECADES)
        gap, close = np.where(lost, 0.0, gap), close | lost
    held = bool(close.all())
    reason = f"‖∂ℓ/∂Ω_k‖² = ‖∂ℓ/∂f_k‖² ‖h_k‖² within {gap.max():.0e} decades"
    return Finding(_name(of.condition, "grad_weight"), held, reason)


def _name(condition: Condition, what: str) -> str:
    return f"theory, {condition.label}: {what}" if condition.label else f"theory: {what}"


def _normal_score(z: float, skewness: float) -> float:
    """The standardised sum as a normal score: the cube root of a gamma law of that skewness.

    Source: Wilson & Hilferty 1931.
    """
    if skewness < 0:
        return -_normal_score(-z, -skewness)
    if skewness < 1e-9:
        return z
    root = math.cbrt(max(1 + skewness * z / 2, 0.0))
    return 6 / skewness * (root - 1) + skewness / 6
