import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import FigureConfig
from heinit_sim.figures.curves import QUANTITIES, curves_of, labels_of
from heinit_sim.figures.draw import draw
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import with_layers
from tests.figures.helpers import caption, labels, panels, sweep_result, walks, ys


@pytest.mark.parametrize(
    ("swept", "label"),
    [
        ({}, r"$\sigma^2_\Omega$ = 0.02"),
        ({"init.variance": 1.0}, r"$\sigma^2_\Omega$ = 1"),
        ({"init.variance": 1e-05}, r"$\sigma^2_\Omega$ = $10^{-5}$"),
        ({"init.variance": 2.5e-07}, r"$\sigma^2_\Omega$ = $2.5\times10^{-7}$"),
        ({"network.width": 1000000}, "width = 1000000"),
        ({"network.input_dim": 7}, "input dim = 7"),
        ({"network.activation": "tanh"}, "activation = tanh"),
        (
            {"network.activation": {"name": "leaky_relu", "negative_slope": 0.2}},
            "activation = leaky_relu 0.2",
        ),
        ({"network.width": [100, 50, 25]}, "width = 100 50 25"),
        ({"network.width": list(range(100, 130))}, "width = 100 101 102 103 104 105…"[:31] + "…"),
        (
            {"init.variance": 0.02, "network.width": 50, "network.activation": "relu"},
            r"$\sigma^2_\Omega$=0.02, width=50, relu",
        ),
    ],
)
def test_labels_say_what_was_swept(swept: Mapping[str, object], label: str) -> None:
    result = sweep_result([walks(0.0, 5, seed=0)], swept=[swept])
    for ax in panels(draw(result)):
        assert [text.get_text() for text in labels(ax)] == [label]


LONG = {"scheme": "variance_scaling", "scale": 2, "mode": "fan_in"}


@pytest.mark.parametrize("kind", ["layers", "spread"])
def test_no_two_conditions_have_the_same_label(kind: str) -> None:
    swept: list[Mapping[str, object]] = [
        {"init": LONG | {"scale": scale}, "network.width": width}
        for scale, width in itertools.product((1, 2), (5, 6))
    ]
    sweep = [walks(0.0, 5, seed=n) for n in range(4)]
    result = sweep_result(sweep, swept=swept, figure=FigureConfig(kind=kind))
    for ax in panels(draw(result)):
        assert {text.get_text() for text in labels(ax)} == {
            f"…scale={scale} fan_in, width={width}" for scale in (1, 2) for width in (5, 6)
        }


def test_a_range_of_variances_is_rounded() -> None:
    result = sweep_result([walks(0.0, 5, seed=0)])
    of = result.conditions[0].condition
    variances = (2 / 21, *of.weight_variances[1:])
    assert labels_of([with_layers(of, weight_variances=variances)])[0] == (
        r"$\sigma^2_\Omega$ = 0.02–0.09524"
    )


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
    (curve,) = curves_of(result, "forward")
    assert curve.predicted is not None
    shares = curve.predicted / factor - result.conditions[0].quantiles["activation"]
    expected = np.broadcast_to(np.where(np.arange(7) > 0, share, 0.0), (3, 7))
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)  # of numbers below 10
    prediction = predict_sweep(result.config)
    (alone,) = curves_of(prediction, "forward")
    exact = prediction.conditions[0].quantiles["activation"]
    shares = np.array([alone.low, alone.middle, alone.high]) / factor - exact
    np.testing.assert_allclose(shares, expected, rtol=0, atol=1e-13)


def test_predicted_lines_are_the_quantiles_from_low_to_high(one_variance: SweepResult) -> None:
    for ax, direction in zip(panels(draw(one_variance)), QUANTITIES, strict=True):
        (curve,) = curves_of(one_variance, direction)
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
    assert ("Dotted: predicted median" in caption(figure)) == shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("", ""), "predicted median for one input; band: 5–95 % of networks"),
        (("trials", "loss: {target: 1}\ntrials"), "predicted mean, or median and 5–95 % band"),
        (("{depth", "{activation: tanh, depth"), "predicted mean. Thin"),
    ],
    ids=["relu", "a target", "tanh"],
)
def test_captions_of_predictions_say_where_it_is_a_mean(change: tuple[str, str], said: str) -> None:
    figure = draw(predict_sweep(parse_config(simulated().replace(*change))))
    assert f"Thick: {said}" in caption(figure)
