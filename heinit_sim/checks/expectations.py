"""Whether what a config expects came out."""

import functools
import math

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
            findings += _findings(expectation, trends(index), about)
    return findings


def _findings(expectation: Expectation, trends: dict[Pass, Trend], about: str) -> list[Finding]:
    findings = []
    for direction, word in zip(_PASSES, (expectation.forward, expectation.backward), strict=True):
        if word is not None:
            found = trends[direction]
            measured = f"{direction} is {found.word} ({_reason(found)})"
            reason = f"{measured}, expected {word}"
            findings.append(Finding(f"{about}: {direction}", found.word == word, reason))
    if expectation.max_decades_per_layer is not None:
        limit, slopes = expectation.max_decades_per_layer, trends.items()
        # NaN, with one hidden layer, comes out largest and holds nothing
        size, direction = max((_size(t.decades_per_layer), direction) for direction, t in slopes)
        slope = trends[direction].decades_per_layer
        measured = f"the largest slope is {_slope(slope, '+.4g')} ({direction})"
        reason = f"{measured}, expected at most {limit}"
        findings.append(Finding(f"{about}: max_decades_per_layer", size <= limit, reason))
    return findings


def _reason(found: Trend) -> str:
    nothing = math.isnan(found.decades_per_layer)
    return "no slope, for one hidden layer" if nothing else found.reason


def _size(slope: float) -> float:
    return math.inf if math.isnan(slope) else abs(slope)


def _slope(slope: float, form: str) -> str:
    if math.isnan(slope):
        return "no slope, for one hidden layer"
    return f"{slope:{form}} decades per layer"
