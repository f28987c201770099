"""The figure of cosines shows what was recorded, beside its theory."""

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import unpredicted
from tests.figures.helpers import caption, ys

PANELS: list[Quantity] = ["activation", "preactivation"]


def config(end: str = "", trials: int = 20) -> SweepConfig:
    return parse_config(f"""
name: x
network: {{depth: 4, width: 30, input_dim: 20}}
init: {{scheme: he_normal}}
inputs: {{count: 3}}
trials: {trials}
record: {{cosine: true}}
figure: {{kind: cosine}}
{end}""")


def test_medians_of_both_quantities_are_drawn_over_their_theory() -> None:
    result = unpredicted(config("sweep: {network.activation: [relu, tanh]}"))
    figure = draw(result)
    for ax, quantity in zip(figure.axes, PANELS, strict=True):
        layers = slice(None) if quantity == "activation" else slice(-1)  # f_K is left out
        for n, of in enumerate(result.conditions):
            median = np.median(of.ratios[quantity, "cosine"], axis=0)
            np.testing.assert_allclose(ys(ax, f"median {n}"), median[layers], rtol=1e-12, atol=0)
            theory = of.theory_ratios[quantity, "cosine"][layers]
            np.testing.assert_array_equal(ys(ax, f"theory {n}"), theory)
    assert [ax.get_title("left") or ax.get_title("right") for ax in figure.axes] == [
        "a)  Activations",
        "b)  Pre-activations",
    ]
    assert caption(figure) == ("Thick: median of 20 networks. Band: 5–95 %. Thin: infinite width.")


def test_the_axis_is_linear_and_holds_zero_and_one() -> None:
    for ax in draw(unpredicted(config())).axes:
        low, high = ax.get_ylim()
        assert low < 0
        assert high > 1
        assert ax.get_yscale() == "linear"
        assert "1" in [label.get_text() for label in ax.get_yticklabels()]


def test_of_a_prediction_theory_is_all_there_is() -> None:
    prediction = predict_sweep(config())
    figure = draw(prediction)
    for ax, quantity in zip(figure.axes, PANELS, strict=True):
        theory = prediction.conditions[0].theory_ratios[quantity, "cosine"]
        layers = slice(None) if quantity == "activation" else slice(-1)
        np.testing.assert_array_equal(ys(ax, "median 0"), theory[layers])
    assert caption(figure) == "Thick: theory, infinite width."


def test_one_network_is_called_one() -> None:
    figure = draw(unpredicted(config(trials=1)))
    assert caption(figure) == "Thick: one network. Thin: infinite width."


def test_networks_that_die_are_said_to_be_missing() -> None:
    result = unpredicted(config("sweep: {network.width: [1]}", trials=3))
    figure = draw(result)
    assert "Dead or out of range:" in caption(figure)
