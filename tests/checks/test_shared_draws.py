"""Conditions that share their draws are held against each other, and those that do not."""

from dataclasses import replace

from heinit_sim.checks.shared_draws import tie_findings
from heinit_sim.config import parse_config
from heinit_sim.experiment.results import SweepResult
from tests.checks.test_identities import RELU, planted, times
from tests.conditions import unpredicted

SWEPT = "sweep: {init.variance: [0.1, 0.2, 0.5]}\n"


def ties(result: SweepResult) -> dict[str, bool]:
    return {f.name.split(", ", 1)[1]: f.held for f in tie_findings(result)}


def swept(network: str, more: str = "") -> SweepResult:
    text = (
        f"name: z\ntrials: 8\nnetwork: {{depth: 3, width: 5, input_dim: 5, {network}}}\n"
        f"init: {{variance: 0.2}}\n{SWEPT}{more}"
    )
    return unpredicted(parse_config(text))


def test_conditions_that_differ_in_scale_are_held_against_each_other() -> None:
    result = swept(RELU)
    held = {"init.variance = 0.2: scale law": True, "init.variance = 0.5: scale law": True}
    assert ties(result) == held
    wrong = planted(result, times(1 + 1e-6, ("activation",), ("variance",), [2]), place=2)
    assert ties(wrong) == {**held, "init.variance = 0.5: scale law": False}


def test_conditions_of_other_networks_share_their_inputs() -> None:
    result = swept("activation: tanh")
    held = {"init.variance = 0.2: inputs": True, "init.variance = 0.5: inputs": True}
    assert ties(result) == held
    wrong = planted(result, times(1.01, ("activation",), None, [0]), place=1)
    assert ties(wrong) == {**held, "init.variance = 0.2: inputs": False}


def test_independent_draws_are_independent() -> None:
    result = swept(RELU, "draws: independent\n")
    assert list(ties(result).values()) == [True, True]
    common = replace(swept(RELU), config=result.config)
    assert list(ties(common).values()) == [False, False]
