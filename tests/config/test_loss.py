"""The section `loss`: which keys each loss has, and what it asks of the network."""

import pytest

from heinit_sim.config import parse_config, to_yaml
from heinit_sim.experiment.sweep_config import Loss
from tests.configs import DENSE, parsed, problems

CLASSES = DENSE.replace("  input_dim: 5\n", "  input_dim: 5\n  output_dim: 3\n")
NAMES = "sweep: {loss.name: [least_squares, cross_entropy, probe]}\n"


def test_each_loss_is_known_and_least_squares_is_the_default() -> None:
    losses = [condition.loss for condition in parsed(CLASSES + NAMES).conditions]
    assert losses == [Loss(), Loss("cross_entropy"), Loss("probe")]
    assert parsed(DENSE).conditions[0].loss == Loss("least_squares", 0.0)


@pytest.mark.parametrize(
    "more",
    [
        "loss: {name: probe}\n",
        "loss: {name: cross_entropy}\n",
        NAMES,
        "sweep: {loss.target: [0, 2]}\n",
        "sweep: {loss.name: [least_squares]}\nloss: {target: 2}\n",
    ],
)
def test_the_resolved_config_is_the_same_config(more: str) -> None:
    config = parsed(CLASSES + more)
    assert parse_config(to_yaml(config.document), "again") == config


OUT = "must be left out"
NAMED = "must be one of least_squares, cross_entropy, probe"
WRONG = {
    "loss: {name: probe, target: 0.5}\n": (
        f"9:29: error: loss.target: probe has no such option (0.5), {OUT}"
    ),
    "loss: {target: 0, name: cross_entropy}\n": (
        f"9:16: error: loss.target: cross_entropy has no such option (0.0), {OUT}"
    ),
    "loss: {target: 1}\nsweep: {loss.name: [least_squares, probe]}\n": (
        f"9:16: error: loss.target: probe has no such option (1.0), {OUT}"
    ),
    "loss: {name: mse}\n": f"9:14: error: loss.name: unknown value ('mse'), {NAMED}",
}


@pytest.mark.parametrize("more", WRONG)
def test_what_a_loss_does_not_have_is_named_with_its_place(more: str) -> None:
    assert problems(CLASSES + more) == [f"c.yaml:{WRONG[more]}"]


def test_cross_entropy_takes_two_classes() -> None:
    text = DENSE.replace("  input_dim: 5\n", "  input_dim: 5\n  output_dim: 1\n")
    message = "one class (1), must be 2 or more for cross_entropy"
    (problem,) = problems(text + "loss: {name: cross_entropy}\n")
    assert problem == f"c.yaml:6:15: error: network.output_dim: {message}"
    (problem,) = problems(DENSE + "loss: {name: cross_entropy}\n")  # the default
    assert problem.endswith(f"network.output_dim: {message}")
