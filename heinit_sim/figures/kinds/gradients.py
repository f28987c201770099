"""Gradients by the weights: of one input, and of the batch's mean. Never prints or saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Measure, Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.axes.key import gradients_key
from heinit_sim.figures.axes.layer_axis import LAYERS, layer_axis, layer_lines
from heinit_sim.figures.axes.lines import drawn_values
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.figures.tip_names import first_panel_alone
from heinit_sim.figures.words.shown import groups_of_hues, names_of
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import spread

SHOWN: dict[Pass, tuple[Measure, str, str]] = {
    "forward": (
        ("grad_weight", "second_moment"),
        r"Second moment of $\partial\ell/\partial\Omega_k$",
        "Gradients of inputs",
    ),
    "backward": (
        ("grad_weight_batch", "second_moment"),
        r"Second moment of $\partial\bar\ell/\partial\Omega_k$",
        "Gradient of the batch",
    ),
}
"""The measure of a panel, what its axis says, and its title."""


def draw_gradients(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw the mean squares of ∂ℓ/∂Ω_k by input and of the batch's mean, k = 0 … K.

    Both panels have the same axis. Of a prediction theory is all there is.
    """
    lines = layer_lines(result, _values, sheet)
    both = [*lines["forward"], *lines["backward"]]
    limits = result.config.figure.decades or fitted_limits(drawn_values(both))
    panels = {}
    for direction, title in titled(sheet, {d: title for d, (*_, title) in SHOWN.items()}).items():
        scale, y_label = partial(decade_scale, limits), SHOWN[direction][1]
        panels[direction] = Panel(layer_axis(result, direction), LAYERS, scale, y_label, title)
    return draw_panels(
        *(sheet, panels, lines),
        names=names_of(result),
        groups=groups_of_hues(result, sheet),
        key=gradients_key(result, lines),
        tip_of=first_panel_alone,
        placings=("between", "below") if len(panels) > 1 else ("beside", "below"),
    )


def _values(outcome: Prediction, direction: Pass) -> FloatArray:
    """Median, 5 % and 95 % over networks, and the mean that theory predicts, (4, K+1)."""
    measure = SHOWN[direction][0]
    theory = outcome.theory[measure]
    if not isinstance(outcome, ConditionResult):
        return np.stack([theory] * 4)
    seen = spread(outcome.networks[measure])
    return np.stack([seen.median, seen.p05, seen.p95, theory])
