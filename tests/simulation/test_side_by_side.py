"""Passes that go through each layer together: the same bits as alone, whichever are beside them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.simulation import plan
from heinit_sim.simulation.measure import PassResult
from heinit_sim.simulation.plan import block_size, families, side_by_side
from heinit_sim.simulation.tasks import simulate_block
from tests.configs import CNN, parsed

NETWORK = "network: {{depth: 6, width: 24, input_dim: 20, output_dim: 3, {}}}"
TEXT = """\
name: a
{network}
inputs: {{count: 5}}
init: {{variance: 0.05}}
trials: 4
{rest}
"""
VARIANCES = "sweep: {init.variance: [0.001, 0.05, 1.0, 0.25]}"
BLOCK = "activation: gelu, block: [{}, add]"
STACKED = {
    "tanh": ("activation: tanh", VARIANCES),
    "gelu, histograms": ("activation: gelu", f"record: {{histograms: std}}\n{VARIANCES}"),
    "silu, decades, cosines": (
        "activation: silu",
        f"record: {{histograms: decades, cosine: true}}\n{VARIANCES}",
    ),
    "tanh, batch gradients": (
        "activation: tanh",
        f"record: {{batch_gradient: true}}\n{VARIANCES}",
    ),
    "blocks, batch gradients": (
        BLOCK.format("norm, {gate: {activation: silu}}, weights"),
        f"record: {{batch_gradient: true}}\n{VARIANCES}",
    ),
    "relu, histograms": ("activation: relu", f"record: {{histograms: std}}\n{VARIANCES}"),
    "activations": ("activation: relu", "sweep: {network.activation: [tanh, silu, erf, sin]}"),
    "biases": ("activation: relu", "sweep: {init.bias_variance: [0.1, 1, 2]}"),
    "constant biases": ("activation: selu", "sweep: {init.bias: [0.1, 1, -2]}"),
    "targets": ("activation: relu", "sweep: {loss.target: [0.5, 1, 1e-30, -1e30]}"),
    "far apart": ("activation: elu", "sweep: {init.variance: [1e-60, 1e-9, 1, 1e40]}"),
    "scaled, far apart": (
        "activation: relu",
        "record: {histograms: std}\nsweep: {init.variance: [1e-300, 1e-9, 4, 1e300]}",
    ),
    "layer norm": (BLOCK.format("norm, activation, weights"), VARIANCES),
    "batch norm": (BLOCK.format("weights, {norm: {kind: batch}}, activation"), VARIANCES),
    "gate": (BLOCK.format("norm, {gate: {activation: silu}}, weights"), VARIANCES),
    "dropout": (BLOCK.format("weights, activation, {dropout: {rate: 0.3}}"), VARIANCES),
}


def config_of(name: str) -> SweepConfig:
    network, rest = STACKED[name]
    return parsed(TEXT.format(network=NETWORK.format(network), rest=rest))


def assert_same_bits(found: PassResult, expected: PassResult) -> None:
    kinds: Iterable[tuple[Mapping[Any, Any], Mapping[Any, Any]]] = zip(found, expected, strict=True)
    for kind, wanted in kinds:
        assert kind.keys() == wanted.keys()
        for key, numbers in kind.items():
            np.testing.assert_array_equal(numbers, wanted[key], strict=True)


@pytest.mark.parametrize("name", STACKED)
def test_a_stack_has_the_bits_of_its_passes_alone(name: str) -> None:
    (family,) = families(config_of(name))
    assert [len(stack) for stack in side_by_side(family)] == [len(family)]
    together = simulate_block(7, family, range(4), spare=[])
    for network_pass, result in zip(family, together, strict=True):
        (alone,) = simulate_block(7, [network_pass], range(4), spare=[])
        assert_same_bits(result, alone)
        (first,) = simulate_block(7, [network_pass], range(1), spare=[])
        for measure, numbers in first.networks.items():
            np.testing.assert_array_equal(result.networks[measure][:1], numbers)


def test_other_activations_lead_to_other_numbers() -> None:
    """A stack that took one activation for all would have the bits of none but the first."""
    (family,) = families(config_of("activations"))
    results = simulate_block(7, family, range(1), spare=[])
    seen = {result.networks["activation", "variance"].tobytes() for result in results}
    assert len(seen) == len(family)


def test_passes_of_unlike_steps_go_apart() -> None:
    names = "[relu, tanh, leaky_relu, gelu]"
    rest = f"sweep: {{network.activation: {names}, init.bias_variance: [0, 1]}}"
    config = parsed(TEXT.format(network=NETWORK.format("activation: relu"), rest=rest))
    (family,) = families(config)
    stacks = [[p.layers[0][1].function for p in stack] for stack in side_by_side(family)]  # type: ignore[union-attr]  # all rows are [weights, activation]
    curves = ["tanh", "gelu"]
    assert stacks == [["relu"], ["relu"], curves, curves, ["leaky_relu"], ["leaky_relu"]]


ALONE = {
    "convolutions": CNN.replace(
        "scheme: he_normal", "scheme: he_normal\nsweep: {loss.target: [1, 2]}"
    ),
    "lsuv": TEXT.format(
        network=NETWORK.format("activation: tanh"), rest="sweep: {loss.target: [1, 2]}"
    ).replace("variance: 0.05", "scheme: lsuv"),
}


@pytest.mark.parametrize("name", ALONE)
def test_networks_with_more_than_products_go_alone(name: str) -> None:
    (family,) = families(parsed(ALONE[name]))
    assert [len(stack) for stack in side_by_side(family)] == [1, 1]


def test_stacks_end_where_their_arrays_leave_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    (family,) = families(config_of("tanh"))
    one = 8 * block_size(family) * 24 * 5
    monkeypatch.setattr(plan, "_STACK_BYTES", 3 * one)
    assert [len(stack) for stack in side_by_side(family)] == [3, 1]
    monkeypatch.setattr(plan, "_STACK_BYTES", one - 1)
    assert [len(stack) for stack in side_by_side(family)] == [1, 1, 1, 1]
