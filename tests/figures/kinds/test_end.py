from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.figures.helpers import caption, edges, labels, named, xs, ys

CONFIG = """
name: x
network: {depth: 4, width: 8, input_dim: 8}
init: {scheme: he_normal}
inputs: {count: 1}
sweep: {SWEEP}
trials: 30
figure: {kind: end, quantity: QUANTITY}
"""
WIDTHS = "network.width: [20, 10, 100]"
GRID = "network.activation: [relu, tanh], network.depth: [2, 6, 3], loss.target: [0, 1]"
AT: Mapping[int, tuple[str, int]] = {0: ("activation", -1), 1: ("grad_activation", 0)}


def config(sweep: str = WIDTHS, quantity: str = "second_moment") -> SweepConfig:
    return parse_config(CONFIG.replace("SWEEP", sweep).replace("QUANTITY", quantity))


@cache
def once(sweep: str, quantity: str) -> SweepResult:
    return run_sweep(config(sweep, quantity))


@cache
def drawn(sweep: str = WIDTHS, quantity: str = "second_moment") -> Figure:
    return draw(once(sweep, quantity))


def names(ax: Axes) -> list[str]:
    return [label.get_text() for label in labels(ax)]


@pytest.mark.parametrize("panel", AT)
@pytest.mark.parametrize(
    ("quantity", "statistic", "factor"),
    [
        ("variance", "variance", 1.0),
        ("second_moment", "second_moment", 1.0),
        ("std", "variance", 0.5),
    ],
)
def test_medians_bands_and_theory_are_those_at_the_end_of_the_pass(
    panel: int, quantity: str, statistic: Any, factor: float
) -> None:
    result = once(WIDTHS, quantity)
    ax = drawn(quantity=quantity).axes[panel]
    name, layer = AT[panel]
    measure: Measure = (name, statistic)  # type: ignore[assignment]  # of the table above
    ascending = [result.conditions[i] for i in (1, 0, 2)]  # widths 10, 20, 100
    values = factor * np.array([one.networks[measure][:, layer] for one in ascending])
    np.testing.assert_allclose(xs(ax, "median 0"), np.log10([10, 20, 100]), rtol=1e-15)
    for line, expected in (
        ("median 0", np.median(values, axis=1)),
        ("theory 0", [factor * one.theory[measure][layer] for one in ascending]),
    ):
        np.testing.assert_allclose(ys(ax, line), expected, rtol=0, atol=1e-12)
    _, low, high = edges(ax, "band 0")
    for reached, share in ((low, 0.05), (high, 0.95)):
        expected = np.quantile(values, share, axis=1)
        np.testing.assert_allclose(reached, expected, rtol=0, atol=1e-12)


def test_dotted_lines_are_the_quantiles_predicted_at_the_end() -> None:
    result = once(WIDTHS, "second_moment")
    for ax, (name, layer) in zip(drawn().axes, AT.values(), strict=True):
        for row, line in enumerate(("p05", "p50", "p95")):
            expected = [
                result.conditions[i].quantiles[name][row, layer]  # type: ignore[index]  # as above
                for i in (1, 0, 2)
            ]
            np.testing.assert_array_equal(ys(ax, f"predicted {line} 0"), expected)


def test_other_swept_keys_make_lines_of_their_own() -> None:
    result = once(GRID, "variance")
    first, second = drawn(GRID, "variance").axes
    lines = ["ReLU, $y$ = 0", "ReLU, $y$ = 1", "tanh, $y$ = 0", "tanh, $y$ = 1"]
    assert names(first) == names(second) == lines
    for index, name in enumerate(lines):
        activation, target = name.split(", $y$ = ")
        for depth, y in zip((2, 3, 6), ys(first, f"median {index}"), strict=True):
            swept = {
                "network.activation": activation.lower(),
                "network.depth": depth,
                "loss.target": float(target),
            }
            (one,) = (c for c in result.conditions if dict(c.condition.swept) == swept)
            values = one.networks["activation", "variance"]
            assert values.shape == (30, depth + 1)
            np.testing.assert_allclose(y, np.median(values[:, -1]), rtol=0, atol=1e-12)
    medians = [named(first, f"median {i}") for i in range(4)]
    hues = [to_hex(median.get_color()) for median in medians]
    assert hues == [*hues[:1] * 2, *hues[2:3] * 2]
    assert [median.is_dashed() for median in medians] == [False, True] * 2
    assert hues == [to_hex(named(second, f"median {i}").get_color()) for i in range(4)]


def test_a_single_line_needs_no_label() -> None:
    for ax in drawn().axes:
        assert names(ax) == []


def test_axes_say_what_is_shown() -> None:
    first, second = drawn().axes
    assert first.get_ylabel() == "Second moment of $h_K$"
    assert second.get_ylabel() == r"Second moment of $\partial\ell/\partial h_0$"
    assert first.get_xlabel() == second.get_xlabel() == "Width, $D_h$"
    assert [text.get_text() for text in first.get_xticklabels()] == ["10", "20", "100"]


@pytest.mark.parametrize(
    ("sweep", "logarithmic"),
    [
        ("network.width: [10, 100]", True),
        ("network.width: [10, 99]", False),
        ("loss.target: [-1, 100]", False),
        ("init.bias_variance: [0, 0.01, 1]", False),
    ],
)
def test_the_axis_is_logarithmic_from_a_factor_of_ten(sweep: str, logarithmic: bool) -> None:
    given = np.sort(np.array(next(iter(config(sweep).sweep.values())), float))
    ax = drawn(sweep).axes[0]
    expected = np.log10(given) if logarithmic else given
    np.testing.assert_array_equal(xs(ax, "median 0"), expected)
    shown = [text.get_text().replace("−", "-") for text in ax.get_xticklabels()]
    assert len(shown) >= 2
    places = [np.log10(float(t)) for t in shown] if logarithmic else [float(t) for t in shown]
    np.testing.assert_allclose(ax.get_xticks(), places, rtol=0, atol=1e-12)


def test_each_panel_fits_its_own_range_unless_it_is_given() -> None:
    first, second = drawn().axes
    assert first.get_ylim() != second.get_ylim()
    for ax in drawn(quantity="std, decades: [-3, 4]").axes:
        assert ax.get_ylim() == (-3.0, 4.0)


def test_dead_ends_leave_a_gap() -> None:
    result = deepcopy(once(WIDTHS, "second_moment"))
    for values in result.conditions[0].networks.values():
        values[:] = -np.inf
    figure = draw(result)
    for ax in figure.axes:
        np.testing.assert_array_equal(np.isnan(ys(ax, "median 0")), [False, True, False])
    assert caption(figure).endswith(" Dead or out of range: 1 of 3 points.")
    gradients = result.conditions[1].networks
    gradients["grad_activation", "second_moment"][:] = np.nan
    assert caption(draw(result)).endswith(
        "a: Dead or out of range: 1 of 3 points. b: Dead or out of range: 2 of 3 points."
    )


def test_a_prediction_is_drawn_alike() -> None:
    figure = draw(predict_sweep(config()))
    assert caption(figure).startswith("Thick: predicted median for one input. Band: 5–95 %")
    for ax, twin in zip(figure.axes, drawn().axes, strict=True):
        np.testing.assert_array_equal(ys(ax, "theory 0"), ys(twin, "theory 0"))
        assert np.isfinite(ys(ax, "median 0")).all()


def test_the_caption_says_what_is_what_and_nothing_of_the_other_pass() -> None:
    assert caption(drawn()) == (
        "Thick: median of 30 networks. Band: 5–95 %. Thin: theory, exact mean. "
        "Dotted: predicted for one input."
    )
