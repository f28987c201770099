import re

import numpy as np
import pytest

from heinit_sim.experiment.quantities import Pass
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.axes.axis_scales import layer_scale
from heinit_sim.figures.draw import draw
from heinit_sim.figures.look.sheet import saving
from heinit_sim.figures.words.text_size import text_width
from tests.figures.helpers import panels, sweep_result, walks


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


@pytest.mark.parametrize("depth", [1, 2, 9, 29, 31, 50, 200, 3000, 6000, 100_000])
@pytest.mark.parametrize("room", [3.0, 8.0, 20.0, 60.0])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_layer_ticks_stand_apart_and_the_last_layer_has_one(
    depth: int, room: float, direction: Pass
) -> None:
    with saving():
        scale = layer_scale(depth, direction, room)
        widths = [text_width(label) for label in scale.labels]
    assert scale.ticks[-1] == depth
    assert scale.labels[-1] == f"{depth:,}"
    places = np.array(scale.ticks) * room / (scale.limits[1] - scale.limits[0])
    spaces = np.diff(places) - (np.array(widths[:-1]) + widths[1:]) / 2
    assert (spaces >= 0.35 - 1e-12).all()
    assert len(scale.ticks) > 1 or room < 2 * max(widths) + 1
