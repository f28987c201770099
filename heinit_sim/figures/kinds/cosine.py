"""How alike two inputs become, layer by layer: cosines of h_k and f_k. Never prints or saves."""

import numpy as np
from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass, Quantity
from heinit_sim.experiment.results import ConditionResult, Prediction, SweepPrediction, SweepResult
from heinit_sim.figures.axis_scales import fitted_limits, layer_scale, plain_scale
from heinit_sim.figures.curves import MAX_LAYERS, labels_of
from heinit_sim.figures.lines import Line, Paint, paints
from heinit_sim.figures.panels import Panel, draw_panes, gaps, write_caption
from heinit_sim.simulation import cosine_spread

QUANTITIES: dict[Pass, Quantity] = {"forward": "activation", "backward": "preactivation"}
TITLES = {"forward": "a)  Activations", "backward": "b)  Pre-activations"}
SYMBOLS = {"forward": "$h_k$", "backward": "$f_k$"}
LEAST = 0.01  # the shortest axis


def draw_cosines(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the mean cosine between inputs of h_k, k = 0 … K, and of f_k, k = 0 … K−1.

    The output f_K is left out: it may be a single number. Of a prediction theory is all there is.

    Source: Poole et al. 2016, figure 2: it goes to 1 in the ordered phase, to less in the chaotic.
    """
    config = result.config
    depth = max(condition.depth for condition in config.conditions)
    colors = paints(len(result.conditions))
    labels = labels_of([one.condition for one in result.conditions])
    lines = {
        direction: [
            _line(one, label, paint, direction)
            for one, label, paint in zip(result.conditions, labels, colors, strict=True)
        ]
        for direction in QUANTITIES
    }
    drawn = [values for direction in lines for line in lines[direction] for values in line.drawn]
    y = plain_scale(fitted_limits([np.array([0.0, 1.0]), *drawn], LEAST))
    panels = {
        direction: Panel(
            layer_scale(depth, direction),
            y,
            "Layer, $k$",
            f"Cosine of {SYMBOLS[direction]} between inputs",
            TITLES[direction],
        )
        for direction in QUANTITIES
    }
    figure = draw_panes(panels, lines)
    write_caption(figure, _caption(result, lines))
    return figure


def _line(one: Prediction, label: str, paint: Paint, direction: Pass) -> Line:
    condition, quantity = one.condition, QUANTITIES[direction]
    theory = one.theory_cosines[quantity]
    middle, low, high = theory, theory, theory
    if isinstance(one, ConditionResult):
        seen = cosine_spread(one, quantity)
        middle, low, high = seen.median, seen.p05, seen.p95
    last = condition.depth if quantity == "activation" else condition.depth - 1
    at = np.linspace(0, last, min(last, MAX_LAYERS) + 1).round().astype(int)
    if not np.isfinite(middle[at]).any():
        label += " (undefined)" if isinstance(one, ConditionResult) else " (unknown)"
    shown = (middle[at], low[at], high[at], theory[at])
    return Line(condition.index, label, paint, at.astype(float), *shown)


def _caption(result: SweepResult | SweepPrediction, lines: dict[Pass, list[Line]]) -> str:
    if isinstance(result, SweepPrediction):
        return "Thick: theory (infinite width)."
    n = result.config.trials
    thick = f"median of {n} networks; band: 5–95 %" if n > 1 else "one network"
    both = [*lines["forward"], *lines["backward"]]
    known = any(np.isfinite(line.theory).any() for line in both)
    thin = " Thin: theory (infinite width)." if known else ""
    return f"Thick: {thick}.{thin}{gaps(lines)}"
