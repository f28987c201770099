"""Singular values of the end-to-end Jacobian, in order and as a density. Never prints or saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.records import Output
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import (
    decade_scale,
    fitted_limits,
    plain_scale,
    with_most_ticks,
)
from heinit_sim.figures.axes.key import spectrum_key
from heinit_sim.figures.axes.lines import Line
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.figures.words.shown import groups_of_hues, named_outcomes, names_of
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import spread

TITLES: dict[Pass, str] = {
    "forward": r"Singular values of $\partial f_K/\partial x$",
    "backward": "Their density",
}
VALUES: Output = "log10_singular_values"
BINS = 60  # from one end of the axis to the other
CUT = 8  # times the lowest peak: what is taller is cut off, else the others would look flat


def draw_spectrum(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw all singular values against the share that is larger, and their density over log10 s.

    Networks are together in a density, and singular values of 0 part of what it is a share of. Of
    a prediction theory is all there is.

    Source: Pennington, Schoenholz & Ganguli 2017, figures 2 and 3.
    """
    forward = _in_order(result, sheet)
    seen = [z for line in forward for z in (line.middle, line.low, line.high)]
    limits = result.config.figure.decades or fitted_limits(seen)
    edges = np.linspace(*limits, BINS + 1)
    backward = [
        _density(outcome, line, edges)
        for outcome, line in zip(result.conditions, forward, strict=True)
    ]
    peaks = [float(np.fmax.reduce(line.middle, initial=0.0)) for line in backward]
    lowest = min((peak for peak in peaks if peak > 0), default=1.0)
    top = 1.05 * min(max(peaks, default=1.0) or 1.0, CUT * lowest)
    lines: dict[Pass, list[Line]] = {"forward": forward, "backward": backward}
    shares = partial(with_most_ticks, plain_scale, (0.0, 1.0))
    sizes = partial(with_most_ticks, decade_scale, limits)
    panels: dict[Pass, Panel] = {}
    for direction, title in titled(sheet, TITLES).items():
        if direction == "forward":
            y_axis = partial(decade_scale, limits)
            panel = Panel(shares, "Share that is larger", y_axis, "Singular value", title)
        else:
            y_axis = partial(plain_scale, (0.0, top))
            panel = Panel(sizes, "Singular value", y_axis, "Share in a decade", title)
        panels[direction] = panel
    return draw_panels(
        *(sheet, panels, lines),
        names=names_of(result),
        groups=groups_of_hues(result, sheet),
        key=spectrum_key(result, lines, cut=bool(max(peaks, default=0.0) > top)),
        one_pass=True,
    )


def _in_order(result: SweepResult | SweepPrediction, sheet: Sheet) -> list[Line]:
    """A line for each condition, whose ends hold the first value and the last."""
    lines = []
    for outcome, name, paint in named_outcomes(result, sheet):
        theory = outcome.theory_outputs[VALUES]
        n = len(theory)
        between = np.append((theory[1:] + theory[:-1]) / 2, np.nan)
        predicted = np.concatenate([theory[:1], between, [np.nan]])
        middle = low = high = predicted
        if isinstance(outcome, ConditionResult):
            seen = spread(outcome.outputs[VALUES])
            middle, low, high = (np.pad(z, 1, "edge") for z in (seen.median, seen.p05, seen.p95))
            low = np.where(np.isneginf(low), np.nan, low)  # no band down to the axis
        x = np.concatenate([[0.0], (np.arange(n) + 0.5) / n, [1.0]])
        unknown = " (undefined)" if isinstance(outcome, ConditionResult) else " (unknown)"
        remark = unknown * (not np.isfinite(middle).any())
        texts = name.full + remark, name.short + remark
        lines.append(Line(outcome.condition.index, *texts, paint, x, middle, low, high, predicted))
    return lines


def _density(outcome: Prediction, line: Line, edges: FloatArray) -> Line:
    """The density of what a line shows, as the share of all in a decade."""
    x, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    theory = outcome.theory_outputs[VALUES]
    known = np.isfinite(theory)
    above = np.full(len(edges), np.nan)
    if known.any():
        shares = (np.arange(len(theory)) / len(theory))[known]
        above = np.interp(edges, theory[known][::-1], shares[::-1])
    predicted = seen = -np.diff(above) / width
    if isinstance(outcome, ConditionResult):
        values = outcome.outputs[VALUES]
        seen = np.histogram(values[np.isfinite(values)], edges)[0] / values.size / width
    nothing = np.full(len(x), np.nan)
    name = line.index, line.label, line.short, line.paint
    return Line(*name, x, seen, nothing, nothing, predicted)
