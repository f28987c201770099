"""Whether what a config expects came out."""

import functools
import math
from dataclasses import replace

from heinit_sim.checks.verdict import Trend, trend
from heinit_sim.checks.width_slopes import WidthSlopes, width_slopes
from heinit_sim.experiment.labels import swept_text
from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import Finding, SweepResult
from heinit_sim.experiment.sweep_config import Expectation, WidthSlope

_PASSES: tuple[Pass, ...] = ("forward", "backward")


def check_expectations(result: SweepResult) -> list[Finding]:
    """One finding per expectation, condition it is about, and thing it says.

    Of a slope over width one for all conditions that differ in nothing but their width.

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
        if wanted := expectation.width_slope:
            for measured in width_slopes(result, [wanted.quantity], expectation.conditions):
                finding = _width_finding(wanted, measured, f"expect[{n}]")
                findings.append(replace(finding, line=expectation.line))
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


def _width_finding(wanted: WidthSlope, measured: WidthSlopes, about: str) -> Finding:
    """Whether a size is the same at any width, as far as it is known."""
    others = (f"{path} = {swept_text(path, value)}" for path, value in measured.others.items())
    name = f"{', '.join([about, *others])}: width_slope"
    layers = [k for k in wanted.layers or measured.layers if k in measured.layers]
    held, worst, reason = True, -1.0, f"{measured.quantity} has no layer of those that are named"
    for k in layers:
        slope = float(measured.slopes[measured.layers.index(k)])
        error = float(measured.errors[measured.layers.index(k)])
        is_held = abs(slope) <= wanted.within and 2 * error <= wanted.within
        excess = math.inf if math.isnan(slope) else max(abs(slope), 2 * error)
        held &= is_held
        if excess > worst:
            worst, reason = excess, f"{measured.quantity} of layer {k}: "
            if math.isnan(slope):
                reason += "no slope, for a network without a finite size"
            else:
                reason += f"slope {slope:+.3f} ± {error:.3f} per doubling of width"
                if abs(slope) <= wanted.within < 2 * error:
                    reason += ", not known well enough; give more trials"
    expected = f"expected within ±{wanted.within:g}, 2 standard errors too"
    return Finding(name, held and bool(layers), f"{reason}, {expected}")


def _size(trend: Trend) -> float:
    slope = trend.decades_per_layer
    return math.inf if math.isnan(slope) else abs(slope)
