"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

The mean of a deep layer, which rare networks carry, tells nothing: what single layers do is tested,
whose law is known exactly (`layer_ratios`), pooled over layers and networks, and layer by layer. Of
convolutions and residual blocks only the mean is known (`mean_ratios`), and the spread is measured.
"""

from collections.abc import Iterator

import numpy as np

from heinit_sim.activations import make_activation
from heinit_sim.checks.layer_ratios import LayerRatios, chi_square_scores, iter_layer_ratios
from heinit_sim.checks.mean_ratios import MeanRatios, iter_mean_ratios, t_scores
from heinit_sim.checks.scores import Scores
from heinit_sim.experiment.quantities import INPUT_0
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory import assumptions

# ‖∂ℓ/∂Ω_k‖ = ‖∂ℓ/∂f_k‖ ‖h_k‖ but for rounding: of the sums behind their log10, and of log10 itself.
_PRODUCT_DECADES = 1e-9
_PRODUCT_RELATIVE = 1e-14
# Inputs of a batch share an exponent; the squares of one so much smaller than another lose digits.
_SHARED_DECADES = 250


def check(result: SweepResult, alpha: float = 1e-3) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers.

    Args:
        result: A simulated sweep.
        alpha: Family-wise level: the probability that a correct simulation shows any alarm, over
            all conditions, quantities and layers together (Bonferroni).

    Returns:
        One finding per condition and quantity, with what was measured over what theory says.
    """
    scored = [_scores_by_name(condition) for condition in result.conditions]
    n_tests = sum(map(len, scored))
    findings = [
        _finding(name, scores, alpha / n_tests)
        for by_name in scored
        for name, scores in by_name.items()
    ]
    for condition_result, by_name in zip(result.conditions, scored, strict=True):
        findings += [*_products(condition_result), *_handed_back(condition_result)]
        if not by_name:
            findings.append(_untested(condition_result.condition))
    return findings


def _scores_by_name(result: ConditionResult) -> dict[str, Scores]:
    """The name of each finding -> the scores of its ratios; nothing where no law is known."""
    condition = result.condition
    if not assumptions.has_layer_laws(condition):
        return {}
    activation = make_activation(condition.activation, condition.activation_options)
    scored: list[tuple[MeanRatios | LayerRatios, Scores]]
    if not assumptions.has_fresh_layers(condition):
        lost = assumptions.may_leave_float_range(condition)
        scored = [
            (ratios, t_scores(ratios))
            for ratios in iter_mean_ratios(result, activation, may_be_lost=lost)
        ]
    else:
        slope = assumptions.homogeneous_slope(condition)
        scored = [
            (ratios, chi_square_scores(ratios))
            for ratios in iter_layer_ratios(result, activation, slope)
        ]
    return {
        _name(condition, ratios.quantity + " of the batch" * (ratios.statistic != INPUT_0)): scores
        for ratios, scores in scored
        if None in scores
    }


def _finding(name: str, scores: Scores, level: float) -> Finding:
    """Hold all layers together at half of the level, and the worst of them at the other half."""
    pooled = scores[None]
    layers = {k: score for k, score in scores.items() if k is not None}
    reason = pooled.text
    held = 2 * pooled.p >= level and all(2 * len(layers) * s.p >= level for s in layers.values())
    if not held and layers:
        worst = max(layers, key=lambda k: abs(layers[k].z))
        reason += f" over {pooled.n_ratios} layers; most at layer {worst}: {layers[worst].text}"
    return Finding(name, held, reason)


def _products(result: ConditionResult) -> Iterator[Finding]:
    """Hold the weight gradients of one input against the outer product of ∂ℓ/∂f_k and h_k."""
    condition, networks = result.condition, result.networks
    layers = assumptions.layers_of_outer_products(condition)
    if not layers:
        return
    weight, df, h = (
        networks[quantity, INPUT_0][:, layers]
        for quantity in ("grad_weight", "grad_preactivation", "activation")
    )
    with np.errstate(invalid="ignore"):  # −inf − (−inf), where both are 0
        gap = np.where(weight == df + h, 0.0, np.abs(weight - df - h))
    close = gap < _PRODUCT_DECADES + _PRODUCT_RELATIVE * (np.abs(df) + np.abs(h))
    if assumptions.may_leave_float_range(condition):
        batch = networks["grad_weight", "second_moment"][:, layers]
        lost = np.isnan(gap) | np.isinf(weight) | (df + h < batch - _SHARED_DECADES)
        gap, close = np.where(lost, 0.0, gap), close | lost
    reason = f"‖∂ℓ/∂Ω_k‖² = ‖∂ℓ/∂f_k‖² ‖h_k‖² within {gap.max():.0e} decades"
    yield Finding(_name(condition, "grad_weight"), bool(close.all()), reason)


def _handed_back(result: ConditionResult) -> Iterator[Finding]:
    """Hold ∂ℓ/∂f_k of blocks, f_k added with weight s, against s ∂ℓ/∂h_{k+1}; f_0 is h_1."""
    condition, depth = result.condition, result.condition.depth
    if condition.residual is None:
        return
    df = result.networks["grad_preactivation", "second_moment"][:, :depth]
    dh = result.networks["grad_activation", "second_moment"][:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):  # s = 0; what is no number
        expected = dh + np.log10([1.0] + [condition.residual.scale**2] * (depth - 1))
        gap = np.where(df == expected, 0.0, np.abs(df - expected))
    if assumptions.may_leave_float_range(condition):
        gap = np.where(np.isnan(df) & np.isnan(dh), 0.0, gap)
    size = np.where(np.isfinite(df), np.abs(df), 0.0)
    held = bool((gap < _PRODUCT_DECADES + _PRODUCT_RELATIVE * size).all())
    reason = f"‖∂ℓ/∂f_k‖² = s² ‖∂ℓ/∂h_k+1‖² within {gap.max():.0e} decades"
    yield Finding(_name(condition, "grad_preactivation"), held, reason)


def _untested(condition: Condition) -> Finding:
    reason = "no law of single layers is known that these networks could be held against"
    if assumptions.has_layer_laws(condition):
        reason = "too few networks of so few channels for a test; give more trials"
    return Finding(_name(condition, "not tested"), True, reason, tested=False)


def _name(condition: Condition, what: str) -> str:
    return f"theory, {condition.label}: {what}" if condition.label else f"theory: {what}"
