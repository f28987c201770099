"""Numbers of a network that are of no layer, against networks passed through plainly."""

import math
from pathlib import Path

import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim.config import parse_config
from heinit_sim.runs import read_run, write_run
from heinit_sim.simulation import run_sweep
from tests.simulation.plain_networks import plain_layers

SMALL = """
name: small
network: {depth: 3, width: 6, input_dim: 4, output_dim: 2, activation: ACTIVATION}
init: {variance: 0.3}
inputs: {count: 5}
loss: {target: TARGET}
trials: 4
"""


@pytest.mark.parametrize(("activation", "target"), [("relu", 0), ("relu", 2), ("tanh", -0.5)])
def test_the_loss_is_the_mean_over_inputs_of_the_plain_one(activation: str, target: float) -> None:
    text = SMALL.replace("ACTIVATION", activation).replace("TARGET", str(target))
    config = parse_config(text)
    (outcome,) = run_sweep(config).conditions
    assert outcome.outputs["log10_loss"].shape == (4, 1)
    for trial in range(4):
        f = plain_layers(config.seed, outcome.condition, trial)["preactivation"][-1]
        expected = math.log10(((f - target) ** 2).sum(axis=0).mean())
        # Each f goes through four sums of at most six products: errors stay below 1e-13 of it.
        assert_allclose(outcome.outputs["log10_loss"][trial], expected, rtol=0, atol=1e-12)


def test_a_loss_beyond_float_range_is_still_a_number() -> None:
    text = SMALL.replace("ACTIVATION", "relu").replace("TARGET", "0")
    (small,) = run_sweep(parse_config(text, "test", {"init.variance": 1e-250})).conditions
    (one,) = run_sweep(parse_config(text, "test", {"init.variance": 1.0})).conditions
    # Four layers of the scale law, whose sum in decades has 13 digits behind the point.
    difference = small.outputs["log10_loss"] - one.outputs["log10_loss"]
    assert_allclose(difference, -1000.0, rtol=0, atol=1e-11)


def test_losses_come_back_from_a_saved_run(tmp_path: Path) -> None:
    result = run_sweep(parse_config(SMALL.replace("ACTIVATION", "relu").replace("TARGET", "1")))
    write_run(result, tmp_path / "small", figure=None)
    back = read_run(tmp_path / "small")
    ours, theirs = (r.conditions[0].outputs["log10_loss"] for r in (result, back))
    assert_array_equal(theirs, ours)
