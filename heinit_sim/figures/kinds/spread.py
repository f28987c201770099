"""How far networks spread, layer by layer: Var ln of both passes. Never prints, never saves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass, Statistic
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits, plain_scale
from heinit_sim.figures.axes.curves import QUANTITIES, SYMBOLS, WORDS
from heinit_sim.figures.axes.key import ERRORS, spread_key
from heinit_sim.figures.axes.layer_axis import LAYERS, layer_axis, layer_lines
from heinit_sim.figures.axes.lines import Line, drawn_values
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.figures.words.shown import groups_of_hues, names_of
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.theory import predicted_variance_of_ln

LEAST = 0.01  # the shortest axis
FAR = 100.0  # factor between two lines from which on their axis is logarithmic
ALIKE = 0.01  # of the range of lines: what lies closer is one line


def draw_spread(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw the variance over networks of ln of a statistic of h_k and ∂ℓ/∂h_k against the layer.

    Theory is that of the second moment for one input, beside that statistic alone; of a prediction
    it is all there is. Lines that lie on each other have one name; where they end decades apart the
    axis is logarithmic.

    Source: Hanin & Rolnick 2018: it grows with the sum of 1/width.
    """
    quantity = result.config.figure.quantity
    lines = layer_lines(result, partial(_spread_values, quantity), sheet)
    by_decades = _end_decades_apart(lines)
    if by_decades:
        lines = {direction: list(map(_log10, of_pass)) for direction, of_pass in lines.items()}
    panels = {}
    for direction, title in titled(sheet).items():
        drawn = lines[direction]
        if by_decades:  # how far down a band goes is not shown
            limits = fitted_limits([v for z in drawn for v in (z.middle, z.high, z.theory)])
        else:
            limits = fitted_limits([np.zeros(1), *drawn_values(drawn)], LEAST)
        y_label = f"Var [ ln {WORDS[quantity].lower()} of {SYMBOLS[direction]} ]"
        x_axis = layer_axis(result, direction)
        y_axis = partial(decade_scale if by_decades else plain_scale, limits)
        panels[direction] = Panel(x_axis, LAYERS, y_axis, y_label, title)
    names = names_of(result)
    return draw_panels(
        *(sheet, panels, _named_once(lines, names.heading)),
        names=names,
        groups=groups_of_hues(result, sheet),
        key=spread_key(result, lines),
    )


def _end_decades_apart(lines: Mapping[Pass, Sequence[Line]]) -> bool:
    """Whether in any pass the largest values of two lines differ by a factor of `FAR` or more."""
    for of_pass in lines.values():
        largest = [line.middle[line.middle > 0].max(initial=0.0) for line in of_pass]
        known = [value for value in largest if value > 0]
        if known and max(known) >= FAR * min(known):
            return True
    return False


def _log10(line: Line) -> Line:
    """The line on a logarithmic axis, with gaps where it is 0; a band may begin below the axis."""
    values = np.array([line.middle, line.low, line.high, line.theory])
    with np.errstate(divide="ignore"):
        middle, low, high, theory = np.log10(np.where(values < 0.0, 0.0, values))
    middle, high, theory = (np.where(np.isneginf(z), np.nan, z) for z in (middle, high, theory))
    return replace(line, middle=middle, low=low, high=high, theory=theory)


def _named_once(lines: Mapping[Pass, Sequence[Line]], heading: str) -> dict[Pass, list[Line]]:
    """Return the lines under fewer names, if all of them lie on each other in both panels.

    The scale law makes one line of all variances of the weights.
    """
    drawn = {direction: list(of_pass) for direction, of_pass in lines.items()}
    for of_pass in drawn.values():
        if len({line.middle.shape for line in of_pass}) > 1:
            return drawn
        middles = np.array([line.middle for line in of_pass])
        height = np.ptp(middles[np.isfinite(middles)]) if np.isfinite(middles).any() else 0.0
        if len(of_pass) < 2 or not (np.ptp(middles, axis=0) <= ALIKE * height).all():
            return drawn
    for direction, of_pass in drawn.items():
        first, last = of_pass[0], of_pass[-1]
        short = f"{first.short} … {last.short}"
        full = f"{heading} = {short}" if heading else f"{first.label} … {last.label}"
        unnamed = [replace(line, label="", short="") for line in of_pass[:-1]]
        drawn[direction] = [*unnamed, replace(last, label=full, short=short)]  # drawn on top
    return drawn


def _spread_values(shown: str, outcome: Prediction, direction: Pass) -> FloatArray:
    factor = 0.25 if shown == "std" else 1.0  # ln of a root is half of ln
    theory = factor * predicted_variance_of_ln(outcome, direction)
    if shown != "second_moment" and isinstance(outcome, ConditionResult):
        theory = np.full_like(theory, np.nan)  # which is of another statistic
    if not isinstance(outcome, ConditionResult):
        unknown = np.full_like(theory, np.nan)
        return np.stack([theory, unknown, unknown, theory])
    statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
    log10 = outcome.networks[QUANTITIES[direction], statistic]
    variance, error = (factor * values for values in variance_of_ln(log10))
    return np.stack([variance, variance - ERRORS * error, variance + ERRORS * error, theory])
