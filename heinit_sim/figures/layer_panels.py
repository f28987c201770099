"""Two panels of one pass, side by side against the layer. Never prints, never saves."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.axes.axis_scales import Scale
from heinit_sim.figures.axes.key import Key
from heinit_sim.figures.axes.layer_axis import LAYERS, layer_axis
from heinit_sim.figures.axes.lines import Line
from heinit_sim.figures.frame import titled
from heinit_sim.figures.layout import Panel
from heinit_sim.figures.look.sheet import Sheet
from heinit_sim.figures.panels import draw_panels
from heinit_sim.figures.words.shown import groups_of_hues, names_of


class Shown(NamedTuple):
    """The words of a panel, and its value axis."""

    title: str
    y_label: str
    scale: Callable[[int], Scale]  # of the most steps between ticks


def draw_layer_panels(
    result: SweepResult | SweepPrediction,
    sheet: Sheet,
    lines: Mapping[Pass, Sequence[Line]],
    shown: Mapping[Pass, Shown],
    key: Key,
) -> Figure:
    """Draw the lines of each panel against the layer, and name them once.

    Args:
        result: The sweep, or what is predicted of it.
        sheet: The size of the figure and the colours of its ground.
        lines: The lines of each panel, under the same labels.
        shown: The panels, the first as that of a forward pass.
        key: What says which style of line is which.
    """
    panels = {}
    titles = {direction: panel.title for direction, panel in shown.items()}
    for direction, title in titled(sheet, titles).items():
        _, y_label, scale = shown[direction]
        panels[direction] = Panel(layer_axis(result, direction), LAYERS, scale, y_label, title)
    return draw_panels(
        *(sheet, panels, lines),
        names=names_of(result),
        groups=groups_of_hues(result, sheet),
        key=key,
        one_pass=True,
    )
