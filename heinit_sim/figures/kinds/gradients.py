"""Gradients by the weights: of one input, and of the batch's mean. Never prints or saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Measure, Pass
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import decade_scale, fitted_limits
from heinit_sim.figures.axes.key import gradients_key
from heinit_sim.figures.axes.layer_axis import layer_lines
from heinit_sim.figures.axes.lines import drawn_values
from heinit_sim.figures.layer_panels import Shown, draw_layer_panels
from heinit_sim.figures.look.sheet import Sheet
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
    scale = partial(decade_scale, limits)
    shown = {d: Shown(title, y_label, scale) for d, (_, y_label, title) in SHOWN.items()}
    return draw_layer_panels(result, sheet, lines, shown, gradients_key(result, lines))


def _values(outcome: Prediction, direction: Pass) -> FloatArray:
    """Median, 5 % and 95 % over networks, and the mean that theory predicts, (4, K+1)."""
    measure = SHOWN[direction][0]
    theory = outcome.theory[measure]
    if not isinstance(outcome, ConditionResult):
        return np.stack([theory] * 4)
    seen = spread(outcome.networks[measure])
    return np.stack([seen.median, seen.p05, seen.p95, theory])
