"""The figure of a step of training shows what was recorded, against the width."""

import numpy as np

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.figures.draw import draw
from heinit_sim.theory.predictions import predict_sweep
from tests.conditions import unpredicted
from tests.figures.helpers import caption, ys

PANELS: list[Quantity] = ["activation_update", "preactivation_update"]
CONFIG = parse_config("""
name: x
network: {depth: 2, input_dim: 20, output_dim: 3}
init: {scheme: he_normal}
trials: 20
record: {update: {learning_rate: 0.1}}
sweep: {network.width: [32, 8, 128], record.update.optimiser: [sgd, adam]}
figure: {kind: update}
""")


def test_medians_of_the_last_layers_are_drawn_in_the_order_of_widths() -> None:
    result = unpredicted(CONFIG)
    figure = draw(result)
    for ax, quantity in zip(figure.axes, PANELS, strict=True):
        for n in range(2):
            places = [2 + n, n, 4 + n]
            sizes = [
                result.conditions[place].networks[quantity, "second_moment"][:, -1] / 2
                for place in places
            ]
            drawn = ys(ax, f"median {n}")
            np.testing.assert_allclose(drawn, np.median(sizes, axis=1), rtol=1e-12, atol=0)
            (line,) = (line for line in ax.lines if line.get_label() == f"median {n}")
            np.testing.assert_allclose(np.array(line.get_xdata()), np.log10([8, 32, 128]))
    assert [ax.get_title("left") or ax.get_title("right") for ax in figure.axes] == [
        "a)  Last hidden layer",
        "b)  Output",
    ]
    assert caption(figure).startswith("Thick: median of 20 networks. Band: 5–95 %.")


def test_a_prediction_shows_its_layers() -> None:
    figure = draw(predict_sweep(CONFIG))
    assert figure.axes[0].get_title("left") == "a)  Forward pass"
