"""Laws of ∂ℓ/∂f_K and relations of the loss: correct runs keep them, planted errors are found."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from heinit_sim.checks.theory_agreement import check
from heinit_sim.experiment.quantities import PASS_OF, Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from tests.alarms import most_alarms
from tests.conditions import condition, unpredicted

Array = np.ndarray
PROBE, CROSS_ENTROPY = Loss("probe"), Loss("cross_entropy")
LEVEL = 0.05


def of(loss: Loss, classes: int = 6, activation: str = "relu", n_inputs: int = 1) -> Condition:
    widths = (12,) * 4 + (classes,)
    return condition(widths, 2 / 12, activation, n_inputs=n_inputs, loss=loss)


CONDITIONS = {
    "probe": of(PROBE),
    "probe, batch": of(PROBE, 3, n_inputs=4),
    "probe, tanh": of(PROBE, 1, "tanh"),
    "cross entropy": of(CROSS_ENTROPY),
    "cross entropy, tanh, batch": of(CROSS_ENTROPY, 30, "tanh", n_inputs=3),
    "cross entropy, two classes": of(CROSS_ENTROPY, 2),
    "cross entropy, large": replace(
        of(CROSS_ENTROPY, 4), layers=condition((12,) * 4 + (4,), 5.0).layers
    ),
    "least squares": of(Loss(target=0.5), n_inputs=3),
}


@cache
def simulated(name: str, trials: int = 300) -> SweepResult:
    return unpredicted(SweepConfig("x", (CONDITIONS[name],), {}, trials, 3))


def failing(result: SweepResult) -> set[str]:
    return {f.name.split(": ")[-1] for f in check(result) if not f.held}


@pytest.mark.parametrize("name", CONDITIONS)
def test_correct_networks_keep_them(name: str) -> None:
    assert failing(simulated(name)) == set()


def changed(name: str, shift: Callable[[Measure], float | Array], loss: float = 0.0) -> SweepResult:
    """The run with log10 moments and losses shifted."""
    result = simulated(name)
    (outcome,) = result.conditions
    networks = {measure: z + shift(measure) for measure, z in outcome.networks.items()}
    outputs = {name: z + loss for name, z in outcome.outputs.items()}
    found: ConditionResult = replace(outcome, networks=networks, outputs=outputs)
    return replace(result, conditions=(found,))


def gradients_times(factor: float) -> Callable[[Measure], float]:
    """All gradients multiplied, as if the loss's own were wrong by that factor."""
    return lambda measure: 2 * np.log10(factor) * (PASS_OF[measure[0]] == "backward")


@pytest.mark.parametrize("factor", [1.1, 0.9])
@pytest.mark.parametrize(
    "name", ["probe", "probe, batch", "cross entropy", "cross entropy, tanh, batch"]
)
def test_a_gradient_of_the_loss_that_is_wrong_by_a_tenth_is_found(name: str, factor: float) -> None:
    found = failing(changed(name, gradients_times(factor)))
    assert any(finding.startswith("loss gradient") for finding in found)


def test_a_probe_that_knows_the_network_is_found() -> None:
    """Of a spread that follows f_K, as a gradient of a square does."""
    result = simulated("probe")
    f = result.conditions[0].networks["preactivation", "second_moment"][:, -1:]
    follows = f - np.log10(np.mean(10**f))
    found = failing(changed("probe", lambda m: follows * (PASS_OF[m[0]] == "backward")))
    assert "loss gradient, spread" in found


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("cross entropy, tanh, batch", 0.7),
        ("cross entropy, tanh, batch", -0.7),
        ("least squares", 1e-6),
    ],
)
def test_a_loss_that_is_no_loss_of_these_outputs_is_found(name: str, loss: float) -> None:
    assert "ℓ" in failing(changed(name, lambda _: 0.0, loss))


def test_a_gradient_beyond_any_softmax_is_found() -> None:
    found = failing(changed("cross entropy", gradients_times(2.0)))
    assert "∂ℓ/∂f_K = softmax − one-hot" in found


def test_runs_without_an_error_alarm_them_no_more_often_than_they_say() -> None:
    runs, alarms = 20, 0
    for name in ("probe, batch", "cross entropy"):
        whole = simulated(name)
        for start in range(0, 300, 30):
            (outcome,) = whole.conditions
            part = replace(
                outcome,
                networks={m: z[start : start + 30] for m, z in outcome.networks.items()},
                outputs={n: z[start : start + 30] for n, z in outcome.outputs.items()},
            )
            findings = check(replace(whole, conditions=(part,)), LEVEL)
            alarms += not all(finding.held for finding in findings)
    assert alarms <= most_alarms(runs)
