"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

The mean of a deep layer, which rare networks carry, tells nothing: what single layers do is tested,
whose law is known exactly (`layer_ratios`), pooled over layers and networks, and layer by layer. Of
convolutions and residual blocks only the mean is known (`mean_ratios`), and the spread is measured.
"""

from heinit_sim.activations import make_activation
from heinit_sim.checks.identities import identity_findings, tie_findings
from heinit_sim.checks.layer_ratios import LayerRatios, chi_square_scores, iter_layer_ratios
from heinit_sim.checks.mean_ratios import MeanRatios, iter_mean_ratios, t_scores
from heinit_sim.checks.naming import finding_name
from heinit_sim.checks.scores import Scores
from heinit_sim.experiment.quantities import INPUT_0
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory import assumptions


def check(result: SweepResult, alpha: float = 1e-3) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers and the identities.

    Args:
        result: A simulated sweep.
        alpha: Family-wise level: the probability that a correct simulation shows any alarm, over
            all conditions, quantities and layers together (Bonferroni).

    Returns:
        One finding per condition and law, with what was measured over what theory says, and one
        per condition and identity.
    """
    findings = check_laws(result, alpha)
    for condition_result in result.conditions:
        findings += identity_findings(condition_result)
    return [*findings, *tie_findings(result)]


def check_laws(result: SweepResult, alpha: float) -> list[Finding]:
    """Hold the networks of every condition against the laws of single layers alone."""
    scored = [_scores_by_name(condition) for condition in result.conditions]
    n_tests = sum(map(len, scored))
    findings = [
        _finding(name, scores, alpha / n_tests)
        for by_name in scored
        for name, scores in by_name.items()
    ]
    for condition_result, by_name in zip(result.conditions, scored, strict=True):
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
        finding_name(
            condition, ratios.quantity + " of the batch" * (ratios.statistic != INPUT_0)
        ): scores
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


def _untested(condition: Condition) -> Finding:
    reason = "no law of single layers is known that these networks could be held against"
    if assumptions.has_layer_laws(condition):
        reason = "too few networks of so few channels for a test; give more trials"
    return Finding(finding_name(condition, "not tested"), True, reason, tested=False)
