from dataclasses import replace
from functools import cache

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import rgb_to_hsv, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.typing import ColorType

from heinit_sim.activations import ACTIVATIONS, make_activation
from heinit_sim.config import parse_config
from heinit_sim.experiment.activation_table import TABLE
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.look.contrast import LINE, TEXT, contrast
from heinit_sim.figures.phase_diagram import draw_phase_diagram
from heinit_sim.theory.infinite_width.edge_of_chaos import critical_weight_variance
from tests.conditions import with_layers
from tests.figures.helpers import saved
from tests.rows import slow_but

CONFIG = """
name: small
network: {depth: 5, width: 100, input_dim: 100}
init: {}
sweep: {init.variance: [0.01, 0.02, 0.03]}
"""


def config(*activations: str, text: str = CONFIG) -> SweepConfig:
    base = parse_config(text)
    options = {"leaky_relu": {"negative_slope": 0.2}}
    conditions = [
        with_layers(c, activation=name, options=options.get(name, {}))
        for name in activations
        for c in base.conditions
    ]
    numbered = [replace(c, index=n) for n, c in enumerate(conditions)]
    return replace(base, conditions=tuple(numbered))


@cache
def drawn(*activations: str, text: str = CONFIG) -> Figure:
    """The diagram of a sweep with these activations, which tests share and only read."""
    return draw_phase_diagram(config(*activations, text=text))


def axes(*activations: str, text: str = CONFIG) -> Axes:
    (ax,) = drawn(*activations, text=text).axes
    return ax


def line(ax: Axes, label: str) -> Line2D:
    (found,) = (line for line in ax.lines if line.get_label() == label)
    return found


def labels(ax: Axes) -> set[str]:
    return {str(line.get_label()) for line in ax.lines}


def words(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts)


def test_line_of_tanh_is_where_chi_is_one() -> None:
    ax = axes("tanh")
    points = line(ax, "critical tanh").get_xydata()
    assert "leap tanh" not in labels(ax)
    for weight_scale, bias_variance in np.array(points)[::60].tolist():
        expected = critical_weight_variance(make_activation("tanh", {}), bias_variance)
        np.testing.assert_allclose(weight_scale, expected, rtol=1e-6, atol=0)


def test_relu_has_a_point_and_a_dashed_border() -> None:
    ax = axes("relu")
    np.testing.assert_array_equal(line(ax, "critical ReLU").get_xydata(), [[2.0, 0.0]])
    border = np.array(line(ax, "leap ReLU").get_xydata())
    assert (border[:, 0] == 2.0).all()
    assert line(ax, "leap ReLU").is_dashed()
    assert "signals diverge" in words(ax)


def test_conditions_stand_at_their_variances() -> None:
    ax = axes("tanh")
    for index, weight_scale in enumerate((1.0, 2.0, 3.0)):
        found = np.array(line(ax, f"condition {index}").get_xydata())
        np.testing.assert_allclose(found, [[weight_scale, 0.0]], rtol=1e-15, atol=0)
    assert r"$\sigma^2_\Omega$ = 0.02" in words(ax)


def test_conditions_at_one_place_share_a_circle_and_the_label_of_what_they_share() -> None:
    deep = CONFIG.replace("depth: 5, ", "").replace("sweep: {", "sweep: {network.depth: [5, 9], ")
    ax = axes("tanh", text=deep)
    assert {"condition 0 3", "condition 1 4", "condition 2 5"} <= labels(ax)
    assert "depth" not in words(ax)
    assert words(ax).count("0.02") == 1


def test_regions_lie_on_their_side_of_the_edge_and_have_their_names() -> None:
    ax = axes("tanh")
    regions = {str(c.get_label()): c for c in ax.collections if isinstance(c, PolyCollection)}
    inside = {label: regions[label].get_paths()[0].contains_point for label in regions}
    assert inside["ordered"]((1.2, 0.1))
    assert inside["chaotic"]((2.8, 0.1))
    assert not inside["ordered"]((2.8, 0.1))
    assert not inside["chaotic"]((1.2, 0.1))
    assert all(word in words(ax) for word in ("ordered", "chaotic", "inputs grow apart"))


def hue(color: ColorType) -> float:
    return float(rgb_to_hsv(to_rgb(color))[0])


def test_each_heading_has_the_hue_of_its_region() -> None:
    ax = axes("tanh")
    regions = {
        str(area.get_label()): hue(tuple(np.array(area.get_facecolor())[0]))
        for area in ax.collections
    }
    headings = {text.get_text(): hue(text.get_color()) for text in ax.texts}
    assert abs(regions["ordered"] - regions["chaotic"]) > 0.4
    for word in ("ordered", "chaotic"):
        assert abs(headings[word] - regions[word]) < 0.02
    several = axes("tanh", "relu")
    headings = {text.get_text(): hue(text.get_color()) for text in several.texts}
    for heading, word in (("←  ordered", "ordered"), ("chaotic  →", "chaotic")):
        assert abs(headings[heading] - regions[word]) < 0.02


def test_several_activations_have_a_named_line_each_of_its_own_colour() -> None:
    ax = axes("tanh", "selu", "relu")
    names = ("tanh", "SELU", "ReLU")
    colors = {str(line(ax, f"critical {name}").get_color()) for name in names}
    assert len(colors) == 3
    assert all(name in words(ax) for name in names)
    assert not ax.collections


def test_widely_spread_variances_get_a_logarithmic_axis() -> None:
    wide = axes("relu", text=CONFIG.replace("0.01, 0.02", "0.001, 0.02"))
    assert wide.get_xscale() == "log"
    narrow = axes("relu")
    assert narrow.get_xscale() == "linear"
    for ax, low, high in ((wide, 0.1, 3.0), (narrow, 1.0, 3.0)):
        left, right = ax.get_xlim()
        assert left < low < high < right


def test_networks_without_a_phase_are_left_out() -> None:
    uneven = CONFIG.replace("depth: 5, width: 100", "depth: 3, width: [100, 50, 100]")
    assert labels(axes("tanh", text=uneven)) == {"critical tanh"}


def test_variances_at_the_ends_of_float_range_are_left_out_without_a_warning() -> None:
    far = CONFIG.replace("0.01, 0.02, 0.03", "1.0e-320, 0.02, 1.0e+305")
    assert labels(axes("tanh", text=far)) == {"critical tanh", "condition 1"}


@pytest.mark.parametrize(
    "activation", slow_but(["softplus", "gelu", "sigmoid", "leaky_relu", "linear"], "leaky_relu")
)
def test_any_activation_can_be_drawn(activation: str) -> None:
    ax = axes(activation)
    assert any(label.startswith(("critical", "leap")) for label in labels(ax))


def test_the_same_config_gives_the_same_bytes_whatever_the_users_settings() -> None:
    plain = saved(draw_phase_diagram(config("leaky_relu")))
    with matplotlib.rc_context({"font.size": 31.0, "axes.facecolor": "black"}):
        assert saved(draw_phase_diagram(config("leaky_relu"))) == plain


GRID = CONFIG.replace("sweep: {", "sweep: {init.bias_variance: [0.0, 0.1], ")


def caption(text: str = CONFIG) -> str:
    (words,) = drawn("tanh", text=text).texts
    return words.get_text()


def test_labels_that_would_repeat_both_axes_are_left_out() -> None:
    assert "sigma^2_\\Omega" not in words(axes("tanh", text=GRID))
    expected = r"Circles: the 6 conditions ($\sigma^2_b$ × $\sigma^2_\Omega$)."
    assert expected in caption(GRID)


def test_biases_have_their_symbol_in_labels() -> None:
    one = CONFIG.replace("{}", "{variance: 0.02}")
    one = one.replace("init.variance: [0.01, 0.02, 0.03", "init.bias_variance: [0.05, 0.1, 0.3")
    assert r"$\sigma^2_b$ = 0.3" in words(axes("tanh", text=one))


def test_many_circles_have_no_labels_and_are_small() -> None:
    numbers = ", ".join(f"{n / 1000}" for n in range(1, 61))
    many = axes("tanh", text=CONFIG.replace("0.01, 0.02, 0.03", numbers))
    assert "sigma^2_\\Omega" not in words(many)
    few = axes("tanh")
    assert line(many, "condition 0").get_markersize() < line(few, "condition 0").get_markersize()


def test_conditions_that_are_not_shown_are_counted() -> None:
    uneven = CONFIG.replace("depth: 5, width: 100", "depth: 3, width: [100, 50, 100]")
    assert "not shown: 3 without one" in caption(uneven)
    assert "Circle" not in caption(uneven)
    far = CONFIG.replace("0.01, 0.02", "1.0e-320, 0.02")
    assert "not shown: 1 off any scale." in caption(far)
    assert "Circles: the 2 conditions" in caption(far)
    assert "not shown" not in caption()


@pytest.mark.slow
def test_every_activation_at_once_is_told_apart_in_a_legend_inside_the_canvas() -> None:
    names = sorted(set(ACTIVATIONS) - {"leaky_relu", "prelu"})
    figure = drawn(*names)
    (ax,) = figure.axes
    legend = ax.get_legend()
    assert legend
    assert [text.get_text() for text in legend.get_texts()] == [TABLE[name].name for name in names]
    looks = {(h.get_color(), len(h.get_path_effects())) for h in legend.get_lines()}
    assert len(looks) == 14  # from the fifteenth on a colour comes once more, with a black core
    box = legend.get_window_extent()
    assert box.x0 > ax.get_window_extent().x1
    assert box.x1 < figure.bbox.x1
    assert box.y0 > 0


def test_two_lines_have_no_legend() -> None:
    assert axes("tanh", "relu").get_legend() is None


def test_variances_of_figure_7_4_are_all_labelled() -> None:
    numbers = "0.001, 0.01, 0.02, 0.1, 1.0"
    shown = words(axes("relu", text=CONFIG.replace("0.01, 0.02, 0.03", numbers)))
    assert shown.count("sigma^2_\\Omega") == 5


@pytest.mark.slow
def test_on_a_dark_ground_lines_and_texts_stand_out() -> None:
    text = CONFIG + "figure: {theme: dark}\n"
    figure = draw_phase_diagram(
        config("relu", "tanh", "selu", "softplus", "elu", "silu", text=text)
    )
    ground = figure.get_facecolor()
    lines = [line.get_color() for line in figure.axes[0].lines if line.get_linestyle() != "None"]
    assert len(lines) >= 5
    assert min(contrast(color, ground) for color in lines) >= LINE
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert len(texts) > 10
    assert min(contrast(text.get_color(), ground) for text in texts) >= TEXT
