"""Which networks are the same: those of common draws, and no other two."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from heinit_sim.activations import network_activation
from heinit_sim.checks.naming import finding_name
from heinit_sim.checks.relations import (
    Networks,
    Relation,
    allowed_decades,
    decades_apart,
    relation_finding,
)
from heinit_sim.experiment.quantities import PASS_OF
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory import assumptions
from heinit_sim.theory.finite_width import scale_law, unit_layers

# Networks are told apart by numbers that vary by more than this, in decades.
_VARIES = 1e-4
# Independent networks do not agree in all layers to this many decades.
_SAME = 1e-10


def tie_findings(result: SweepResult) -> Iterator[Finding]:
    """Hold conditions against each other: they share their draws, or have their own.

    Common draws make the same inputs, and the same networks but for the scale law, which turns the
    numbers of one condition into those of another. Each condition is held against the first one.
    """
    common = result.config.draws == "common"
    first: dict[object, tuple[ConditionResult, Networks]] = {}
    for one in result.conditions:
        condition, networks = one.condition, one.networks
        scaled = assumptions.obeys_scale_law(condition) and result.config.record.follows_scale_law
        if scaled:
            shifts = scale_law(condition.weight_variances, condition.loss)
            key = _without_scale(condition)
            numbers = {m: log10 - shifts[m[0]] for m, log10 in networks.items()}
        elif common:
            key = condition.widths[0], condition.n_inputs, condition.inputs
            numbers = {m: log10[:, :1] for m, log10 in networks.items() if m[0] == "activation"}
        else:
            continue
        other, others = first.setdefault(key, (one, numbers))
        if other is one:
            continue
        name = finding_name(condition, "scale law" if scaled else "inputs")
        beside = f"beside {other.condition.label or 'the first condition'}"
        if not common:
            one_f, other_f = (z["preactivation", "second_moment"] for z in (numbers, others))
            n_same = int(
                (decades_apart(one_f, other_f) < _SAME)[np.isfinite(one_f).all(1)].all(1).sum()
            )
            reason = f"{beside}: {n_same} of its networks are the same but for their scale"
            yield Finding(name, n_same == 0, reason)
            continue
        relations = [
            Relation(
                *m,
                range(z.shape[1]),
                decades_apart(z, others[m]),
                2
                * allowed_decades(
                    z, networks[m][:, : z.shape[1]], other.networks[m][:, : z.shape[1]]
                ),
            )
            for m, z in numbers.items()
        ]
        finding = relation_finding(name, relations)
        yield replace(finding, reason=f"{beside}: {finding.reason}")


def _without_scale(condition: Condition) -> tuple[object, ...]:
    """All that fixes the networks of a condition but for the variance of their weights."""
    return condition.n_inputs, condition.inputs, condition.loss, unit_layers(condition)


def distinct_findings(condition: Condition, networks: Networks) -> Iterator[Finding]:
    """No two networks show the same numbers, of those that are alive and vary beyond rounding.

    Orthogonal weights of single units are signs, which norms do not show, and what a saturated
    activation returns may be the same number twice.
    """
    specs = condition.every_spec
    if all(s.weight_variance == 0 or s.weight_distribution == "identity" for s in specs):
        return
    signs = all("orthogonal" in spec.weight_distribution for spec in specs)
    if signs and min(condition.widths[:-1]) == 1:
        return
    compared, copied = 0, []
    activation = network_activation(condition)
    for quantity in PASS_OF:
        if quantity == "activation" and activation.negative_slope is None:
            continue
        log10 = networks[quantity, "second_moment"]
        rows = log10[np.isfinite(log10).all(axis=1)]
        if len(rows) < 2:
            continue
        rows = rows[:, np.ptp(rows, axis=0) > _VARIES]
        if rows.shape[1] < 2:
            continue
        compared = max(compared, len(rows))
        _, counts = np.unique(np.round(rows, 10), axis=0, return_counts=True)
        if (counts > 1).any():
            copied.append(f"{quantity} of {int((counts - 1).sum())} networks is another's")
    if compared or copied:
        reason = "; ".join(copied) or f"no two of {compared} networks show the same numbers"
        yield Finding(finding_name(condition, "distinct networks"), not copied, reason)
