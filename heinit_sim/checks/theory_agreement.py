"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

Never by the mean of a deep layer, which rare networks carry: by what single layers do, whose law
is known exactly (`steps`), pooled over layers and networks, and layer by layer. Of convolutions and
residual blocks only the mean is known (`mean_ratios`): the spread is then that of the networks.
"""

import math
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.checks.layer_ratios import Steps, iter_steps
from heinit_sim.checks.mean_ratios import iter_mean_ratios, t_tests
from heinit_sim.experiment.quantities import INPUT_0
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics.p_values import _normal_score, student_tail
from heinit_sim.theory.assumptions import homogeneous_slope

# ‖∂ℓ/∂Ω_k‖ = ‖∂ℓ/∂f_k‖ ‖h_k‖ but for rounding: of the sums behind their log10, and of log10 itself.
_PRODUCT_DECADES = 1e-9
_PRODUCT_RELATIVE = 1e-14
# Inputs of a batch share an exponent; the squares of one so much smaller than another lose digits.
_SHARED_DECADES = 250
# A sum of so few ratios that it is more skewed than one χ²_1 (√8) is not tested.
_MOST_SKEWED = 3.0
# Averages of skewed ratios go beyond what Student's t allows up to twice as often: `mean_ratios`.
_SKEWED = 2.0


class Score(NamedTuple):
    """The sum of some ratios held against its law."""

    relative: float
    """Over what it should be on average; its standard error follows."""
    error: float
    z: float
    """The deviation as a standard normal score."""
    n_layers: int
    """How many ratios: layers of networks."""
    freedom: float = math.inf
    """Where the error is that of networks: of Student's t, which z is then."""
    least: float = 1.0
    """How small `relative` may be."""

    @property
    def p(self) -> float:
        """Probability that correct code deviates as much, to either side."""
        if math.isinf(self.freedom):
            return math.erfc(abs(self.z) / math.sqrt(2.0))
        return min(_SKEWED * student_tail(self.z, self.freedom), 1.0)


def check(result: SweepResult, alpha: float = 1e-3) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers.

    Args:
        result: A simulated sweep.
        alpha: Family-wise level: the probability that a correct simulation shows any alarm, over
            all conditions, quantities and layers together (Bonferroni).

    Returns:
        One finding per condition and quantity, with what was measured over what theory says.
    """
    tested = [_tested(of) for of in result.conditions]
    n_tests = sum(map(len, tested))
    findings = [_finding(*one, alpha / n_tests) for of_condition in tested for one in of_condition]
    for of, of_condition in zip(result.conditions, tested, strict=True):
        findings += [one for one in (_product(of), _handed_back(of)) if one is not None]
        if not of_condition:
            findings.append(_untested(of))
    return findings


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
    if not _has_laws(condition):
        return []
    activation = make_activation(condition.activation, condition.activation_options)
    tested = []
    if condition.convolution or condition.residual:
        lost = _may_be_lost(condition)
        for ratios in iter_mean_ratios(of, activation, may_be_lost=lost):
            batch = "" if ratios.statistic == INPUT_0 else " of the batch"
            scores = {k: Score(*found) for k, found in t_tests(ratios).items()}
            if None in scores:
                tested.append((_name(condition, f"{ratios.quantity}{batch}"), scores))
        return tested
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
    name = "z" if math.isinf(found.freedom) else "t"
    may_be = "" if found.least == 1 else f", which may be {found.least:.3g} … 1"
    return f"{found.relative:.4f} ± {found.error:.4f} of theory{may_be}, {name} = {found.z:+.1f}"


def _product(of: ConditionResult) -> Finding | None:
    """For one input the weight gradient is the outer product of ∂ℓ/∂f_k and h_k.

    That of weights between h_k and f_k which no positions share; of blocks those are none.
    """
    layers = list(range(of.condition.depth + 1))
    if of.condition.residual:
        layers = [0, of.condition.depth]
    if of.condition.convolution:
        layers = layers[-1:] if of.condition.convolution.readout == "flatten" else []
    if not layers:
        return None
    weight, df, h = (
        of.networks[quantity, INPUT_0][:, layers]
        for quantity in ("grad_weight", "grad_preactivation", "activation")
    )
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where both are 0
        gap = np.where(weight == df + h, 0.0, np.abs(weight - df - h))
    close = gap < _PRODUCT_DECADES + _PRODUCT_RELATIVE * (np.abs(df) + np.abs(h))
    if _may_be_lost(of.condition):
        batch = of.networks["grad_weight", "second_moment"][:, layers]
        lost = np.isnan(gap) | np.isinf(weight) | (df + h < batch - _SHARED_DECADES)
        gap, close = np.where(lost, 0.0, gap), close | lost
    held = bool(close.all())
    reason = f"‖∂ℓ/∂Ω_k‖² = ‖∂ℓ/∂f_k‖² ‖h_k‖² within {gap.max():.0e} decades"
    return Finding(_name(of.condition, "grad_weight"), held, reason)


def _handed_back(of: ConditionResult) -> Finding | None:
    """What a block adds with weight s is handed s ∂ℓ/∂h_{k+1} back; f_0 is h_1."""
    residual, depth = of.condition.residual, of.condition.depth
    if residual is None:
        return None
    df = of.networks["grad_preactivation", "second_moment"][:, :depth]
    dh = of.networks["grad_activation", "second_moment"][:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):  # s = 0; what is no number
        wanted = dh + np.log10([1.0] + [residual.scale**2] * (depth - 1))
        gap = np.where(df == wanted, 0.0, np.abs(df - wanted))
    if _may_be_lost(of.condition):
        gap = np.where(np.isnan(df) & np.isnan(dh), 0.0, gap)
    size = np.where(np.isfinite(df), np.abs(df), 0.0)
    held = bool((gap < _PRODUCT_DECADES + _PRODUCT_RELATIVE * size).all())
    reason = f"‖∂ℓ/∂f_k‖² = s² ‖∂ℓ/∂h_k+1‖² within {gap.max():.0e} decades"
    return Finding(_name(of.condition, "grad_preactivation"), held, reason)


def _has_laws(condition: Condition) -> bool:
    """Whether weights are Gaussian and know no inputs, as the laws of single layers have it."""
    return not (condition.weight_distributions or condition.lsuv)


def _untested(of: ConditionResult) -> Finding:
    reason = "no law of single layers is known that these networks could be held against"
    if _has_laws(of.condition):
        reason = "too few networks of so few channels for a test; give more trials"
    return Finding(_name(of.condition, "not tested"), True, reason, tested=False)


def _may_be_lost(condition: Condition) -> bool:
    """Whether numbers may leave float range."""
    return homogeneous_slope(condition) is None or condition.residual is not None


def _name(condition: Condition, what: str) -> str:
    return f"theory, {condition.label}: {what}" if condition.label else f"theory: {what}"
