"""What is drawn for losses: the same whatever goes beside it, and independent of the network."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim.experiment.quantities import INPUT_0, Measure, Quantity
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.sampling.streams import sample_classes, sample_probes
from heinit_sim.simulation import run_sweep
from heinit_sim.simulation.plan import distinct_passes
from tests.conditions import dense_draws
from tests.configs import parsed

Array = np.ndarray
TEXT = """\
name: a
network: {{depth: 3, width: 16, input_dim: 6, output_dim: 5, activation: {activation}}}
init: {{scheme: he_normal}}
inputs: {{count: 4}}
trials: 6
{more}
"""
NAMES = "sweep: {loss.name: [least_squares, cross_entropy, probe], init.bias: [0, 0.5]}\n"
LAST: Measure = ("grad_preactivation", "second_moment")


def simulated(activation: str, more: str) -> tuple[ConditionResult, ...]:
    return run_sweep(parsed(TEXT.format(activation=activation, more=more)), jobs=1).conditions


@pytest.mark.parametrize("engine", ["weights", "conditional"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_losses_of_one_sweep_have_the_bits_of_each_alone(activation: str, engine: str) -> None:
    together = simulated(activation, f"{NAMES}engine: {engine}")
    for outcome in together:
        name, bias = outcome.condition.loss.name, outcome.condition.swept["init.bias"]
        more = f"loss: {{name: {name}}}\nengine: {engine}\nsweep: {{init.bias: [{bias}]}}"
        (alone,) = simulated(activation, more)
        for measure, numbers in outcome.networks.items():
            assert_array_equal(numbers, alone.networks[measure])
        assert_array_equal(outcome.outputs["log10_loss"], alone.outputs["log10_loss"])


def test_engines_share_what_losses_draw() -> None:
    first, second = (
        simulated("tanh", f"loss: {{name: probe}}\nengine: {engine}")[0].networks[LAST][:, -1]
        for engine in ("weights", "conditional")
    )
    assert_array_equal(first, second)


def test_the_scale_law_carries_probes_too() -> None:
    text = TEXT.format(activation="relu", more="loss: {name: probe}")
    config = parsed(text, "init={variance: 0.25}", "init.variance=0.25,1")
    base, scaled = (outcome.networks for outcome in run_sweep(config, jobs=1).conditions)
    layers = np.arange(4)
    powers: dict[Quantity, Array] = {
        "preactivation": layers + 1,
        "grad_activation": 4 - layers,
        "grad_preactivation": 3 - layers,
        "grad_weight": np.full(4, 3),
    }
    assert len(distinct_passes(config)) == 1
    for quantity, power in powers.items():
        shift = scaled[quantity, "second_moment"] - base[quantity, "second_moment"]
        assert_allclose(shift, np.tile(np.log10(4.0) * power, (6, 1)), rtol=0, atol=1e-13)


def test_draws_of_fewer_inputs_begin_those_of_more() -> None:
    few, many = dense_draws((3, 4, 7), 2), dense_draws((3, 4, 7), 5)
    assert_array_equal(sample_classes(1, few, range(3)), sample_classes(1, many, range(3))[:, :2])
    assert_array_equal(sample_probes(1, few, range(3)), sample_probes(1, many, range(3))[..., :2])
    assert sample_probes(1, few, range(3)).shape == (3, 7, 2)


def test_classes_are_all_as_likely() -> None:
    draws = dense_draws((3, 10), 500)
    counts = np.bincount(sample_classes(0, draws, range(40)).ravel(), minlength=10)
    assert counts.size == 10
    # χ² of nine degrees of freedom is above 34 once in 10^4 times.
    assert ((counts - 2000.0) ** 2 / 2000).sum() < 34


def test_a_class_knows_nothing_of_the_inputs() -> None:
    """Of logits that are far apart one is right, and its gradient 0, with probability 1/V."""
    text = TEXT.format(activation="relu", more="loss: {name: cross_entropy}")
    overrides = ("init={variance: 1.0e+6}", "inputs.count=1", "trials=2000")
    (outcome,) = run_sweep(parsed(text, *overrides), jobs=1).conditions
    squares = 5 * 10 ** outcome.networks["grad_preactivation", INPUT_0][:, -1]
    right = float((squares < 1).mean())
    assert abs(right - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 2000)
