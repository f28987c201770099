"""Both passes layer by layer: what is there after each, and that all of it is there at the end."""

from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures import draw, on_slide
from heinit_sim.figures.formats.motion import FIRST, LAST, MOVING, PAUSE, Picture, draw_motion
from heinit_sim.figures.look.sheet import DARK, drawing
from heinit_sim.simulation.sweep import run_sweep
from tests.rows import slow_but

CONFIG = """
name: x
network: {depth: 4, width: 8, input_dim: 8}
init: {variance: 0.25}
inputs: {count: 3}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {init.variance: [0.01, 1]}
trials: 5
"""


@cache
def measured() -> SweepResult:
    return run_sweep(parse_config(CONFIG))


def moving(**look: Any) -> tuple[SweepResult, list[Picture]]:
    result = measured()
    figure = replace(result.config.figure, **look)
    result = replace(result, config=replace(result.config, figure=figure))
    return result, list(draw_motion(result))


def columns_changed(pictures: list[Picture]) -> list[tuple[float, float]]:
    """The first and the last column that each picture changes, as shares of the width."""
    changed = []
    for before, after in pairwise(pictures):
        at = np.flatnonzero((before.pixels != after.pixels).any((0, 2)))
        changed.append((at[0] / after.pixels.shape[1], (at[-1] + 1) / after.pixels.shape[1]))
    return changed


@pytest.mark.parametrize("kind", slow_but(MOVING, "layers"))
def test_passes_go_forward_and_then_back(kind: str) -> None:
    result, pictures = moving(kind=kind)
    assert {picture.pixels.shape for picture in pictures} == {(720, 1280, 3)}
    layer = pictures[1].duration
    assert layer % 10 == 0
    times = [FIRST, *[layer] * 4, PAUSE, *[layer] * 4, LAST]  # layers 0 … 4, twice
    assert [picture.duration for picture in pictures] == times
    changed = columns_changed(pictures)
    forward, backward = changed[:4], changed[6:9]
    assert all(high < 0.5 for _, high in forward)
    assert all(low > 0.5 for low, _ in backward)
    assert [high for _, high in forward] == sorted(high for _, high in forward)
    assert [low for low, _ in backward] == sorted((low for low, _ in backward), reverse=True)
    figure = draw(on_slide(result))
    with drawing(result.config.figure):
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(96)
        canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib
        whole = np.asarray(canvas.buffer_rgba())[..., :3]  # type: ignore[no-untyped-call]  # matplotlib
    np.testing.assert_array_equal(pictures[-1].pixels, whole)


@pytest.mark.slow
@pytest.mark.parametrize("panel", ["forward", "backward"])
def test_one_panel_has_one_pass_on_its_own_ground(panel: str) -> None:
    _, pictures = moving(panels=panel, theme="transparent-dark", size=(4.0, 4.0))
    assert pictures[0].pixels.shape == (720, 720, 3)
    assert len(pictures) == 6
    ground = "#" + bytes(pictures[0].pixels[0, 0]).hex()
    assert ground == DARK
    place = {"forward": 1, "backward": 0}[panel]
    ends = [change[place] for change in columns_changed(pictures)[1:4]]  # after what is behind
    assert ends == sorted(ends, reverse=panel == "backward")


@pytest.mark.parametrize("kind", [kind for kind in FIGURE_KINDS if kind not in MOVING])
def test_kinds_without_a_pass_are_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"no pass moves in kind: {kind}, must be layers or"):
        moving(kind=kind)
