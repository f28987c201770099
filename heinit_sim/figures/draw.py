"""A result as a matplotlib figure of the kind its config asks for. Never prints, never saves."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure

from heinit_sim.config import with_figure
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.kinds.cosine import draw_cosine
from heinit_sim.figures.kinds.end import draw_end
from heinit_sim.figures.kinds.gradients import draw_gradients
from heinit_sim.figures.kinds.layers import draw_layers
from heinit_sim.figures.kinds.ridges import draw_ridges
from heinit_sim.figures.kinds.slopes import draw_slopes
from heinit_sim.figures.kinds.spectrum import draw_spectrum
from heinit_sim.figures.kinds.spread import draw_spread
from heinit_sim.figures.kinds.units import draw_units
from heinit_sim.figures.kinds.update import draw_update
from heinit_sim.figures.look.check_look import check_look
from heinit_sim.figures.look.sheet import Sheet, drawing
from heinit_sim.figures.words.shown import selected

# Kinds that are not `of_predictions` take a `SweepResult`, all others a `SweepPrediction` too.
_DRAW: Mapping[str, Callable[[Any, Sheet], Figure]] = {
    "layers": draw_layers,
    "end": draw_end,
    "slopes": draw_slopes,
    "spread": draw_spread,
    "ridges": draw_ridges,
    "cosine": draw_cosine,
    "gradients": draw_gradients,
    "units": draw_units,
    "update": draw_update,
    "spectrum": draw_spectrum,
}


def draw(result: SweepResult | SweepPrediction, **options: object) -> Figure:
    """Draw the two-panel figure, one panel per pass.

    Args:
        result: The sweep, or what is predicted of it; `result.config.figure` says which kind of
            figure, statistic, range and overlay. Where a kind cannot show a prediction, the layers
            are drawn.
        options: Other keys of `figure` than those of the config, e.g. `theme="dark"`,
            `size=(3.3, 2)` or `only={"init.variance": [0.01, 0.02]}`; None takes one back.

    Returns:
        The figure. It is saved the same under any user's settings, and a notebook shows it.

    Raises:
        ConfigError: An option is wrong, or nothing that matplotlib can draw; every problem is one
            line.
    """
    if options:
        result = replace(result, config=with_figure(result.config, options, "draw"))
    check_look(result.config.figure)
    kind = result.config.figure.kind
    if isinstance(result, SweepPrediction) and not FIGURE_KINDS[kind].of_predictions:
        kind = "layers"
    result = selected(result)
    with drawing(result.config.figure) as sheet:
        return _DRAW[kind](result, sheet)
