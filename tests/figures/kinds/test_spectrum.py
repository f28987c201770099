"""The figure of singular values shows what was recorded, beside its theory."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from heinit_sim.config import parse_config
from heinit_sim.experiment.records import Output
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.simulation import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.figures.helpers import caption, ys

VALUES: Output = "log10_singular_values"
N = 20


def config(end: str = "") -> SweepConfig:
    return parse_config(f"""
name: x
network: {{depth: 2, width: {N}, input_dim: {N}, output_dim: {N}, activation: linear}}
init: {{scheme: lecun_normal}}
trials: 8
record: {{jacobian: true}}
figure: {{kind: spectrum}}
{end}""")


def xs(ax: Axes, label: str) -> np.ndarray:
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return np.asarray(line.get_xdata(), float)


def test_singular_values_stand_in_order_beside_their_density() -> None:
    result = run_sweep(config("sweep: {init.scheme: [lecun_normal, orthogonal]}"))
    figure = draw(result)
    a, b = figure.axes
    for n, of in enumerate(result.conditions):
        median = np.median(of.outputs[VALUES], axis=0)
        np.testing.assert_allclose(ys(a, f"median {n}")[1:-1], median, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(xs(a, f"median {n}")[1:-1], (np.arange(N) + 0.5) / N)
        theory = of.theory_outputs[VALUES]
        between = (theory[1:] + theory[:-1]) / 2
        np.testing.assert_allclose(ys(a, f"theory {n}")[1:-2], between, rtol=1e-12, atol=1e-14)
        x, density = xs(b, f"median {n}"), ys(b, f"median {n}")
        assert density.sum() * (x[1] - x[0]) == pytest.approx(1.0, abs=0.02)
        mean = (x * density).sum() / density.sum()
        assert mean == pytest.approx(of.outputs[VALUES].mean(), abs=x[1] - x[0])
    assert [ax.get_title("left") or ax.get_title("right") for ax in figure.axes] == [
        r"a)  Singular values of $\partial f_K/\partial x$",
        "b)  Their density",
    ]
    assert caption(figure) == (
        "Thick in a: median of 8 networks. Thick in b: density over 8 networks. Band in a: 5–95 %. "
        "Thin: theory of wide layers. b: Tallest peaks cut off."
    )


def test_lines_end_where_singular_values_are_zero() -> None:
    result = run_sweep(config("sweep: {network.activation: [relu]}"))
    figure = draw(result)
    line = ys(figure.axes[0], "median 0")
    assert np.isfinite(line[: N // 5]).all()
    assert np.isnan(line[-N // 5 :]).all()
    assert "Lines end where singular values are 0" in caption(figure)
    x = xs(figure.axes[1], "median 0")
    share = ys(figure.axes[1], "median 0").sum() * (x[1] - x[0])
    # Those of a network that are smaller than all medians are off the axis.
    known = np.isfinite(result.conditions[0].outputs[VALUES]).mean()
    assert 0.8 * known < share <= known + 1e-12


def test_decades_are_the_range_of_singular_values() -> None:
    a, b = draw(run_sweep(config()), decades=[-3, 1]).axes
    assert a.get_ylim() == (-3, 1)
    assert b.get_xlim() == (-3, 1)


def test_one_output_is_one_level_line() -> None:
    result = run_sweep(config("sweep: {network.output_dim: [1]}"))
    line = ys(draw(result).axes[0], "median 0")
    np.testing.assert_allclose(line, np.median(result.conditions[0].outputs[VALUES]))


def test_of_a_prediction_theory_is_all_there_is() -> None:
    prediction = predict_sweep(config())
    figure = draw(prediction)
    theory = prediction.conditions[0].theory_outputs[VALUES]
    assert ys(figure.axes[0], "median 0")[0] == theory[0]
    assert caption(figure) == "Thick: theory of wide layers."


def test_where_no_theory_is_known_a_prediction_is_an_empty_figure() -> None:
    prediction = predict_sweep(config("sweep: {network.activation: [tanh]}"))
    assert np.isnan(prediction.conditions[0].theory_outputs[VALUES]).all()
    for ax in draw(prediction).axes:
        assert np.isfinite(ax.get_ylim()).all()
