"""The figure of units shows what was recorded, beside its theory."""

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import unpredicted
from tests.figures.helpers import caption, ys

CONFIG = """
name: x
network: {depth: 4, width: 30, input_dim: 20}
init: {scheme: he_normal}
inputs: {count: 3}
trials: 20
record: {units: true}
figure: {kind: units}
sweep: {network.activation: [relu, tanh]}
"""


def config() -> SweepConfig:
    return parse_config(CONFIG)


def test_shares_stand_beside_directions_from_layer_one_on() -> None:
    result = unpredicted(config())
    figure = draw(result)
    a, b = figure.axes
    for n, of in enumerate(result.conditions):
        off = np.median(of.ratios["activation", "off_share"], axis=0)[1:]
        saturated = np.median(of.ratios["activation", "saturated_share"], axis=0)[1:]
        directions = np.median(of.ratios["activation", "participation_ratio"], axis=0)
        np.testing.assert_allclose(ys(a, f"median {n}"), off, rtol=1e-12, atol=0)
        np.testing.assert_allclose(ys(a, f"behind {n}"), saturated, rtol=1e-12, atol=0)
        np.testing.assert_allclose(ys(b, f"median {n}"), directions, rtol=1e-12, atol=0)
        theory = of.theory_ratios["activation", "off_share"][1:]
        np.testing.assert_array_equal(ys(a, f"theory {n}"), theory)
    assert [ax.get_title("left") or ax.get_title("right") for ax in figure.axes] == [
        "a)  Units that are off",
        "b)  Directions that inputs differ in",
    ]
    assert caption(figure) == (
        "Thick: median of 20 networks. Band: 5–95 %. Dashed in a: share of numbers that are "
        "saturated. Thin: theory of wide layers."
    )


def test_one_panel_alone_is_drawn_and_holds_both_ends() -> None:
    (ax,) = draw(unpredicted(config()), panels="forward").axes
    low, high = ax.get_ylim()
    assert low < 0
    assert high > 1


def test_of_a_prediction_theory_is_all_there_is() -> None:
    prediction = predict_sweep(config())
    a, _ = draw(prediction).axes
    for n, of in enumerate(prediction.conditions):
        theory = of.theory_ratios["activation", "off_share"][1:]
        np.testing.assert_array_equal(ys(a, f"median {n}"), theory)
