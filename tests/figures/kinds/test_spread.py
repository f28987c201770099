from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.text import Text

from heinit_sim.config import parse_config
from heinit_sim.experiment.inputs import Inputs
from heinit_sim.experiment.quantities import Pass, Quantity
from heinit_sim.experiment.results import Prediction
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.figures.draw import draw
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import variance_of_ln
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict, predict_sweep, predicted_variance_of_ln
from tests.conditions import unpredicted
from tests.figures.helpers import caption, edges, labels, ys
from tests.rows import slow_but


def config(
    network: str = "depth: 3, width: 6, input_dim: 5",
    *,
    trials: int = 20,
    count: int = 1,
    quantity: str = "second_moment",
    end: str = "",
) -> SweepConfig:
    return parse_config(f"""
name: x
network: {{{network}}}
init: {{scheme: he_normal}}
inputs: {{count: {count}}}
trials: {trials}
figure: {{kind: spread, quantity: {quantity}}}
{end}""")


def predicted(*arguments: str, **options: Any) -> Prediction:
    (one,) = predict(config(*arguments, **options).conditions)
    return one


def mean_square_error(errors: FloatArray) -> tuple[float, float]:
    """The mean of squared standard errors, and its own standard error."""
    return float((errors**2).mean()), float((errors**2).std() / np.sqrt(len(errors)))


def test_the_variance_is_that_of_natural_logarithms() -> None:
    log10 = np.random.default_rng(0).normal(3.0, 0.7, (30, 4))
    variance, _ = variance_of_ln(log10)
    natural = log10 * np.log(10)
    np.testing.assert_allclose(variance, natural.var(axis=0, ddof=1), rtol=1e-12)


def test_its_error_is_that_of_a_variance() -> None:
    # Normal numbers of variance 1: E[m₄] = 3 (n−1)²/n², E[S⁴] = (n+1)/(n−1).
    n, columns = 20, 40_000
    x = np.random.default_rng(1).normal(0.0, 1.0, (n, columns)) / np.log(10)
    _, errors = variance_of_ln(x)
    found, uncertain = mean_square_error(errors)
    fourth, squared = 3 * (n - 1) ** 2 / n**2, (n + 1) / (n - 1)
    expected = (fourth - squared * (n - 3) / (n - 1)) / n
    assert abs(found - expected) < 4 * uncertain
    planted = (fourth - squared) / n  # n−3 lost
    assert abs(found - planted) > 4 * uncertain


def test_dead_networks_are_left_out() -> None:
    log10 = np.random.default_rng(2).normal(0.0, 1.0, (10, 3))
    alive = log10[3:, 1].copy()
    log10[:3, 1] = -np.inf
    log10[1:, 2] = -np.inf
    variance, error = variance_of_ln(log10)
    (only,), (its_error,) = variance_of_ln(alive[:, np.newaxis])
    np.testing.assert_allclose([variance[1], error[1]], [only, its_error], rtol=1e-12)
    assert np.isnan(variance[2])
    assert np.isnan(error[2])


@pytest.mark.parametrize("direction", slow_but(["forward", "backward"], "backward"))
@pytest.mark.parametrize(
    "activation", slow_but(["relu", "linear", "{name: leaky_relu, negative_slope: 0.2}"], "relu")
)
def test_simulated_networks_spread_as_predicted(direction: Pass, activation: str) -> None:
    sampled = activation.startswith("{") or direction == "backward"
    width = 6
    network = f"depth: 3, width: WIDTH, input_dim: 5, activation: {activation}"
    result = unpredicted(config(network.replace("WIDTH", str(width)), trials=3000))
    (one,) = result.conditions
    quantity: Quantity = "activation" if direction == "forward" else "grad_activation"
    measured, error = variance_of_ln(one.networks[quantity, "second_moment"])

    def worst(width: int) -> float:
        theory = predicted_variance_of_ln(
            predicted(network.replace("WIDTH", str(width))), direction
        )
        # 4000 sampled networks beside 3000 simulated ones have √(3/4) of their error
        uncertain = error * (np.sqrt(1.75) if sampled else 1.0)
        return float(abs((measured - theory) / uncertain).max())

    assert worst(width) < 4.5
    assert worst(2 * width) > 4.5  # planted: the wrong width


@pytest.mark.parametrize(
    ("options", "direction"),
    [
        ({"network": "depth: 3, width: 6, input_dim: 5, activation: tanh"}, "forward"),
        ({"network": "depth: 3, width: 6, input_dim: 5, activation: tanh"}, "backward"),
        ({"end": "loss: {target: 1}"}, "backward"),
        ({"network": "depth: 300, width: 6, input_dim: 5"}, "backward"),  # dear to sample
        ({"network": "depth: 300, width: 6, input_dim: 5, activation: leaky_relu"}, "forward"),
    ],
)
def test_what_is_not_known_is_not_predicted(options: dict[str, Any], direction: Pass) -> None:
    assert np.isnan(predicted_variance_of_ln(predicted(**options), direction)).all()


@pytest.mark.parametrize(
    ("quantity", "factor"), [("second_moment", 1.0), ("variance", 1.0), ("std", 0.25)]
)
def test_lines_show_the_variance_its_error_and_theory(quantity: str, factor: float) -> None:
    result = unpredicted(config(quantity=quantity, count=2))
    (one,) = result.conditions
    figure = draw(result)
    for ax, direction in zip(figure.axes, ("forward", "backward"), strict=True):
        of: Any = "activation" if direction == "forward" else "grad_activation"
        statistic: Any = "second_moment" if quantity == "second_moment" else "variance"
        variance, error = variance_of_ln(one.networks[of, statistic])
        theory = predicted_variance_of_ln(one, direction)  # type: ignore[arg-type]  # a pass
        np.testing.assert_allclose(ys(ax, "median 0"), factor * variance, rtol=1e-12, atol=1e-12)
        known = theory if quantity == "second_moment" else np.full(4, np.nan)  # of that statistic
        np.testing.assert_allclose(ys(ax, "theory 0"), known, rtol=1e-12)
        layers, low, high = edges(ax, "band 0")
        assert layers[-1] == 3
        reach = factor * (variance[-1] + np.array([-2, 2]) * error[-1])
        np.testing.assert_allclose([low[-1], high[-1]], reach, rtol=1e-12)
        assert ax.get_ylim()[0] < 0
    assert figure.axes[0].get_ylabel() == f"Var [ ln {WORDS[quantity]} of $h_k$ ]"
    said = "Thick: variance over 20 networks. Band: ± 2 standard errors."
    thin = " Thin: theory of the second moment for one input."
    assert caption(figure) == said + thin * (quantity == "second_moment")


def test_lines_that_lie_on_each_other_have_one_name() -> None:
    sweep = "sweep: {init: [{variance: 0.01}, {variance: 0.3}, {variance: 4}]}"
    alike = draw(unpredicted(config("depth: 3, width: 6, input_dim: 5", end=sweep)))
    (label,) = labels(alike.axes[0])
    assert "0.01" in label.get_text()
    assert "4" in label.get_text()
    sweep = "sweep: {network.width: [3, 6, 40]}"
    apart = draw(unpredicted(config("depth: 3, input_dim: 5", end=sweep)))
    assert len(labels(apart.axes[0])) == 3


WORDS = {"second_moment": "second moment", "variance": "variance", "std": "standard deviation"}


def test_the_caption_is_silent_where_nothing_is_predicted() -> None:
    network = "depth: 3, width: 6, input_dim: 5, activation: tanh"
    figure = draw(unpredicted(config(network)))
    assert caption(figure) == "Thick: variance over 20 networks. Band: ± 2 standard errors."


def test_of_a_prediction_theory_is_drawn() -> None:
    found = predict_sweep(config())
    figure = draw(found)
    assert caption(figure).startswith("Thick: theory")
    for ax, direction in zip(figure.axes, ("forward", "backward"), strict=True):
        theory = predicted_variance_of_ln(found.conditions[0], direction)  # type: ignore[arg-type]  # a pass
        np.testing.assert_array_equal(ys(ax, "median 0"), theory)


@pytest.mark.parametrize(
    "activation", slow_but(["relu", "{name: leaky_relu, negative_slope: 0.2}"], "relu")
)
def test_inputs_of_another_law_bring_their_own_spread(activation: str) -> None:
    plain = config(f"depth: 3, width: 6, input_dim: 12, activation: {activation}", trials=3000)
    (standard,) = plain.conditions
    sparse = replace(standard, inputs=Inputs("sparse", density=0.2))
    (one,) = unpredicted(replace(plain, conditions=(sparse,))).conditions
    measured, error = variance_of_ln(one.networks["activation", "second_moment"])
    # 4000 sampled networks beside 3000 simulated ones have √(3/4) of their error
    found, planted = (
        abs(measured - predicted_variance_of_ln(replace(one, condition=of), "forward"))
        for of in (sparse, standard)
    )
    assert (found < 4.5 * np.sqrt(1.75) * error).all()
    assert (planted > 4.5 * np.sqrt(1.75) * error).all()


def test_a_label_without_a_line_says_why() -> None:
    tanh = predict_sweep(config("depth: 3, width: 6, input_dim: 5, activation: tanh"))
    dead = unpredicted(config("depth: 400, width: 1, input_dim: 5"))
    for result, expected in ((tanh, ["unknown"]), (dead, ["undefined in b"])):
        figure = draw(result)
        labels = [
            text.get_text()
            for text in figure.findobj(Text)
            if str(text.get_gid()).endswith("-name")
        ]
        assert [label.partition(" (")[2].rstrip(")") for label in labels] == expected


WIDTHS = "sweep: {network.width: [WIDTHS]}"


@pytest.mark.parametrize(("widths", "decades"), [("6, 60", False), ("6, 6000", True)])
def test_lines_that_end_decades_apart_have_a_logarithmic_axis(widths: str, decades: bool) -> None:
    given = config(trials=4, end=WIDTHS.replace("WIDTHS", widths) + "\nengine: conditional")
    constant = tuple(replace(c, inputs=Inputs("constant", mean=1.0)) for c in given.conditions)
    result = run_sweep(replace(given, conditions=constant))
    for ax in draw(result).axes:
        direction: Pass = "forward" if ax.get_gid() == "forward" else "backward"
        quantity: Quantity = "activation" if direction == "forward" else "grad_activation"
        for of in result.conditions:
            variance, _ = variance_of_ln(of.networks[quantity, "second_moment"])
            with np.errstate(divide="ignore"):  # at k = 0 all networks have one input
                shown = np.log10(variance) if decades else variance
            shown[np.isneginf(shown)] = np.nan
            np.testing.assert_array_equal(ys(ax, f"median {of.condition.index}"), shown)
        texts = [label.get_text() for label in ax.get_yticklabels()]
        if direction == "forward":  # gradients vary with the square of the one output as well
            assert any("10^" in text for text in texts) == decades
