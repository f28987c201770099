import numpy as np
import pytest
from matplotlib.axes import Axes

from heinit_sim.checks.verdict import error_of_slope
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import unpredicted
from tests.figures.helpers import caption, edges, xs, ys

VARIANCES = (0.05, 0.25, 2.0)
JUDGED: tuple[tuple[Measure, int], ...] = (
    (("activation", "variance"), 1),
    (("grad_activation", "variance"), -1),  # towards the input
)


def config(quantity: str = "variance", sweep: str = "", trials: int = 50) -> SweepConfig:
    return parse_config(f"""
name: x
network: {{depth: 5, width: 8, input_dim: 8}}
init: {{}}
inputs: {{count: 2}}
sweep: {{init.variance: [0.25, 2.0, 0.05]{sweep}}}
trials: {trials}
figure: {{kind: slopes, quantity: {quantity}}}
""")


def filled(ax: Axes, name: str) -> FloatArray:
    """Lower and upper edge of a filled area at each variance, (3, 2)."""
    x, low, high = edges(ax, name)
    np.testing.assert_allclose(x, np.log10(VARIANCES), rtol=1e-15, atol=0)
    return np.array([low, high]).T


@pytest.mark.parametrize(("quantity", "factor"), [("variance", 1.0), ("std", 0.5)])
def test_slopes_are_of_the_median_network_with_their_error(quantity: str, factor: float) -> None:
    result = unpredicted(config(quantity))
    x = np.log10(VARIANCES)
    for ax, (measure, sign) in zip(draw(result).axes, JUDGED, strict=True):
        slopes, errors = [], []
        for i in (2, 0, 1):  # variances ascending
            values = result.conditions[i].networks[measure][:, 1:]
            k = np.arange(1, 6)
            slopes.append(sign * factor * np.polyfit(k, np.median(values, axis=0), 1)[0])
            errors.append(factor * error_of_slope(values))
        np.testing.assert_allclose(xs(ax, "median 0"), x, rtol=1e-15)
        np.testing.assert_allclose(ys(ax, "median 0"), slopes, rtol=0, atol=1e-12)
        around = np.add.outer(slopes, [0, 0]) + np.multiply.outer(errors, [-2, 2])
        np.testing.assert_allclose(filled(ax, "band 0"), around, rtol=0, atol=1e-12)
        # a ReLU network of infinite width: 8 σ²/2 per layer in either pass
        theory = factor * np.log10(4 * np.array(VARIANCES))
        np.testing.assert_allclose(ys(ax, "theory 0"), theory, rtol=0, atol=1e-9)
        assert set(ys(ax, "level")) == {0.0}


def test_what_is_called_stable_is_grey_below_a_single_line() -> None:
    result = unpredicted(config())
    spread = 5 * 5 / 8  # Hanin & Nica: variance over networks of ln of 5 layers of 8 units
    drift = -spread / 2 / 5 / np.log(10)
    allowed = 1 / 5
    for ax in draw(result).axes:
        expected = np.tile([drift - allowed, drift + allowed], (3, 1))
        found = filled(ax, "stable")
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert "Grey: called stable" in caption(draw(result))


def test_several_lines_have_no_grey_between_them() -> None:
    figure = draw(unpredicted(config(sweep=", network.activation: [relu, tanh]")))
    for ax in figure.axes:
        assert "stable" not in {area.get_label() for area in ax.collections}
        assert {"median 0", "median 1"} < {line.get_label() for line in ax.lines}
    assert "Grey" not in caption(figure)


def test_both_panels_share_a_range_that_holds_level() -> None:
    first, second = draw(unpredicted(config())).axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_ylim()[0] < 0 < first.get_ylim()[1]
    assert first.get_ylabel() == "Variance of $h_k$, decades per layer"


def test_one_network_has_a_slope_without_an_error() -> None:
    figure = draw(unpredicted(config(trials=1)))
    assert caption(figure).startswith("Thick: slope of one network. Thin")
    for ax in figure.axes:
        (band,) = (area for area in ax.collections if area.get_label() == "band 0")
        assert not band.get_paths()


def test_of_a_prediction_the_slopes_of_infinite_width_are_drawn() -> None:
    figure = draw(predict_sweep(config("std")))
    assert caption(figure) == "Thick: predicted, infinite width."
    for ax in figure.axes:
        expected = np.log10(4 * np.array(VARIANCES)) / 2
        np.testing.assert_allclose(ys(ax, "median 0"), expected, rtol=0, atol=1e-9)
