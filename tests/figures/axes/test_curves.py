from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.results import SweepResult
from heinit_sim.figures.axes.curves import QUANTITIES, curves_of
from heinit_sim.figures.draw import draw
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.figures.helpers import SHEET, caption, panels, ys


def simulated(
    *, width: int = 8, variances: str = "[0.25]", quantity: str = "variance", end: str = ""
) -> str:
    return f"""
name: x
network: {{depth: 6, width: {width}, input_dim: {width}}}
init: {{}}
inputs: {{count: 3}}
sweep: {{init.variance: {variances}}}
figure: {{quantity: {quantity}}}
trials: 20
{end}"""


@pytest.fixture(scope="module")
def one_variance() -> SweepResult:
    return run_sweep(parse_config(simulated()))


@pytest.mark.parametrize(
    ("quantity", "share", "factor"),
    [
        ("variance", np.log10(1 - 1 / np.pi), 1.0),
        ("second_moment", 0.0, 1.0),
        ("std", np.log10(1 - 1 / np.pi), 0.5),
    ],
)
def test_bands_are_of_the_statistic_shown(
    quantity: str, share: float, factor: float, one_variance: SweepResult
) -> None:
    # z ~ N(0, 1): E[max(z, 0)²] = 1/2, E[max(z, 0)]² = 1/(2π); the inputs have mean 0
    result = replace(one_variance, config=parse_config(simulated(quantity=quantity)))
    (curve,) = curves_of(result, "forward", SHEET)
    assert curve.predicted is not None
    shares = curve.predicted / factor - result.conditions[0].quantiles["activation"]
    expected = np.broadcast_to(np.where(np.arange(7) > 0, share, 0.0), (3, 7))
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)  # of numbers below 10
    prediction = predict_sweep(result.config)
    (alone,) = curves_of(prediction, "forward", SHEET)
    exact = prediction.conditions[0].quantiles["activation"]
    shares = np.array([alone.low, alone.middle, alone.high]) / factor - exact
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)


def test_predicted_lines_are_the_quantiles_from_low_to_high(one_variance: SweepResult) -> None:
    for ax, direction in zip(panels(draw(one_variance)), QUANTITIES, strict=True):
        (curve,) = curves_of(one_variance, direction, SHEET)
        assert curve.predicted is not None
        low, median, high = curve.predicted
        assert ((low < median) & (median < high)).all()
        for name, values in (("p05", low), ("p50", median), ("p95", high)):
            assert np.array_equal(ys(ax, f"predicted {name} 0"), values)


@pytest.mark.parametrize(
    ("width", "variances", "shown"), [(8, "[0.25]", True), (100, "[1.0e-6, 1.0e+3]", False)]
)
def test_predicted_bands_are_drawn_and_explained_where_they_can_be_told_from_their_median(
    width: int, variances: str, shown: bool
) -> None:
    figure = draw(run_sweep(parse_config(simulated(width=width, variances=variances))))
    for ax in panels(figure):
        dotted = [line for line in ax.get_lines() if str(line.get_label()).startswith("predicted")]
        assert bool(dotted) == shown
    assert ("Dotted: predicted for one input" in caption(figure)) == shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("", ""), "predicted median for one input. Band: 5–95 % of networks."),
        (
            ("trials", "loss: {target: 1}\ntrials"),
            "predicted mean or predicted median for one input. Band",
        ),
        (("{depth", "{activation: tanh, depth"), "predicted mean. Thin"),
    ],
    ids=["relu", "a target", "tanh"],
)
def test_captions_of_predictions_say_where_it_is_a_mean(change: tuple[str, str], said: str) -> None:
    figure = draw(predict_sweep(parse_config(simulated().replace(*change))))
    assert f"Thick: {said}" in caption(figure)
