"""No two texts of a figure overlap, none is cut, and panels keep their room, at any size."""

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from heinit_sim.config import parse_config
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.draw import draw
from heinit_sim.figures.look.sheet import saving
from heinit_sim.simulation.sweep import run_sweep
from tests.figures.helpers import named_below
from tests.rows import pairwise, slow_but

SIZES = (None, "slide", "beamer", "column", "text", (3.3, 2.0), (3.3, 3.3), (20.0, 4.0))
PANELS = ("both", "forward", "backward")
GRID = "network.activation: [relu, tanh, selu, {name: leaky_relu, negative_slope: 0.2}]"
SWEEPS = {
    "two": "init.variance: [0.1, 0.25]",
    "five": "init.variance: [0.001, 0.01, 0.02, 0.1, 1]",
    "six": "init.variance: [0.001, 0.01, 0.02, 0.1, 1, 2]",
    "nineteen": f"init.variance: [{', '.join(f'{0.1 + 0.01 * i:.2f}' for i in range(19))}]",
    "grid of eight": f"init.variance: [0.1, 0.5], {GRID}",
    "grid of twelve": "init.variance: [0.1, 0.5, 1], network.width: [4, 5, 6, 7]",
    "schemes": "network.width: [5, 9], init: [{scheme: he_normal}, {scheme: he_uniform}, "
    "{scheme: lecun_normal, gain: 2.5}, {scheme: orthogonal}, {scheme: lsuv}, "
    "{scheme: he_normal, mode: fan_out}]",
}
CONFIG = """
name: x
network: {depth: DEPTH, width: 8, input_dim: 8}
init: {variance: 0.25}
inputs: {count: 3}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {SWEEP}
trials: 5
figure: {kind: KIND}
"""


@cache
def result_of(sweep: str, depth: int) -> SweepResult:
    return run_sweep(parse_config(text_of(sweep, "layers", depth)))


def text_of(sweep: str, kind: str, depth: int) -> str:
    return CONFIG.replace("SWEEP", SWEEPS[sweep]).replace("DEPTH", str(depth)).replace("KIND", kind)


def drawn(sweep: str, kind: str, depth: int = 9, **look: Any) -> Figure:
    config = parse_config(text_of(sweep, kind, depth))
    config = replace(config, figure=replace(config.figure, **look))
    return draw(replace(result_of(sweep, depth), config=config))


def faults(figure: Figure) -> list[str]:
    """Say which texts overlap or are cut, and whether the panels are too narrow."""
    figure.set_dpi(200)  # as a run saves it
    with saving():
        figure.draw_without_rendering()
        texts = [text for text in figure.findobj(match=Text) if text.get_visible()]
        boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    assert len(boxes) > 6
    page = figure.bbox
    found = [
        f"cut: {text!r}"
        for text, box in boxes
        if box.x0 < 1 or box.y0 < 1 or box.x1 > page.x1 - 1 or box.y1 > page.y1 - 1
    ]
    for (text, box), (other, other_box) in itertools.combinations(boxes, 2):
        if box.overlaps(other_box):
            found.append(f"{text!r} on {other!r}")
    places = [ax.get_position() for ax in figure.axes]
    side_by_side = len({place.y0 for place in places}) == 1
    width = sum(place.width for place in places) if side_by_side else min(p.width for p in places)
    if width < 0.6:
        found.append(f"panels have {width:.0%} of the width")
    return found


LOOKS: list[dict[str, Any]] = [
    {},
    {"font_size": 7.0},
    {"font": "DejaVu Serif"},
    {"title": "A " * 60},
]
FONTS = {"slide": 18.0, "beamer": 9.5, "column": 8.0, "text": 9.0}
KINDS = [*FIGURE_KINDS][::-1]
# every kind, every sweep, every size and every look once; every third of them in the default run
QUICK = [
    (*row, "both", look)
    for *row, look in zip(
        itertools.cycle(KINDS), itertools.cycle(SWEEPS), SIZES, itertools.cycle(LOOKS), strict=False
    )
]
CORNERS: list[Any] = [(kind, "nineteen", (3.3, 2.0), "both", {}) for kind in FIGURE_KINDS]
ROWS = pairwise([*FIGURE_KINDS], [*SWEEPS], SIZES, PANELS, LOOKS, first=[*QUICK, *CORNERS])


@pytest.mark.parametrize(("kind", "sweep", "size", "panels", "look"), slow_but(ROWS, *QUICK[::3]))
def test_texts_stand_apart_and_whole_and_panels_keep_their_room(
    kind: str, sweep: str, size: Any, panels: str, look: dict[str, Any]
) -> None:
    figure = drawn(sweep, kind, size=size, panels=panels, **look)
    assert faults(figure) == []
    texts = [text for text in figure.findobj(match=Text) if text.get_text()]
    font = look.get("font_size") or FONTS.get(size, 0.0)  # of another size the font is its own
    assert min(float(text.get_fontsize()) for text in texts) >= 0.75 * font * (1 - 1e-9)


def test_a_text_that_is_moved_is_found() -> None:
    figure = drawn("five", "layers")
    first, second = figure.axes[0].texts[-2:]
    second.set_position(first.get_position())
    assert any(" on " in fault for fault in faults(figure))
    second.set_position((-5, 0))
    assert any(fault.startswith("cut") for fault in faults(figure))
    figure.axes[0].set_position((0.1, 0.2, 0.1, 0.5))
    assert any(fault.startswith("panels") for fault in faults(figure))


@pytest.mark.parametrize("sweep", slow_but(["five", "nineteen"], "five"))
@pytest.mark.parametrize(
    "size", slow_but([[40, 3], [2, 8], [1.5, 1.5], [3, 1.5], [1.5, 6]], [1.5, 1.5])
)
def test_a_font_that_nobody_asked_for_is_as_small_as_a_figure_needs(sweep: str, size: Any) -> None:
    assert faults(drawn(sweep, "layers", size=size)) == []


@pytest.mark.parametrize(
    ("size", "given", "limit"),
    slow_but([("column", 24.0, 10), ("slide", 40.0, 27)], ("slide", 40.0, 27)),
)
def test_a_font_too_large_for_its_figure_is_refused_with_the_largest_that_fits(
    size: str, given: float, limit: int
) -> None:
    with pytest.raises(ConfigError, match=rf"figure.font_size: .*\({given:g}\), must be") as error:
        drawn("five", "layers", size=size, font_size=given)
    largest = float(str(error.value).partition("at most ")[2].partition(",")[0])
    assert limit <= largest < limit + 2
    assert faults(drawn("five", "layers", size=size, font_size=largest)) == []


def test_of_too_many_names_the_first_and_the_last_are_kept() -> None:
    figure = drawn("nineteen", "layers", size="column", font_size=9.5)
    names = [text.get_text() for text in named_below(figure)]
    (told,) = [t.get_text() for t in figure.texts if str(t.get_gid()).startswith("notes")]
    assert f"{len(names)} of 19 named." in told
    assert (names[0], names[-1]) == ("0.1", "0.28")
