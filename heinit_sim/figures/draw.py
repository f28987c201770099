"""A result as a matplotlib figure of the kind its config asks for. Never prints, never saves."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.experiment.sweep_config import FigureKind
from heinit_sim.figures.kinds.cosine import draw_cosines
from heinit_sim.figures.kinds.end import draw_ends
from heinit_sim.figures.kinds.layers import draw_layers
from heinit_sim.figures.kinds.ridges import draw_ridges
from heinit_sim.figures.kinds.slopes import draw_slopes
from heinit_sim.figures.kinds.spread import draw_log_spreads
from heinit_sim.figures.panels import saving

_DRAW: Mapping[FigureKind, Callable[[SweepResult | SweepPrediction], Figure]] = {
    "layers": draw_layers,
    "end": draw_ends,
    "slopes": draw_slopes,
    "spread": draw_log_spreads,
    "cosine": draw_cosines,
}


def draw(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the two-panel figure, one panel per pass.

    Args:
        result: The sweep, or what is predicted of it; `result.config.figure` says which kind of
            figure, statistic, range and overlay. Ridges are of what was counted: of a prediction
            the layers are drawn.

    Returns:
        The figure; save it `with frames.saving():`.
    """
    kind = result.config.figure.kind
    with saving():
        if kind == "ridges":
            return (
                draw_layers(result) if isinstance(result, SweepPrediction) else draw_ridges(result)
            )
        return _DRAW[kind](result)
