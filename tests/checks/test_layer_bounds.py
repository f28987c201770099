"""Laws and bounds of single layers beyond norms: correct runs keep the level, errors are found."""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from heinit_sim.checks.theory_agreement import check, check_laws
from heinit_sim.experiment.quantities import INPUT_0, Quantity
from heinit_sim.experiment.results import SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.numerics.special_functions import chi_square_rank, cumulative
from tests.alarms import most_alarms
from tests.checks.test_identities import BACKWARD, BATCH, Plant, planted, times
from tests.conditions import condition, unpredicted, with_layers
from tests.rows import slow_but

LEVEL = 0.05


def he(width: int, depth: int, activation: str = "relu", **changes: object) -> Condition:
    widths = (width,) * (depth + 1) + (1,)
    return condition(widths, 2 / width, activation, **changes)  # type: ignore[arg-type]  # fields


CONDITIONS = {
    "relu": he(20, 5),
    "relu, batch": he(20, 5, n_inputs=5),
    "relu, narrow": he(3, 4, n_inputs=2),
    "relu, target, biases": he(10, 4, target=0.5, bias_variances=(0.3,) * 5),
    "tanh": he(12, 4, "tanh"),
    "tanh, batch, target": he(12, 4, "tanh", n_inputs=3, target=1.0),
    "gelu": he(10, 4, "gelu"),
    "uniform": he(30, 5, weight_distributions=("uniform",) * 6),
}


@cache
def simulated(name: str, trials: int = 150) -> SweepResult:
    return unpredicted(SweepConfig("x", (CONDITIONS[name],), {}, trials, 3))


def failing(result: SweepResult, alpha: float = 1e-3) -> set[str]:
    return {f.name.split(": ")[-1] for f in check_laws(result, alpha) if not f.held}


@cache
def alarms(name: str, runs: int) -> int:
    """How many of the runs alarm it that thirty networks at a time make up."""
    whole = simulated(name, 30 * runs)
    found = 0
    for start in range(0, 30 * runs, 30):

        def part(networks: dict, start: int = start) -> None:  # type: ignore[type-arg]  # arrays
            for measure, log10 in networks.items():
                networks[measure] = log10[start : start + 30]

        found += not all(f.held for f in check(planted(whole, part), LEVEL))
    return found


RUNS = 50


@pytest.mark.parametrize("name", ["relu, batch", "tanh, batch, target"])
def test_a_few_correct_runs_alarm_all_findings_together_no_more_often(name: str) -> None:
    assert alarms(name, 10) <= most_alarms(10)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONDITIONS)
def test_correct_runs_alarm_all_findings_together_no_more_often(name: str) -> None:
    assert alarms(name, RUNS) <= most_alarms(RUNS)


@pytest.mark.slow
def test_runs_of_all_conditions_alarm_them_no_more_often() -> None:
    assert sum(alarms(name, RUNS) for name in CONDITIONS) <= most_alarms(RUNS * len(CONDITIONS))


DEEP = [0, 1]
ERRORS: list[tuple[str, Plant, str]] = [
    ("relu", times(0.5, None, ("variance",)), "activation, variance"),
    ("relu, batch", times(0.3, None, ("variance",)), "activation, variance"),
    ("relu, batch", times(0.5, ("preactivation",), ("variance",)), "preactivation, variance"),
    ("tanh", times(0.8, ("preactivation",), ("variance",)), "preactivation, variance"),
    ("tanh", times(0.01, BACKWARD, None, DEEP), "grad_preactivation, bound"),
    ("gelu", times(0.1, BACKWARD, None, DEEP), "grad_preactivation, bound"),
    ("tanh", times(3, ("grad_activation",), None, [2]), "grad_activation, bounds"),
    ("tanh", times(0.7, ("grad_activation",), None, [2]), "grad_activation, bounds"),
    ("relu, target, biases", times(3, ("grad_activation",)), "grad_activation, bounds"),
    (
        "relu, batch",
        times(10, ("grad_activation",), BATCH, [2]),
        "grad_activation of the batch, bounds",
    ),
    (
        "tanh, batch, target",
        times(0.05, ("grad_activation",), BATCH, [2]),
        "grad_activation of the batch, bounds",
    ),
    ("relu", times(2, ("activation",), None, [0]), "inputs"),
    ("relu", times(1.25, ("preactivation",), None, [3]), "weights"),
    ("uniform", times(1.3, ("preactivation",)), "preactivation"),
]


@pytest.mark.parametrize(
    ("name", "plant", "what"), slow_but(ERRORS, *(row for row in ERRORS if row[0] != "gelu"))
)
def test_planted_errors_are_found(name: str, plant: Plant, what: str) -> None:
    assert failing(simulated(name)) == set()
    assert what in failing(planted(simulated(name), plant))


@pytest.mark.parametrize("factor", [0.0, 2.0])
@pytest.mark.parametrize(
    ("quantity", "layer", "what"),
    [
        ("preactivation", 2, "preactivation, spread"),
        ("grad_activation", 2, "grad_activation, spread"),
        ("grad_activation", 5, "spread of the output weights"),
        ("activation", 0, "inputs, spread"),
    ],
)
def test_another_spread_of_the_same_mean_is_found(
    quantity: Quantity, layer: int, what: str, factor: float
) -> None:
    (one,) = simulated("relu").conditions
    before: dict[str, Callable[[], np.ndarray]] = {
        "preactivation": lambda: one.networks["activation", INPUT_0][:, layer],
        "grad_activation": lambda: one.networks["grad_preactivation", INPUT_0][:, layer],
        "activation": lambda: np.zeros(150),
    }

    def plant(networks: dict) -> None:  # type: ignore[type-arg]  # arrays
        start = before[quantity]()
        log10 = networks[quantity, INPUT_0]
        share = 10 ** (log10[:, layer] - start)
        mean = share.mean()
        spread = np.maximum(mean + factor * (share - mean), mean / 100)
        log10[:, layer] = start + np.log10(spread)

    assert what in failing(planted(simulated("relu"), plant))


OTHERS = [("uniform", "relu"), ("orthogonal", "tanh"), ("uniform", "tanh"), ("orthogonal", "relu")]


@pytest.mark.parametrize(("law", "activation"), slow_but(OTHERS, OTHERS[0]))
def test_other_weights_sold_as_normal_are_found(law: str, activation: str) -> None:
    right = he(50, 10, activation)
    wrong = with_layers(right, weight_distributions=(law,) * 11)  # type: ignore[arg-type]  # a name
    result = unpredicted(SweepConfig("x", (wrong,), {}, 100, 0))
    (one,) = result.conditions
    sold = SweepResult(result.config, (type(one)(**{**vars(one), "condition": right}),))
    assert "spread of the output weights" in failing(sold)


def test_what_no_law_covers_is_named_once() -> None:
    (last,) = (f for f in check(simulated("relu, batch")) if not f.tested)
    assert "second_moment of grad_preactivation, grad_weight; variance of grad_" in last.reason


def test_ranks_of_chi_square_are_those_of_closed_forms() -> None:
    x = np.array([1e-8, 0.1, 1.0, 3.0, 10.0, 40.0, 150.0])
    one = 2 * cumulative(np.sqrt(x)) - 1
    two = -np.expm1(-x / 2)
    four = 1 - np.exp(-x / 2) * (1 + x / 2)
    for n, expected in ((1.0, one), (2.0, two), (4.0, four)):
        np.testing.assert_allclose(chi_square_rank(x, np.full(7, n)), expected, rtol=0, atol=1e-9)
    ends = chi_square_rank(np.array([0.0, np.inf, 1e9]), np.array([3.0, 3.0, 5000.0]))
    assert ends.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("n", [5, 60, 998, 1200])
def test_ranks_of_chi_square_are_uniform(n: int) -> None:
    x = np.random.default_rng(n).chisquare(n, 20_000)
    ranks = np.sort(chi_square_rank(x, np.full(len(x), float(n))))
    distance = np.abs(ranks - (np.arange(len(x)) + 0.5) / len(x)).max()
    assert distance < 2.3 / math.sqrt(len(x))  # Kolmogorov: beyond it with probability 5e-5
