"""Names of findings and of conditions."""

from heinit_sim.experiment.sweep_config import Condition


def finding_name(condition: Condition, what: str) -> str:
    """The name of what theory says of a condition, e.g. "theory, init.variance = 1: activation"."""
    return f"theory, {condition.label}: {what}" if condition.label else f"theory: {what}"


def subject(condition: Condition) -> str:
    """What a line about a condition begins with."""
    return condition.label or "the condition"
