import dataclasses
import io

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D

from heinit_sim.activations import make_activation
from heinit_sim.config import parse_config
from heinit_sim.critical import critical_weight_variance
from heinit_sim.figures import saving
from heinit_sim.phase_figures import draw_phase_diagram
from heinit_sim.records import SweepConfig

CONFIG = """
name: small
network: {depth: 5, width: 100, input_dim: 100}
init: {}
sweep: {init.variance: [0.01, 0.02, 0.03]}
"""


def config(*activations: str, text: str = CONFIG) -> SweepConfig:
    base = parse_config(text)
    conditions = [
        dataclasses.replace(c, activation=name) for name in activations for c in base.conditions
    ]
    numbered = (dataclasses.replace(c, index=n) for n, c in enumerate(conditions))
    return dataclasses.replace(base, conditions=tuple(numbered))


def axes(drawn: SweepConfig) -> Axes:
    (ax,) = draw_phase_diagram(drawn).axes
    return ax


def line(ax: Axes, label: str) -> Line2D:
    (found,) = (line for line in ax.lines if line.get_label() == label)
    return found


def labels(ax: Axes) -> set[str]:
    return {str(line.get_label()) for line in ax.lines}


def words(ax: Axes) -> str:
    return " ".join(text.get_text() for text in ax.texts)


def test_line_of_tanh_is_where_chi_is_one() -> None:
    ax = axes(config("tanh"))
    points = line(ax, "critical tanh").get_xydata()
    assert "leap tanh" not in labels(ax)
    for weight_scale, bias_variance in np.array(points)[::60].tolist():
        expected = critical_weight_variance(make_activation("tanh", {}), bias_variance)
        np.testing.assert_allclose(weight_scale, expected, rtol=1e-6, atol=0)


def test_relu_has_a_point_and_a_dashed_border() -> None:
    ax = axes(config("relu"))
    np.testing.assert_array_equal(line(ax, "critical relu").get_xydata(), [[2.0, 0.0]])
    border = np.array(line(ax, "leap relu").get_xydata())
    assert (border[:, 0] == 2.0).all()
    assert line(ax, "leap relu").is_dashed()
    assert "signals diverge" in words(ax)


def test_conditions_stand_at_their_variances() -> None:
    ax = axes(config("tanh"))
    for index, weight_scale in enumerate((1.0, 2.0, 3.0)):
        found = np.array(line(ax, f"condition {index}").get_xydata())
        np.testing.assert_allclose(found, [[weight_scale, 0.0]], rtol=1e-15, atol=0)
    assert r"$\sigma^2_\Omega$ = 0.02" in words(ax)


def test_conditions_at_one_place_share_a_circle_and_the_label_of_what_they_share() -> None:
    deep = CONFIG.replace("depth: 5, ", "").replace("sweep: {", "sweep: {network.depth: [5, 9], ")
    ax = axes(config("tanh", text=deep))
    assert {"condition 0 3", "condition 1 4", "condition 2 5"} <= labels(ax)
    assert "depth" not in words(ax)
    assert words(ax).count("0.02") == 1


def test_regions_lie_on_their_side_of_the_edge_and_have_their_names() -> None:
    ax = axes(config("tanh"))
    regions = {str(c.get_label()): c for c in ax.collections if isinstance(c, PolyCollection)}
    inside = {label: regions[label].get_paths()[0].contains_point for label in regions}
    assert inside["ordered"]((1.2, 0.1))
    assert inside["chaotic"]((2.8, 0.1))
    assert not inside["ordered"]((2.8, 0.1))
    assert not inside["chaotic"]((1.2, 0.1))
    assert all(word in words(ax) for word in ("ordered", "chaotic", "inputs grow apart"))


def test_several_activations_have_a_named_line_each_of_its_own_colour() -> None:
    ax = axes(config("tanh", "selu", "relu"))
    names = ("tanh", "selu", "relu")
    colors = {str(line(ax, f"critical {name}").get_color()) for name in names}
    assert len(colors) == 3
    assert all(name in words(ax) for name in names)
    assert not ax.collections


def test_widely_spread_variances_get_a_logarithmic_axis() -> None:
    wide = axes(config("relu", text=CONFIG.replace("0.01, 0.02", "0.001, 0.02")))
    assert wide.get_xscale() == "log"
    narrow = axes(config("relu"))
    assert narrow.get_xscale() == "linear"
    for ax, low, high in ((wide, 0.1, 3.0), (narrow, 1.0, 3.0)):
        left, right = ax.get_xlim()
        assert left < low < high < right


def test_networks_without_a_phase_are_left_out() -> None:
    uneven = CONFIG.replace("depth: 5, width: 100", "depth: 3, width: [100, 50, 100]")
    assert labels(axes(config("tanh", text=uneven))) == {"critical tanh"}


def test_variances_at_the_ends_of_float_range_are_left_out_without_a_warning() -> None:
    far = CONFIG.replace("0.01, 0.02, 0.03", "1.0e-320, 0.02, 1.0e+305")
    assert labels(axes(config("tanh", text=far))) == {"critical tanh", "condition 1"}


@pytest.mark.parametrize("activation", ["softplus", "gelu", "sigmoid", "leaky_relu", "linear"])
def test_any_activation_can_be_drawn_and_gives_the_same_bytes_again(activation: str) -> None:
    drawn = []
    for _ in range(2):
        figure = draw_phase_diagram(config(activation) if activation != "leaky_relu" else leaky())
        with saving():
            file = io.BytesIO()
            figure.savefig(file, format="svg", metadata={"Date": None})
        drawn.append(file.getvalue())
    assert drawn[0] == drawn[1]


def leaky() -> SweepConfig:
    base = config("leaky_relu")
    options = {"negative_slope": 0.2}
    conditions = (dataclasses.replace(c, activation_options=options) for c in base.conditions)
    return dataclasses.replace(base, conditions=tuple(conditions))
