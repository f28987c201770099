"""How far networks spread, layer by layer: Var ln of both passes. Never prints, never saves."""

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass, Statistic
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axis_scales import fitted_limits, plain_scale
from heinit_sim.figures.curves import QUANTITIES, SYMBOLS, WORDS
from heinit_sim.figures.key import ERRORS, spread_key
from heinit_sim.figures.layer_axis import layer_axis, layer_lines
from heinit_sim.figures.lines import drawn_values
from heinit_sim.figures.panels import Panel, draw_panels, write_caption
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.theory import predicted_variance_of_ln

LEAST = 0.01  # the shortest axis


def draw_spread(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the variance over networks of ln of a statistic of h_k and ∂ℓ/∂h_k against the layer.

    Theory is that of the second moment for one input; of a prediction it is all there is.

    Source: Hanin & Rolnick 2018: it grows with the sum of 1/width.
    """
    quantity = result.config.figure.quantity
    lines = layer_lines(result, lambda outcome, pass_: _spread_values(outcome, pass_, quantity))
    panels = {}
    for direction in QUANTITIES:
        limits = fitted_limits([np.zeros(1), *drawn_values(lines[direction])], LEAST)
        y_label = f"Var [ ln {WORDS[quantity].lower()} of {SYMBOLS[direction]} ]"
        x_axis = layer_axis(result.config, direction)
        panels[direction] = Panel(*x_axis, plain_scale(limits), y_label)
    figure = draw_panels(panels, lines)
    write_caption(figure, spread_key(result, lines).sentence)
    return figure


def _spread_values(outcome: Prediction, direction: Pass, shown: str) -> FloatArray:
    factor = 0.25 if shown == "std" else 1.0  # ln of a root is half of ln
    theory = factor * predicted_variance_of_ln(outcome, direction)
    if not isinstance(outcome, ConditionResult):
        unknown = np.full_like(theory, np.nan)
        return np.stack([theory, unknown, unknown, theory])
    statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
    log10 = outcome.networks[QUANTITIES[direction], statistic]
    variance, error = (factor * values for values in variance_of_ln(log10))
    return np.stack([variance, variance - ERRORS * error, variance + ERRORS * error, theory])
