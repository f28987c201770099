"""How far networks spread, layer by layer: Var ln of both passes. Never prints, never saves."""

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass, Statistic
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axis_scales import fitted_limits, layer_scale, plain_scale
from heinit_sim.figures.curves import MAX_LAYERS, QUANTITIES, SYMBOLS, WORDS, labels_of
from heinit_sim.figures.lines import Line, Paint, paints
from heinit_sim.figures.panels import ERRORS, Panel, draw_panes, write_caption
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.theory.predictions import predicted_variance_of_ln

LEAST = 0.01  # the shortest axis


def draw_log_spreads(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the variance over networks of ln of a statistic of h_k and ∂ℓ/∂h_k against the layer.

    Theory is that of the second moment for one input; of a prediction it is all there is.

    Source: Hanin & Rolnick 2018: it grows with the sum of 1/width.
    """
    config = result.config
    depth = max(condition.depth for condition in config.conditions)
    colors = paints(len(result.conditions))
    labels = labels_of([one.condition for one in result.conditions])
    lines, panels = {}, {}
    for direction in QUANTITIES:
        lines[direction] = [
            _line(one, label, paint, direction, config.figure.quantity)
            for one, label, paint in zip(result.conditions, labels, colors, strict=True)
        ]
        drawn = [values for line in lines[direction] for values in line.drawn]
        y = plain_scale(fitted_limits([np.zeros(1), *drawn], LEAST))
        y_label = f"Var [ ln {WORDS[config.figure.quantity].lower()} of {SYMBOLS[direction]} ]"
        panels[direction] = Panel(layer_scale(depth, direction), y, "Layer, $k$", y_label)
    figure = draw_panes(panels, lines)
    write_caption(figure, _caption(result, lines["forward"]))
    return figure


def _line(one: Prediction, label: str, paint: Paint, direction: Pass, shown: str) -> Line:
    condition = one.condition
    factor = 0.25 if shown == "std" else 1.0  # ln of a root is half of ln
    theory = factor * predicted_variance_of_ln(one, direction)
    middle, error = theory, np.full_like(theory, np.nan)
    if isinstance(one, ConditionResult):
        statistic: Statistic = "second_moment" if shown == "second_moment" else "variance"
        log10 = one.networks[QUANTITIES[direction], statistic]
        middle, error = (factor * values for values in variance_of_ln(log10))
    if not np.isfinite(middle).any():  # dead networks have no ln, curved activations no theory
        label += " (undefined)" if isinstance(one, ConditionResult) else " (unknown)"
    low, high = middle - ERRORS * error, middle + ERRORS * error
    at = np.linspace(0, condition.depth, min(condition.depth, MAX_LAYERS) + 1).round().astype(int)
    seen = (middle[at], low[at], high[at], theory[at])
    return Line(condition.index, label, paint, at.astype(float), *seen)


def _caption(result: SweepResult | SweepPrediction, lines: list[Line]) -> str:
    theory = "theory of the second moment, one input (exact, or of sampled networks)."
    if isinstance(result, SweepPrediction):
        return f"Thick: {theory}"
    known = any(np.isfinite(line.theory).any() for line in lines)
    thin = f" Thin: {theory}" if known else ""
    return f"Thick: over {result.config.trials} networks; band: ± {ERRORS} standard errors.{thin}"
