"""The figure of gradients shows those of inputs beside that of the batch, on one axis."""

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import unpredicted
from tests.figures.helpers import caption, ys

CONFIG = """
name: x
network: {{depth: 4, width: 30, input_dim: 20, activation: {activation}}}
init: {{scheme: he_normal}}
inputs: {{count: 3}}
loss: {{target: 5}}
trials: 20
record: {{batch_gradient: true}}
figure: {{kind: gradients}}
sweep: {{inputs.count: [1, 6]}}
"""


def config(activation: str = "relu") -> SweepConfig:
    return parse_config(CONFIG.format(activation=activation))


MEASURES: list[Measure] = [("grad_weight", "second_moment"), ("grad_weight_batch", "second_moment")]


def test_gradients_of_inputs_stand_beside_that_of_the_batch_on_one_axis() -> None:
    result = unpredicted(config())
    figure = draw(result)
    for ax, measure in zip(figure.axes, MEASURES, strict=True):
        for n, of in enumerate(result.conditions):
            median = np.median(of.networks[measure], axis=0)
            np.testing.assert_allclose(ys(ax, f"median {n}"), median, rtol=1e-12)
            theory = of.theory[measure]
            np.testing.assert_allclose(ys(ax, f"theory {n}"), theory, rtol=1e-12)
    a, b = figure.axes
    assert a.get_ylim() == b.get_ylim()
    assert [ax.get_title("left") or ax.get_title("right") for ax in figure.axes] == [
        "a)  Gradients of inputs",
        "b)  Gradient of the batch",
    ]
    assert caption(figure) == (
        "Thick: median of 20 networks. Band: 5–95 %. Thin in a: exact mean. "
        "Thin in b: infinite width."
    )


@pytest.mark.parametrize(("activation", "texts"), [("tanh", 1), ("relu", 2)])
def test_of_a_prediction_theory_is_all_there_is(activation: str, texts: int) -> None:
    prediction = predict_sweep(config(activation))
    figure = draw(prediction)
    for ax, measure in zip(figure.axes, MEASURES, strict=True):
        for n, of in enumerate(prediction.conditions):
            theory = of.theory[measure]
            np.testing.assert_allclose(ys(ax, f"median {n}"), theory, rtol=1e-12)
    assert caption(figure).count("Thick") == texts


def test_the_axis_is_the_one_that_is_given() -> None:
    (ax,) = draw(unpredicted(config()), panels="backward", decades=[-2, 6]).axes
    assert ax.get_ylim() == (-2, 6)
