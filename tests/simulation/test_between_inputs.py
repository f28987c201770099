"""Variances between inputs of whole passes, against slow loops over the numbers of their layers."""

import math
from collections.abc import Iterator

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, Measure, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.network.passes import LayerName, Stack, iter_forward
from heinit_sim.simulation import directions
from tests.conditions import unpredicted
from tests.simulation.plain_networks import plain_layers

Array = np.ndarray
FORWARD: tuple[Quantity, ...] = ("preactivation", "activation")


def simulate(text: str) -> ConditionResult:
    return unpredicted(parse_config(f"name: x\n{text}")).conditions[0]


def plain(z: Array) -> float:
    """Mean over units of the variance of what the inputs make of each, in plain loops."""
    variances = []
    for row in z.tolist():
        mean = math.fsum(row) / len(row)
        variances.append(math.fsum((x - mean) ** 2 for x in row) / len(row))
    return math.fsum(variances) / len(variances)


DENSE = "{{depth: 3, width: [6, 5, 4], input_dim: 7, output_dim: 2, activation: {}}}"


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("biases", ["", ", bias_variance: 0.3"])
@pytest.mark.parametrize("inputs", ["{count: 5}", "{count: 4, distribution: pair, cosine: 0.9}"])
def test_networks_show_the_variances_of_a_plain_pass(
    activation: str, biases: str, inputs: str
) -> None:
    result = simulate(
        f"network: {DENSE.format(activation)}\ninit: {{variance: 0.3{biases}}}\n"
        f"inputs: {inputs}\ntrials: 9\n"
    )
    for trial in range(9):
        layers = plain_layers(0, result.condition, trial)
        for quantity in FORWARD:
            found = result.networks[quantity, BETWEEN_INPUTS][trial]
            expected = [plain(z) for z in layers[quantity]]
            # inputs that are alike to 1 % lose four digits of the plain pass's 16
            np.testing.assert_allclose(10**found, expected, rtol=1e-10, atol=0)


RESIDUAL = "{{depth: 4, width: 6, input_dim: 6, activation: {}, block: [activation, weights, {}]}}"
NETWORKS = {
    "convolution": "{kind: cnn, depth: 3, image: [4], kernel: 3, channels: 3, output_dim: 2}",
    "average": "{kind: cnn, depth: 2, image: [2, 2], kernel: 3, channels: 3, readout: mean}",
    "blocks": RESIDUAL.format("relu", "norm, activation, weights, add"),
    "biased blocks": RESIDUAL.format("tanh", "{add: {scale: 2}}"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_every_kind_are_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[LayerName, Array] = {}

    def noted(*given: object) -> Iterator[Stack]:
        for stack in iter_forward(*given):  # type: ignore[arg-type]  # as they come
            for layer, z in stack.layers():
                seen[layer] = np.ldexp(z.mantissa, np.reshape(z.exponent, (-1, 1, 1)))
            yield stack

    monkeypatch.setattr(directions, "iter_forward", noted)
    biases = ", bias_variance: 0.2" * ("biased" in name)
    result = simulate(
        f"network: {NETWORKS[name]}\ninit: {{scheme: he_normal{biases}}}\n"
        "inputs: {count: 4}\ntrials: 3\nseed: 1\ndraws: independent\n"
    )
    for (quantity, k), layers in seen.items():
        found = result.networks[quantity, BETWEEN_INPUTS][:, k]
        second = result.networks[quantity, "second_moment"][:, k]
        for trial, z in enumerate(layers):
            expected = math.log10(plain(z) / np.mean(z**2))  # which the scale law leaves
            np.testing.assert_allclose(
                found[trial] - second[trial], expected, rtol=1e-9, atol=1e-11
            )
    assert set(seen) == {(q, k) for q in FORWARD for k in range(result.condition.depth + 1)}


def test_biases_hide_that_every_input_gives_the_same_output() -> None:
    result = simulate(
        "network: {depth: 50, width: 100, input_dim: 100}\ntrials: 5\ninputs: {count: 10}\n"
        f"init: {{scheme: torch_linear_default, bias_variance: {1 / 300}}}\n"
    )
    variance, between = (
        np.median(result.networks["activation", s], axis=0) for s in ("variance", BETWEEN_INPUTS)
    )
    assert np.ptp(variance[5:]) < 0.5
    # χ₁ = fan_in σ²/2 = 1/6 for each layer, until what is left is rounding: 1e-16 of the numbers
    slope = np.polyfit(np.arange(5, 36), between[5:36], 1)[0]
    assert abs(slope - math.log10(1 / 6)) < 0.05
    assert (between[45:] - variance[45:] < -28).all()


def test_one_input_differs_from_no_other() -> None:
    for activation in ("relu", "tanh"):
        network = f"{{depth: 2, width: 3, input_dim: 3, activation: {activation}}}"
        result = simulate(
            f"network: {network}\ninit: {{variance: 1}}\ninputs: {{count: 1}}\ntrials: 2\n"
        )
        for quantity in FORWARD:
            measured: Measure = (quantity, BETWEEN_INPUTS)
            assert np.isnan(result.networks[measured]).all()
            assert np.isnan(result.theory[measured]).all()
            assert np.isnan(result.mean_field[measured]).all()
