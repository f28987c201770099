import itertools
import re

import numpy as np
import pytest

from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.axis_scales import decade_scale, layer_scale
from heinit_sim.figures.draw import draw
from heinit_sim.figures.panels import SIDES, Panel, lay_out, saving
from tests.figures.helpers import panels, sweep_result, walks
from tests.rows import slow_but


def decade(label: str) -> float:
    """log10 of the number that a tick label shows."""
    if "^" not in label:
        return float(np.log10(float(label)))
    found = re.fullmatch(r"\$(?:([\d.]+)\\times)?10\^\{(-?\d+)\}\$", label)
    assert found is not None, label
    return float(np.log10(float(found[1] or 1))) + int(found[2])


@pytest.mark.parametrize(
    "decades",
    [
        (-7000.0, 7000.0),
        (-100.0, 100.0),
        (-143.2, 187.9),
        (-3.0, 4.5),
        (-1.3, 1.2),
        (-1.2, 1.25),
        (0.2, 1.3),
        (-0.4, 0.5),
        (-0.15, 0.15),
        (-0.02, 0.01),
        (-5000.4, -5000.1),
        (6999.2, 7000.4),
        (-30000.0, 5.0),
    ],
)
def test_ticks_are_few_unique_and_say_where_they_stand(decades: tuple[float, float]) -> None:
    result = sweep_result([walks(0.0, 5, seed=0)], figure=FigureConfig(decades=decades))
    for ax in panels(draw(result)):
        places = ax.get_yticks()
        texts = [text.get_text() for text in ax.get_yticklabels()]
        assert 2 <= len(texts) <= 10
        assert len(set(texts)) == len(texts)
        np.testing.assert_allclose([decade(text) for text in texts], places, rtol=0, atol=1e-9)
        assert places.min() >= decades[0]
        assert places.max() <= decades[1]
        if decades[1] - decades[0] >= 2.5:
            assert all(re.fullmatch(r"\$10\^\{-?\d+\}\$", text) for text in texts)


NAMES = ["a", "a label as long as any that fits (all zero)"]
DEPTHS = [2, 50, 200, 3000, 6000, 100_000]


@pytest.mark.parametrize(
    ("depth", "name"),
    slow_but(itertools.product(DEPTHS, NAMES), *zip(DEPTHS, itertools.cycle(NAMES), strict=False)),
)
def test_layer_ticks_leave_room_between_their_labels(depth: int, name: str) -> None:
    y = decade_scale((-300.0, 300.0))
    with saving():
        figure = lay_out({of: Panel(layer_scale(depth, of), "x", y, "y") for of in SIDES}, [name])
        figure.draw_without_rendering()
    space = figure.dpi / 72 * 13 / 4  # that of a font of 13 points
    for ax in panels(figure):
        boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert len(boxes) >= 2
        assert all(left.x1 + space < right.x0 for left, right in itertools.pairwise(boxes))
