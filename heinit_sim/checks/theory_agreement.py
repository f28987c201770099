"""Whether what was measured is what theory predicts, at a false-alarm rate that is what it says.

Identities come first (`identities`). The mean of a deep layer, which rare networks carry, tells
nothing: what single layers do is tested, whose law is known exactly (`layer_ratios`) or has a bound
(`layer_bounds`), pooled over layers and networks, and layer by layer. Of convolutions,
blocks and weights that are not normal only the mean is known (`mean_ratios`).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from heinit_sim.activations import network_activation
from heinit_sim.checks.identities import identity_findings
from heinit_sim.checks.layer_bounds import Law, iter_laws, rank_scores
from heinit_sim.checks.layer_ratios import LayerRatios, chi_square_scores, iter_layer_ratios
from heinit_sim.checks.loss_laws import iter_loss_laws
from heinit_sim.checks.mean_ratios import MeanRatios, iter_mean_ratios, t_scores
from heinit_sim.checks.naming import finding_name
from heinit_sim.checks.scores import Scores
from heinit_sim.checks.shared_draws import tie_findings
from heinit_sim.experiment.quantities import (
    BATCH_MEASURES,
    BETWEEN_INPUTS,
    INPUT_0,
    PASS_OF,
    STATISTICS,
    Measure,
)
from heinit_sim.experiment.records import Records
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory import assumptions

# The pooled test of σ² layer by layer has as much of the level as so many others.
_WEIGHTS_SHARE = 8.0


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
    laws = [(one.condition, law) for one in result.conditions for law in _laws(one)]
    shares = [_WEIGHTS_SHARE if law.name == "weights" else 1.0 for _, law in laws]
    total = sum(shares)
    findings = [
        _finding(finding_name(condition, law.name), law.scores, alpha * share / total)
        for (condition, law), share in zip(laws, shares, strict=True)
    ]
    lawful = {one.condition.index: _known_by_identity(one.condition) for one in result.conditions}
    for condition, law in laws:
        if law.measure is None:
            continue
        lawful[condition.index].add(law.measure)
        if condition.n_inputs == 1 and law.measure[1] == INPUT_0:
            lawful[condition.index].add((law.measure[0], "second_moment"))
    return [*findings, *_without_law(result.config.record, list(lawful.values()))]


def _known_by_identity(condition: Condition) -> set[Measure]:
    """Measures that identities fix in every network, layer by layer."""
    known: set[Measure] = set()
    if condition.n_inputs == 1:
        known |= {(quantity, BETWEEN_INPUTS) for quantity in PASS_OF}  # 0
    if len(assumptions.layers_of_outer_products(condition)) == condition.depth + 1:
        known.add(("grad_weight", INPUT_0))
        if condition.n_inputs <= 2:
            known.add(("grad_weight", "second_moment"))
        if condition.n_inputs == 1:
            known.update(BATCH_MEASURES)
    return known


def _without_law(record: Records, lawful: Sequence[set[Measure]]) -> Iterator[Finding]:
    """Name the columns of `layers.csv` that no law was held against, in some condition or all."""
    parts = []
    for statistic in STATISTICS:
        measures = [measure for measure in record.measures if measure[1] == statistic]
        missing = [m[0] for m in measures if any(m not in known for known in lawful)]
        if missing:
            parts.append(f"{statistic} of {', '.join(missing)}")
    if parts:
        reason = f"held by inequalities alone, for want of a law or of networks: {'; '.join(parts)}"
        yield Finding("theory: not tested", True, reason, tested=False)


def _laws(result: ConditionResult) -> list[Law]:
    """The laws of a condition: those of the loss alone if weights know the inputs or are fixed."""
    condition = result.condition
    with np.errstate(all="ignore"):  # numbers beyond reason
        laws = list(iter_loss_laws(result))
    if condition.lsuv or not assumptions.has_centred_weights(condition):
        return [law for law in laws if None in law.scores]
    activation = network_activation(condition)
    if not assumptions.has_layer_laws(condition):
        lost = assumptions.may_leave_float_range(condition)
        means = iter_mean_ratios(result, may_be_lost=lost)
        laws += [Law(_batch(ratios), _measure(ratios), t_scores(ratios)) for ratios in means]
    else:
        slope = assumptions.homogeneous_slope(condition)
        listed = list(iter_layer_ratios(result, activation, slope))
        spreads = [ratios for ratios in listed if ratios.freedom is not None]
        laws += [Law(_batch(one), _measure(one), chi_square_scores(one)) for one in listed]
        laws += [Law(f"{r.quantity}, spread", _measure(r), rank_scores(r)) for r in spreads]
        if len(spreads) == 2:
            scores = chi_square_scores(_of_weights(*spreads))
            laws.append(Law("weights", _measure(spreads[0]), scores))
        with np.errstate(all="ignore"):  # dead networks, and numbers beyond reason
            laws += iter_laws(result, activation)
    return [law for law in laws if None in law.scores]


def _measure(ratios: MeanRatios | LayerRatios) -> Measure:
    return ratios.quantity, ratios.statistic


def _batch(ratios: MeanRatios | LayerRatios) -> str:
    return ratios.quantity + " of the batch" * (ratios.statistic != INPUT_0)


def _of_weights(forward: LayerRatios, backward: LayerRatios) -> LayerRatios:
    """The ratios ‖f_k‖² and ‖∂ℓ/∂h_k‖², which σ²_k alone is behind, as if of twice the networks."""
    parts = [
        np.concatenate([np.broadcast_to(one, ratios.ratio.shape) for one, ratios in pairs])
        for pairs in (
            [(getattr(ratios, field), ratios) for ratios in (forward, backward)]
            for field in ("ratio", "mean", "variance", "third")
        )
    ]
    return LayerRatios("grad_weight", INPUT_0, forward.layers, *parts)


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
