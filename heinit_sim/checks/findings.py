"""All that a result is held against: what its config expects, and what theory says."""

from collections.abc import Sequence

from heinit_sim.checks.expectations import check_expectations, require_stable
from heinit_sim.checks.theory_agreement import check
from heinit_sim.experiment.results import Finding, SweepResult


def check_all(result: SweepResult, alpha: float, *, stable: bool = False) -> list[Finding]:
    """All that is checked of a result: what its config expects, and what theory says.

    Args:
        result: A simulated sweep.
        alpha: Probability that a correct simulation disagrees with theory anywhere.
        stable: Require that both passes of every condition are stable, too.
    """
    required = require_stable(result) if stable else []
    return check_expectations(result) + required + check(result, alpha)


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that did not hold."""
    return [finding for finding in findings if not finding.held]
