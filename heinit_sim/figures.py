"""A result as a matplotlib figure of the kind its config asks for. Never prints, never saves."""

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from heinit_sim.layers import draw_layers
from heinit_sim.records import FigureKind, SweepPrediction, SweepResult

_DRAW: Mapping[FigureKind, Callable[[SweepResult | SweepPrediction], Figure]] = {
    "layers": draw_layers,
}


def draw_forward_backward(result: SweepResult | SweepPrediction) -> Figure:
    """Draw the two-panel figure, one panel per pass.

    Args:
        result: The sweep, or what is predicted of it; `result.config.figure` says which kind of
            figure, statistic, range and overlay.

    Returns:
        The figure; save it `with frames.saving():`.
    """
    return _DRAW[result.config.figure.kind](result)
