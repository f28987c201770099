"""Numbers of a network that are of no layer, against networks passed through plainly."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim.checks import compare
from heinit_sim.config import parse_config
from heinit_sim.experiment.records import Output
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


@pytest.mark.parametrize(
    ("name", "column", "planted", "size"),
    [
        ("log10_loss", 0, 1e-5, "by up to 2e-05"),  # relative: ln 10 times as much
        ("log10_loss", 0, math.nan, "one is undefined"),
        ("log10_jacobian_second_moment", 0, 1e-5, "by up to 2e-05"),
        ("log10_singular_values", 1, 1e-5, "by up to 2e-05"),
        ("log10_singular_values", 1, math.inf, "by up to 1"),  # 0 in one run
    ],
)
def test_runs_of_one_config_are_compared_output_by_output(
    name: Output, column: int, planted: float, size: str
) -> None:
    text = SMALL.replace("ACTIVATION", "relu").replace("TARGET", "1")
    result = run_sweep(parse_config(f"{text}record: {{jacobian: true}}\n"))
    assert compare(result, result).held
    (outcome,) = result.conditions
    for added, held in ((1e-8, True), (planted, False)):
        wrong = outcome.outputs[name].copy()
        wrong[2, column] -= added
        other = replace(outcome, outputs={**outcome.outputs, name: wrong})
        found = compare(result, replace(result, conditions=(other,)))
        assert found.held == held
    words = name.removeprefix("log10_").replace("_", " ")
    assert found.outputs == (f"the condition: {words}: 1 of 4 networks differ, {size}",)
    without = compare(result, run_sweep(parse_config(text)))
    assert without.held
    assert without.left_out == ("record.jacobian (not in both runs)",)


def test_singular_values_of_rounding_are_compared_as_such() -> None:
    text = SMALL.replace("ACTIVATION", "relu").replace("TARGET", "1")
    result = run_sweep(parse_config(f"{text}record: {{jacobian: true}}\n"))
    (outcome,) = result.conditions
    values = outcome.outputs["log10_singular_values"]
    held = []
    for decades in (-15.0, -14.0):  # (K + 1) max(D_i, D_o) eps is 16 eps, 10^-14.45
        wrong = values.copy()
        wrong[:, 1] = wrong[:, 0] + decades
        other = replace(outcome, outputs={**outcome.outputs, "log10_singular_values": wrong})
        zero = np.where([False, True], -np.inf, values)
        dead = replace(outcome, outputs={**outcome.outputs, "log10_singular_values": zero})
        first, second = (replace(result, conditions=(one,)) for one in (other, dead))
        held.append(compare(first, second).held)
    assert held == [True, False]
