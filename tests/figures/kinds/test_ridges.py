"""Ridges are the counts, one density a layer; artists are looked at, never pixels."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Bins, Quantity
from heinit_sim.experiment.results import Histogram, SweepResult
from heinit_sim.figures.kinds.ridges import CUT, FAINT, OVERLAP, TAIL, draw_ridges, evenly, ridge_of
from heinit_sim.figures.look.sheet import drawing, saving
from tests.conditions import unpredicted
from tests.figures.helpers import named_below
from tests.rows import slow_but

Array = NDArray[Any]

CONFIG = """
name: ridges
network: {{depth: {depth}, width: {width}, input_dim: 20, activation: {activation}}}
init: {{variance: {variance}}}
inputs: {{count: 20}}
trials: 4
record: {{histograms: {bins}}}
"""
PANELS: tuple[tuple[int, Quantity], ...] = ((1, "activation"), (0, "grad_preactivation"))


def draw(result: SweepResult) -> Figure:
    with drawing(result.config.figure) as sheet:
        return draw_ridges(result, sheet)


def simulate(end: str = "", **given: object) -> SweepResult:
    values = {"depth": 4, "width": 20, "activation": "tanh", "variance": 0.05, "bins": "std"}
    return unpredicted(parse_config(CONFIG.format(**{**values, **given}) + end))


def lines(ax: Axes) -> dict[tuple[int, int], Array]:
    """(condition, layer) -> (x, y) of its outline."""
    named = [(line, str(line.get_label()).split()) for line in ax.get_lines()]
    return {
        (int(words[1]), int(words[2])): np.array(line.get_data())
        for line, words in named
        if words[0] == "ridge"
    }


def texts(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def layers_of(ax: Axes) -> list[int]:
    return [int(label.get_text().replace(",", "")) for label in ax.get_yticklabels()]


@pytest.mark.parametrize("activation", ["tanh", "relu"])  # relu: zeros are in no density
@pytest.mark.parametrize("bins", slow_but(["std", "decades"], "std"))
def test_ridges_are_the_densities_of_every_layer_to_one_scale(bins: Bins, activation: str) -> None:
    sweep = "sweep: {init.variance: [0.05, 0.1]}\n"
    result = simulate(sweep, bins=bins, activation=activation)
    figure = draw(result)
    for ax, (first, quantity) in zip(figure.axes, PANELS, strict=True):
        assert layers_of(ax) == [first, first + 1, first + 2, first + 3]
        drawn = lines(ax)
        assert drawn.keys() == {(i, first + row) for i in (0, 1) for row in range(4)}
        scales = []
        for (i, layer), (x, y) in drawn.items():
            of = result.conditions[i].histograms[quantity]
            total = of.counts[layer].sum() + of.below[layer] + of.above[layer]
            width = 0.05 if bins == "std" else 0.1
            density = of.counts[layer] / total / width
            middles = of.edges[:-1] + width / 2
            places = [int(np.abs(middles - one).argmin()) for one in x]
            np.testing.assert_allclose(middles[places], x, rtol=1e-12, atol=1e-12)
            height = y + (layer - first)
            some = density[places] > 0
            scales.append(height[some] / density[places][some])
            assert not height[~some].any()
            left_out = np.delete(density, places)
            left, right = ax.get_xlim()
            beyond = np.delete((middles < left) | (middles > right), places)
            tallest = OVERLAP / scales[0][0]  # the density that is as tall
            assert (beyond | (left_out <= FAINT / OVERLAP * tallest * (1 + 1e-9))).all()
        scale = np.concatenate(scales)
        np.testing.assert_allclose(scale, scale[0], rtol=1e-9, atol=0)
        heights = [(y + layer - first).max() for (_, layer), (_, y) in drawn.items()]
        np.testing.assert_allclose(max(heights), OVERLAP, rtol=1e-12, atol=0)


def test_fills_are_what_lies_between_outline_and_baseline() -> None:
    ax = draw(simulate()).axes[0]
    fills = [c for c in ax.collections if c.get_alpha() != 0.6]  # not what makes others fade
    assert len(fills) == 4
    for fill, ((_, layer), (x, y)) in zip(fills, lines(ax).items(), strict=True):
        (path,) = fill.get_paths()
        corners = np.asarray(path.vertices)
        np.testing.assert_array_equal(np.unique(corners[:, 0]), x)
        for one, top in zip(x, y, strict=True):
            heights = corners[corners[:, 0] == one][:, 1]
            assert {heights.min(), heights.max()} <= {top, 1.0 - layer}


def test_the_axis_holds_all_but_the_tails() -> None:
    for bins in ("std", "decades"):
        result = simulate(bins=bins)
        for ax, (first, quantity) in zip(draw(result).axes, PANELS, strict=True):
            left, right = ax.get_xlim()
            of = result.conditions[0].histograms[quantity]
            for layer in range(first, first + 4):
                beyond = (of.edges[1:] <= left) | (of.edges[:-1] >= right)
                assert of.counts[layer][beyond].sum() <= 2 * TAIL * of.counts[layer].sum()
            if bins == "std":
                assert left == -right


@pytest.mark.parametrize(
    ("below", "above", "ends"), [(0, 0, (0, 1)), (5, 0, (-2, 1)), (0, 5, (0, 2))]
)
def test_numbers_beyond_bins_are_tails(below: int, above: int, ends: tuple[float, float]) -> None:
    counts = np.array([[0, 0, 10, 0]])
    beyond = np.array([[below], [above], [0]])
    histogram = Histogram(np.linspace(-2, 2, 5), counts, *beyond)
    result = replace(simulate(depth=1).conditions[0], histograms={"activation": histogram})
    assert ridge_of(result, 0, "activation", 0).ends == ends


def test_a_deep_network_shows_twelve_layers_with_the_first_and_the_last() -> None:
    figure = draw(simulate(depth=40))
    forward, backward = map(layers_of, figure.axes)
    assert (forward[0], forward[-1], len(forward)) == (1, 40, 12)
    assert (backward[0], backward[-1], len(backward)) == (0, 39, 12)
    assert set(np.diff(forward)) <= {3, 4}
    tops = [ax.get_ylim() for ax in figure.axes]
    assert tops[0] == tops[1]  # rows of both panels are level


def test_integers_are_chosen_evenly() -> None:
    assert evenly(1, 5, 12) == [1, 2, 3, 4, 5]
    assert evenly(0, 10, 3) == [0, 5, 10]
    assert evenly(7, 7, 12) == [7]


def test_conditions_of_other_depths_are_drawn_as_far_as_they_go() -> None:
    ax = draw(simulate("sweep: {network.depth: [1, 3, 6]}\n")).axes[0]
    drawn = lines(ax).keys()
    depths = (1, 3, 6)
    assert drawn == {(i, k) for i, depth in enumerate(depths) for k in range(1, depth + 1)}


def test_of_many_conditions_eight_are_drawn_and_the_caption_says_so() -> None:
    values = ", ".join(str(0.01 * n) for n in range(1, 13))
    figure = draw(simulate(f"sweep: {{init.variance: [{values}]}}\n"))
    assert {of for of, _ in lines(figure.axes[0])} == set(range(8))
    assert "8 of 12 conditions." in texts(figure)
    names = [text.get_text() for text in named_below(figure)]
    assert len(names) == 8
    assert names[0].endswith("0.01")
    assert names[-1].endswith("0.12")
    assert "conditions" not in texts(draw(simulate()))


def test_every_ridge_has_the_colour_of_its_name() -> None:
    figure = draw(simulate("sweep: {init.variance: [0.05, 0.1, 0.2]}\n"))
    samples = [a for a in figure.artists if str(a.get_gid()).endswith("-sample")]
    for i, (sample, text) in enumerate(zip(samples, named_below(figure), strict=True)):
        assert isinstance(sample, Line2D)
        color = to_rgba(sample.get_color())
        assert to_rgba(text.get_color()) == tuple(np.array(color) * (0.6, 0.6, 0.6, 1.0))
        for ax in figure.axes:
            own = [c for c in ax.get_lines() if str(c.get_label()).startswith(f"ridge {i} ")]
            assert {to_rgba(line.get_color()) for line in own} == {color}


def test_peaks_that_would_flatten_the_others_are_cut_and_the_caption_says_so() -> None:
    result = simulate("sweep: {init.variance: [0.0001, 0.05]}\n")
    figure = draw(result)
    assert texts(figure).count("Tallest peaks cut off.") == 1  # in both panels
    drawn = lines(figure.axes[0])
    np.testing.assert_allclose(drawn[0, 4][1].max() + 3, OVERLAP, rtol=1e-12, atol=0)
    lowest = min((y + k - 1).max() for (_, k), (_, y) in drawn.items())
    np.testing.assert_allclose(lowest, OVERLAP / CUT, rtol=1e-9, atol=0)
    assert "cut" not in texts(draw(simulate(bins="decades")))


def test_zeros_and_layers_beyond_the_axis_are_left_out_and_the_caption_says_so() -> None:
    figure = draw(simulate(activation="relu", variance=1e22, bins="decades"))
    assert "Zeros left out (" in texts(figure)
    assert "Layers beyond the axis left out." in texts(figure)
    assert lines(figure.axes[0])[0, 4].shape == (2, 0)
    zeros = ridge_of(simulate(activation="relu").conditions[0], 0, "activation", 1).zeros
    assert abs(zeros - 0.5) < 5 * math.sqrt(0.25 / 80)  # 80 units; their inputs go together


def test_a_network_whose_layers_are_all_zero_is_drawn_as_baselines() -> None:
    result = simulate(activation="relu", width=1, depth=30)
    dead = result.conditions[0].histograms["grad_preactivation"]
    assert not dead.counts.any()
    figure = draw(result)
    assert all(outline.shape == (2, 0) for outline in lines(figure.axes[1]).values())
    assert len(figure.axes[1].get_lines()) == 24  # twelve baselines, twelve empty outlines


LEGENDS = [
    "",
    "sweep: {init.variance: [0.05, 0.1, 0.2]}\n",
    "sweep: {network.width: [5, 6, 7, 8, 9, 10, 11, 12, 13, 14], init.variance: [0.1]}\n",
    "sweep: {init.scheme: [torch_linear_default, xavier_uniform, he_normal, orthogonal]}\n",
]


@pytest.mark.parametrize("end", slow_but(LEGENDS, ""))
@pytest.mark.parametrize("bins", slow_but(["std", "decades"], "std"))
def test_no_words_overlap_and_all_are_on_the_page(end: str, bins: Bins) -> None:
    given = {"variance": "null", "bins": bins} if "scheme" in end else {"bins": bins}
    figure = draw(simulate(end, depth=50, **given))
    with saving():
        figure.draw_without_rendering()
        words = [*figure.texts]
        for ax in figure.axes:
            words += [text for text in ax.get_children() if isinstance(text, Text)]
            words += [ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels()]
            low, high = ax.get_xlim()
            words += [t for t in ax.get_xticklabels() if low <= t.get_position()[0] <= high]
        shown = [word for word in words if word.get_text()]
        boxes = [word.get_window_extent() for word in shown]
    page = figure.bbox
    for n, box in enumerate(boxes):
        assert page.x0 <= box.x0 <= box.x1 <= page.x1
        assert page.y0 <= box.y0 <= box.y1 <= page.y1
        for other in boxes[n + 1 :]:
            assert not box.overlaps(other)


def test_ridges_have_the_dashes_that_the_key_tells() -> None:
    sweep = "sweep: {network.activation: [relu, tanh], init.variance: [0.05, 0.1]}\n"
    for ax in draw(simulate(sweep)).axes:
        named = [(str(line.get_label()).split(), line) for line in ax.get_lines()]
        ridges = {name[1]: line for name, line in named if name[0] == "ridge"}
        dashed = [ridges[str(i)].is_dashed() for i in range(4)]
        assert dashed == [False, True, False, True]
