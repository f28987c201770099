"""How alike two inputs become, layer by layer: cosines of h_k and f_k. Never prints or saves."""

from functools import partial

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass, Quantity
from heinit_sim.experiment.results import Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import fitted_limits, plain_scale
from heinit_sim.figures.axes.key import cosine_key
from heinit_sim.figures.axes.layer_axis import layer_lines, ratio_values
from heinit_sim.figures.axes.lines import drawn_values
from heinit_sim.figures.layer_panels import Shown, draw_layer_panels
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.numerics import FloatArray

SHOWN: dict[Pass, tuple[Quantity, str, str]] = {
    "forward": ("activation", "$h_k$", "Activations"),
    "backward": ("preactivation", "$f_k$", "Pre-activations"),
}
"""The quantity of a panel, its symbol and its title."""
LEAST = 0.01  # the shortest axis


def draw_cosine(result: SweepResult | SweepPrediction, sheet: Sheet) -> Figure:
    """Draw the mean cosine between inputs of h_k, k = 0 … K, and of f_k, k = 0 … K−1.

    The output f_K is left out: it may be a single number. Of a prediction theory is all there is.

    Source: Poole et al. 2016, figure 2: it goes to 1 in the ordered phase, to less in the chaotic.
    """
    lines = layer_lines(result, _cosine_values, sheet)
    both = [*lines["forward"], *lines["backward"]]
    y = partial(plain_scale, fitted_limits([np.array([0.0, 1.0]), *drawn_values(both)], LEAST))
    shown = {
        direction: Shown(title, f"Cosine of {symbol} between inputs", y)
        for direction, (_, symbol, title) in SHOWN.items()
    }
    return draw_layer_panels(result, sheet, lines, shown, cosine_key(result, lines))


def _cosine_values(outcome: Prediction, direction: Pass) -> FloatArray:
    quantity = SHOWN[direction][0]
    layers = slice(outcome.condition.depth + (quantity == "activation"))  # without f_K
    return ratio_values(outcome, (quantity, "cosine"))[:, layers]
