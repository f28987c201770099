"""Whether what a config expects came out."""

import functools
import math
from dataclasses import replace

from heinit_sim.checks.verdict import Trend, trend
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import Finding, SweepResult
from heinit_sim.experiment.sweep_config import Expectation

_PASSES: tuple[Pass, ...] = ("forward", "backward")


def check_expectations(result: SweepResult) -> list[Finding]:
    """One finding per expectation, condition it is about, and thing it says.

    Args:
        result: What was measured; its config says what was expected.
    """

    @functools.cache  # several expectations may be about one condition
    def trends(index: int) -> dict[Pass, Trend]:
        return {direction: trend(result.conditions[index], direction) for direction in _PASSES}

    findings = []
    for n, expectation in enumerate(result.config.expect):
        for index in expectation.conditions:
            label = result.config.conditions[index].label
            about = f"expect[{n}], {label}" if label else f"expect[{n}]"
            found = _findings(expectation, trends(index), about)
            findings += [replace(finding, line=expectation.line) for finding in found]
    return findings


def require_stable(result: SweepResult) -> list[Finding]:
    """One finding per condition and pass: whether its signal is stable, whatever is expected."""
    findings = []
    for outcome in result.conditions:
        label = outcome.condition.label
        about = f"require stable, {label}" if label else "require stable"
        for direction in _PASSES:
            measured = trend(outcome, direction)
            reason = f"{direction} is {measured.word} ({measured.reason})"
            findings.append(Finding(f"{about}: {direction}", measured.word == "stable", reason))
    return findings


def unstable(result: SweepResult) -> str:
    """Say what of a result is not stable, in one line; empty if all is."""
    names = [
        f"{outcome.condition.label}: {direction}".removeprefix(": ")
        for outcome in result.conditions
        for direction in _PASSES
        if trend(outcome, direction).word != "stable"
    ]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _findings(expectation: Expectation, trends: dict[Pass, Trend], about: str) -> list[Finding]:
    findings = []
    for direction, word in zip(_PASSES, (expectation.forward, expectation.backward), strict=True):
        if word is not None:
            measured = trends[direction]
            reason = f"{direction} is {measured.word} ({measured.reason}), expected {word}"
            findings.append(Finding(f"{about}: {direction}", measured.word == word, reason))
    if expectation.max_decades_per_layer is not None:
        limit = expectation.max_decades_per_layer
        # NaN, with one hidden layer, comes out largest and holds nothing
        size, direction = max((_size(trend), direction) for direction, trend in trends.items())
        slope = trends[direction].decades_per_layer
        largest = f"the largest slope is {slope:+.4g} decades per layer ({direction})"
        if math.isnan(slope):
            largest = f"{direction}: {trends[direction].reason}"
        reason = f"{largest}, expected at most {limit}"
        findings.append(Finding(f"{about}: max_decades_per_layer", size <= limit, reason))
    return findings


def _size(trend: Trend) -> float:
    slope = trend.decades_per_layer
    return math.inf if math.isnan(slope) else abs(slope)
