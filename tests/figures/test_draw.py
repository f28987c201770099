import itertools
from dataclasses import replace
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from heinit_sim.config import parse_config
from heinit_sim.experiment.figure_kinds import FIGURE_KINDS
from heinit_sim.experiment.results import SweepPrediction, SweepResult
from heinit_sim.figures.draw import draw
from heinit_sim.figures.look.sheet import saving
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.figures.helpers import (
    RESULTS,
    caption,
    figure_7_4,
    flat,
    has,
    labels,
    named_below,
    panels,
    saved,
)
from tests.rows import slow_but

ACTIVATIONS = "network.activation: [relu, tanh, selu, {name: leaky_relu, negative_slope: 0.2}]"


KINDS = {  # what the figure is, what is swept
    "end, widths": ("end", "network.width: [200, 10, 20, 50, 100]"),
    "end, eight decades": ("end", "init.variance: [1.0e-8, 1.0e-4, 1]"),
    "end, less than a decade": ("end", "init.variance: [0.12, 0.25, 0.6]"),
    "end, below zero": ("end", "loss.target: [-1.5, 0, 1]"),
    "end, activations": ("end", f"network.depth: [2, 4, 20], {ACTIVATIONS}"),
    "end, 12 lines": ("end", f"init.variance: [0.01, 3], loss.target: [{', '.join('0123456789')}]"),
    "slopes, widths": ("slopes", "network.width: [5, 10, 20]"),
    "slopes, activations": ("slopes", f"init.variance: [0.01, 0.1, 1], {ACTIVATIONS}"),
    "spread, widths": ("spread", "network.width: [5, 10, 20, 40]"),
    "spread, depths": ("spread", "network.depth: [1, 3, 30]"),
    "spread": ("spread", "init.variance: [1]"),
}


def of_kind(name: str) -> SweepResult:
    kind, sweep = KINDS[name]
    text = f"""
name: x
network: {{depth: 6, width: 8, input_dim: 8}}
init: {{variance: 0.25}}
inputs: {{count: 3}}
sweep: {{{sweep}}}
trials: 20
figure: {{kind: {kind}}}
"""
    return run_sweep(parse_config(text))


QUICK = ["Figure 7.4"]


@pytest.mark.parametrize("name", slow_but([*RESULTS, *KINDS], *QUICK))
def test_labels_collide_with_nothing_and_stay_inside(name: str) -> None:
    result = RESULTS[name] if name in RESULTS else of_kind(name)
    figure = draw(result)
    figure.set_dpi(200)  # as a run saves it
    with saving():
        figure.draw_without_rendering()

    def box(text: Text) -> Bbox:
        with saving():
            return text.get_window_extent()

    names = [label for ax in panels(figure) for label in labels(ax)]
    names += named_below(figure)
    beside = len(result.conditions) <= 5 and len(names) > len(result.conditions)
    assert len(names) == (1 + beside) * len(result.conditions) or name in KINDS
    # Title, axis, tick and caption texts: a missing or second tick label is there, but invisible.
    others = [text for text in figure.findobj(match=Text) if text not in names]
    texts = [text for text in (*names, *others) if text.get_visible() and text.get_text()]
    for text in texts:
        inside = box(text)
        assert inside.x0 >= figure.bbox.x0 + 6, text
        assert inside.y0 >= figure.bbox.y0 + 6, text
        assert inside.x1 <= figure.bbox.x1 - 6, text
        assert inside.y1 <= figure.bbox.y1 - 6, text
    boxes = [(text, box(text)) for text in texts]
    for (one, its), (other, others_box) in itertools.combinations(boxes, 2):
        assert not its.overlaps(others_box), (one, other)
    for label in names:
        for ax in panels(figure):
            assert not box(label).overlaps(ax.bbox), label  # the curves lie in there
    for ax, i in itertools.product(panels(figure), range(len(result.conditions))):
        if has(ax, f"arrow {i}"):
            (head,) = (line for line in ax.lines if line.get_label() == f"arrow {i}")
            area = head.get_window_extent()
            assert not any(box(label).overlaps(area) for label in names)


OWN_SETTINGS: dict[Any, Any] = {
    "font.size": 31.0,
    "font.family": ["DejaVu Serif"],
    "mathtext.fontset": "cm",
    "lines.linewidth": 9.0,
    "axes.facecolor": "black",
    "axes.grid": True,
    "axes.unicode_minus": False,
    "figure.dpi": 37.0,
    "savefig.bbox": "tight",
    "savefig.facecolor": "red",
    "svg.fonttype": "none",
    "svg.hashsalt": "mine",
    "pdf.fonttype": 3,
    "ytick.direction": "in",
}


@pytest.mark.parametrize("suffix", slow_but(["png", "pdf"]))  # svg: of every kind, below
def test_the_same_result_gives_the_same_bytes_whatever_the_users_settings(suffix: str) -> None:
    plain = saved(draw(figure_7_4()), suffix)
    with matplotlib.rc_context(OWN_SETTINGS):
        before = dict(matplotlib.rcParams)
        assert saved(draw(figure_7_4()), suffix) == plain
        assert dict(matplotlib.rcParams) == before
    assert saved(draw(flat(3)), suffix) != plain


FULL = """
name: x
network: {depth: 3, width: 6, input_dim: 5}
init: {scheme: he_normal}
inputs: {count: 2}
record: {histograms: std, cosine: true, units: true, jacobian: true, batch_gradient: true,
  update: {learning_rate: 0.1}}
sweep: {network.width: [4, 8]}
trials: 5
figure: {kind: KIND}
"""
"""A config of which every kind of figure can be drawn."""


@pytest.fixture(scope="module")
def full() -> SweepResult:
    return run_sweep(parse_config(FULL.replace("KIND", "layers")))


@pytest.fixture(scope="module")
def prediction() -> SweepPrediction:
    return predict_sweep(parse_config(FULL.replace("KIND", "layers")))


def shown_as(result: SweepResult, kind: str, quantity: str = "variance") -> SweepResult:
    text = FULL.replace("KIND", f"{kind}, quantity: {quantity}")
    return replace(result, config=parse_config(text))


@pytest.mark.parametrize("kind", FIGURE_KINDS)
def test_every_kind_draws_both_panels_of_its_own(kind: str, full: SweepResult) -> None:
    result = shown_as(full, kind)
    figure = draw(result)
    for ax in figure.axes:
        assert ax.get_ylabel()
        assert len(ax.lines) >= len(result.conditions)
    assert len(figure.axes) == 2
    assert caption(figure).endswith(".")


@pytest.mark.slow
def test_no_two_kinds_are_one_figure(full: SweepResult) -> None:
    assert len({saved(draw(shown_as(full, kind))) for kind in FIGURE_KINDS}) == len(FIGURE_KINDS)


@pytest.mark.parametrize("kind", slow_but(FIGURE_KINDS, "end"))
def test_every_kind_is_drawn_the_same_whatever_the_settings(kind: str, full: SweepResult) -> None:
    result = shown_as(full, kind)
    expected = saved(draw(result))
    with matplotlib.rc_context(OWN_SETTINGS):
        assert saved(draw(result)) == expected


@pytest.mark.parametrize("kind", FIGURE_KINDS)
def test_every_kind_says_which_quantity_it_shows(kind: str, full: SweepResult) -> None:
    quantities = FIGURE_KINDS[kind].quantities
    shown = [draw(shown_as(full, kind, quantity)).axes for quantity in quantities]
    assert len({ax.get_ylabel() for ax, _ in shown}) == len(quantities)
    assert len({ax.get_ylabel() for _, ax in shown}) == len(quantities)


@pytest.mark.parametrize("kind", slow_but(FIGURE_KINDS, "end", "ridges"))
def test_of_a_prediction_every_kind_or_else_the_layers_are_drawn(
    kind: str, prediction: SweepPrediction
) -> None:
    drawn_kind = kind if FIGURE_KINDS[kind].of_predictions else "layers"
    axes, twins = (
        draw(replace(prediction, config=parse_config(FULL.replace("KIND", shown)))).axes
        for shown in (kind, drawn_kind)
    )
    assert [ax.get_ylabel() for ax in axes] == [ax.get_ylabel() for ax in twins]
    assert all(has(ax, "median 0") for ax in axes)


def test_a_result_is_drawn_at_its_size() -> None:
    figure = draw(figure_7_4())
    assert isinstance(figure, Figure)
    np.testing.assert_allclose(figure.get_size_inches(), [12, 5.4], rtol=0.01)
