"""All that a result is held against: what its config expects, and what theory says."""

from collections.abc import Sequence

from heinit_sim.checks.expectations import check_expectations
from heinit_sim.checks.theory_agreement import check
from heinit_sim.experiment.results import Finding, SweepResult


def check_all(result: SweepResult, alpha: float) -> list[Finding]:
    """All that is checked of a result: what its config expects, and what theory says.

    Args:
        result: A simulated sweep.
        alpha: Probability that a correct simulation disagrees with theory anywhere.
    """
    return check_expectations(result) + check(result, alpha)


def failed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings that did not hold."""
    return [finding for finding in findings if not finding.held]
