"""The check of theory: how often correct runs alarm it, and which errors it finds."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from heinit_sim.checks.scores import Score, Scores
from heinit_sim.checks.theory_agreement import _finding, check, check_laws
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import INPUT_0, MEASURES, Measure
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.theory.finite_width.norm_chain import sample_norms
from tests.alarms import most_alarms
from tests.conditions import condition, unpredicted, with_layers
from tests.passes import simulated_passes
from tests.rows import slow_but

Array = np.ndarray
WIDE = condition((50,) * 11 + (1,), 2 / 50, n_inputs=5)
BIASES = (0.5,) * 11
LEVEL = 0.05


def narrowed(widths: tuple[int, ...], **changes: object) -> Condition:
    variances = tuple(2 / fan_in for fan_in in widths[:-1])
    laws = {"weight_variances": variances} | changes
    return with_layers(WIDE, widths=widths, **laws)  # type: ignore[arg-type]  # fields of the dataclass


def leaky(alpha: float) -> dict[str, object]:
    return {"activation": "leaky_relu", "options": {"negative_slope": alpha}}


SEEN: dict[str, SweepResult] = {}


def simulate(*conditions: Condition, trials: int = 150, seed: int = 0) -> SweepResult:
    """What networks of the conditions show, simulated once; nobody changes it."""
    fields = [(c.layers, c.n_inputs, c.loss, c.lsuv, c.inputs, c.swept) for c in conditions]
    key = repr([fields, trials, seed])
    if key not in SEEN:
        SEEN[key] = unpredicted(SweepConfig("x", conditions, {}, trials, seed))
    return SEEN[key]


def failing(result: SweepResult, alpha: float = 1e-3) -> list[str]:
    """The quantities whose findings do not hold."""
    return [f.name.removeprefix("theory: ") for f in check(result, alpha) if not f.held]


def finding(result: SweepResult, what: str) -> Finding:
    (found,) = (f for f in check(result) if f.name == f"theory: {what}")
    return found


def under(result: SweepResult, condition: Condition) -> SweepResult:
    """The networks of a run as if they had been of another condition."""
    (one,) = result.conditions
    return replace(result, conditions=(replace(one, condition=condition),))


def with_networks(result: SweepResult, networks: Mapping[Measure, Array]) -> SweepResult:
    (one,) = result.conditions
    changed = replace(one, networks={**one.networks, **networks}, outputs={})
    return replace(result, conditions=(changed,))


# -- how often correct runs alarm it ---------------------------------------------------------------


SIMULATED = {
    "wide relu": (narrowed((40,) * 5 + (1,), n_inputs=1), 10),
    "batch": (narrowed((12,) * 5 + (2,), n_inputs=4), 10),
    "narrow relu": (narrowed((5,) * 8 + (1,), n_inputs=1), 20),
    "two networks": (narrowed((10,) * 5 + (1,), n_inputs=1), 2),
    "one network": (narrowed((10,) * 5 + (1,), n_inputs=1), 1),
    "leaky": (narrowed((6,) * 6 + (1,), n_inputs=1, **leaky(0.2)), 10),
    "tanh": (narrowed((8,) * 4 + (1,), n_inputs=1, activation="tanh"), 5),
    "relu, biases": (narrowed((8,) * 4 + (1,), n_inputs=3, bias_variances=(0.5,) * 4), 5),
    "softplus, biases": (
        narrowed((8, 5, 6, 1), n_inputs=1, activation="softplus", bias_variances=(0.5,) * 3),
        5,
    ),
}


def alarms(results: Sequence[ConditionResult], trials: int) -> list[bool]:
    """Which of the runs alarm it that so many networks at a time of all conditions make up."""
    config = SweepConfig("x", tuple(one.condition for one in results), {}, trials, 0)
    n_networks = len(results[0].networks["activation", INPUT_0])
    found = []
    for start in range(0, n_networks, trials):
        some = tuple(
            replace(
                one,
                networks={m: x[start : start + trials] for m, x in one.networks.items()},
                outputs={n: x[start : start + trials] for n, x in one.outputs.items()},
            )
            for one in results
        )
        found.append(not all(f.held for f in check_laws(SweepResult(config, some), LEVEL)))
    return found


@cache
def simulated_alarms(name: str, runs: int) -> int:
    condition, trials = SIMULATED[name]
    return sum(alarms(simulate(condition, trials=runs * trials, seed=1).conditions, trials))


@pytest.mark.parametrize("name", ["wide relu", "batch", "tanh", "relu, biases"])
def test_a_few_correct_runs_alarm_it_no_more_often_than_its_level(name: str) -> None:
    assert simulated_alarms(name, 25) <= most_alarms(25)


RUNS = 100  # of each condition, and of all together, which leaves less to chance


@pytest.mark.slow
@pytest.mark.parametrize("name", SIMULATED)
def test_correct_runs_alarm_it_no_more_often_than_its_level(name: str) -> None:
    assert simulated_alarms(name, RUNS) <= most_alarms(RUNS)


SAMPLED = {
    "narrow relu": (narrowed((5,) * 9 + (1,)), 0.0, 10),
    "relu that dies": (narrowed((2,) * 9 + (1,)), 0.0, 10),
    "leaky": (narrowed((5,) * 8 + (1,), **leaky(0.2)), 0.2, 10),
    "leaky of width two": (narrowed((2,) * 5 + (1,), **leaky(0.2)), 0.2, 10),
    "leaky of width one": (narrowed((3, 1, 1, 1), **leaky(0.3)), 0.3, 10),
    "leaky, negative": (narrowed((5,) * 8 + (1,), **leaky(-0.5)), -0.5, 4),
    "leaky, steep": (narrowed((4, 6, 4, 1), **leaky(100.0)), 100.0, 5),
    "absolute value": (narrowed((4, 6, 4, 1), **leaky(-1.0)), -1.0, 5),
    "linear": (narrowed((5,) * 9 + (1,), activation="linear"), 1.0, 10),
    "one leaky network": (narrowed((10,) * 5 + (1,), **leaky(0.2)), 0.2, 1),
}


@cache
def sampled_alarms(name: str, runs: int, factor: float = 1.0) -> int:
    """How many runs alarm it whose norms have weights of so many times the variance."""
    condition, alpha, trials = SAMPLED[name]
    drawn = with_layers(
        condition, weight_variances=tuple(factor * v for v in condition.weight_variances)
    )
    norms = sample_norms(drawn, alpha, runs * trials, np.random.default_rng(7))
    networks: dict[Measure, Array] = {(q, INPUT_0): log10 for q, log10 in norms.items()}
    of = replace(condition, n_inputs=1)
    return sum(alarms([ConditionResult(of, {}, {}, {}, {}, 0, 0.0, networks=networks)], trials))


@pytest.mark.parametrize("name", list(SAMPLED)[::4])
def test_a_few_networks_of_the_chain_alarm_it_no_more_often_than_its_level(name: str) -> None:
    assert sampled_alarms(name, 25) <= most_alarms(25)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLED)
def test_networks_of_the_chain_alarm_it_no_more_often_than_its_level(name: str) -> None:
    assert sampled_alarms(name, RUNS) <= most_alarms(RUNS)


@pytest.mark.slow
def test_all_runs_together_alarm_it_no_more_often_than_its_level() -> None:
    found = sum(simulated_alarms(name, RUNS) for name in SIMULATED)
    found += sum(sampled_alarms(name, RUNS) for name in SAMPLED)
    assert found <= most_alarms(RUNS * (len(SIMULATED) + len(SAMPLED)))


@pytest.mark.slow
def test_runs_with_an_error_alarm_it_more_often_than_its_level() -> None:
    assert sampled_alarms("leaky", RUNS, 1.1) > most_alarms(RUNS)


@pytest.mark.slow
def test_the_level_is_that_of_all_conditions_together() -> None:
    variances = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    shape = narrowed((6, 6, 6, 1), n_inputs=1)
    sweep = [
        with_layers(shape, index=i, swept={"init.variance": v}, weight_variances=(v,) * 3)
        for i, v in enumerate(variances)
    ]
    config = SweepConfig("x", tuple(sweep), {}, 5 * RUNS, 0, draws="independent")
    assert sum(alarms(unpredicted(config).conditions, 5)) <= most_alarms(RUNS)


# -- planted errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", slow_but([0.95, 1.05], 0.95))
def test_a_weight_variance_five_percent_off_is_found(factor: float) -> None:
    wrong = with_layers(WIDE, weight_variances=tuple(factor * v for v in WIDE.weight_variances))
    assert failing(simulate(WIDE)) == []
    found = failing(under(simulate(wrong), WIDE))
    assert {"preactivation", "activation", "grad_activation", "grad_preactivation"} <= set(found)
    assert not any("∂ℓ/∂Ω" in what for what in found)


@pytest.mark.slow
def test_a_wrong_variance_of_leaky_and_of_biased_networks_is_found() -> None:
    for right in (with_layers(WIDE, **leaky(0.2)), with_layers(WIDE, bias_variances=BIASES)):  # type: ignore[arg-type]  # fields
        wrong = with_layers(right, weight_variances=tuple(0.95 * v for v in right.weight_variances))
        assert failing(simulate(right)) == []
        assert "preactivation" in failing(under(simulate(wrong), right))


def test_biases_that_are_left_out_are_found() -> None:
    biased = with_layers(WIDE, bias_variances=BIASES)
    assert "preactivation of the batch" in failing(under(simulate(WIDE), biased))


def test_another_constant_bias_is_found() -> None:
    biases: dict[str, Any] = {"bias_means": (0.5,) * 11, "bias_variances": (0.1,) * 11}
    right = with_layers(with_layers(WIDE, activation="tanh"), **biases)
    result = simulate(right, trials=50)
    assert failing(result) == []
    assert "preactivation" in failing(under(result, with_layers(right, bias_means=(0.8,) * 11)))


@pytest.mark.slow
def test_a_wrong_fan_is_found() -> None:
    widths = (50, 200, 50, 200, 50, 1)
    right = with_layers(WIDE, widths=widths, weight_variances=tuple(2 / w for w in widths[:-1]))
    wrong = with_layers(right, weight_variances=tuple(2 / w for w in widths[1:]))
    assert failing(simulate(right)) == []
    found = failing(under(simulate(wrong), right))
    assert {"preactivation", "activation", "grad_activation", "grad_preactivation"} <= set(found)


@pytest.mark.slow
def test_a_wrong_activation_is_found_by_what_it_does_alone() -> None:
    gelu, silu = (with_layers(WIDE, activation=name) for name in ("gelu", "silu"))
    assert failing(simulate(gelu)) == []
    found = failing(under(simulate(silu), gelu))
    assert "activation" in found
    assert "preactivation" not in found


@pytest.mark.parametrize("slope", [0.0, 0.35])
def test_a_wrong_slope_is_found(slope: float) -> None:
    right = with_layers(WIDE, **leaky(0.2))  # type: ignore[arg-type]  # fields
    assert "activation" in failing(under(simulate(with_layers(right, **leaky(slope))), right))  # type: ignore[arg-type]  # fields


@pytest.mark.parametrize("layer", [0, 3, 10])
def test_a_single_wrong_layer_is_found_and_named(layer: int) -> None:
    variances = list(WIDE.weight_variances)
    variances[layer] *= 1.3
    wrong = with_layers(WIDE, weight_variances=tuple(variances))
    result = under(simulate(wrong, trials=30), WIDE)
    of_layer = finding(result, "weights")
    assert not of_layer.held
    assert f"; most at layer {layer}: " in of_layer.reason
    if layer < 10:  # the one output has one number per network
        forward = finding(result, "preactivation of the batch")
        assert not forward.held
        assert f"; most at layer {layer}: " in forward.reason


def by_hand(condition: Condition, **wrong: Any) -> dict[Measure, Array]:
    """What 150 networks show; `wrong` says how their backward passes go wrong."""
    measured = simulated_passes(condition, 150, 20, **wrong)
    none = np.full((150, condition.depth + 1), math.nan)  # variances between inputs
    return dict.fromkeys(MEASURES, none) | {m: log10.T for m, log10 in measured.items()}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="relu"),
        pytest.param(leaky(0.2), id="leaky", marks=pytest.mark.slow),
        pytest.param(leaky(-1.0), id="abs", marks=pytest.mark.slow),
    ],
)
def test_backward_passes_gone_wrong_are_found(changes: dict[str, object]) -> None:
    condition = with_layers(WIDE, **changes)  # type: ignore[arg-type]  # fields
    result = simulate(condition)
    right = with_networks(result, by_hand(condition))
    assert failing(right) == []
    if changes != leaky(-1.0):  # whose slopes leave the size of a gradient, if not where it points
        unmasked = with_networks(result, by_hand(condition, mask=np.ones_like))
        assert "grad_preactivation" in failing(unmasked)
        doubled = with_networks(result, by_hand(condition, mask=lambda slopes: slopes / 1.05))
        assert failing(doubled)[0] == "grad_preactivation"


@pytest.mark.parametrize("changes", [{}, leaky(0.2)], ids=["relu", "leaky"])
def test_slopes_of_other_units_are_found_by_eulers_identity(changes: dict[str, object]) -> None:
    # as large on average, but no longer those of h_k: a share of about 1/n of the gradient is lost
    condition = narrowed((8,) * 6 + (1,), **changes)
    result = simulate(condition)
    assert failing(with_networks(result, by_hand(condition))) == []
    shifted = by_hand(condition, mask=lambda slopes: np.roll(slopes, 1, axis=-2))
    found = failing(with_networks(result, shifted))
    assert found != []
    assert any(what.startswith("grad_") for what in found)
    assert not any(what.startswith(("preactivation", "activation")) for what in found)


def test_transposed_weights_are_found() -> None:
    result = simulate(WIDE)
    wrong = with_networks(result, by_hand(WIDE, transposed=True))
    assert failing(wrong) != []


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_half_of_the_level_is_for_all_layers_and_half_for_the_worst(factor: float) -> None:
    def at(p: float) -> Score:
        return Score(1.0, 0.1, NormalDist().inv_cdf(p / 2), 5)

    level, fine = 1e-3, at(0.5)
    assert _finding("x", {None: at(factor * level / 2), 1: fine}, level).held == (factor > 1)
    scores: Scores = {None: fine, 1: fine, 2: fine, 3: at(factor * level / 2 / 4), 4: fine}
    finding = _finding("x", scores, level)
    assert finding.held == (factor > 1)
    assert ("most at layer 3" in finding.reason) != finding.held


def test_averages_over_networks_are_allowed_twice_the_tail_of_students_t() -> None:
    for t in (0.1, 3.0, -30.0):
        tail = 1 - abs(t) / math.sqrt(2 + t * t)  # P(|T| ≥ |t|) for 2 degrees of freedom
        p = Score(1.0, 0.1, t, 5, freedom=2.0).p
        np.testing.assert_allclose(p, min(2 * tail, 1.0), rtol=1e-10, atol=0)


@pytest.mark.parametrize(
    "value", [60.0, 150.0, 307.5, 400.0, -60.0, -400.0, 1e6, math.inf, -math.inf, math.nan]
)
@pytest.mark.parametrize("quantity", ["preactivation", "activation", "grad_activation"])
@pytest.mark.parametrize("alpha", slow_but([0.0, 0.2], 0.2))
@pytest.mark.parametrize("layer", slow_but([1, 2], 1))
def test_senseless_numbers_are_found(quantity: str, value: float, alpha: float, layer: int) -> None:
    result = simulate(narrowed((5, 6, 6, 1), n_inputs=1, **leaky(alpha)), trials=30)
    measure: Measure = (quantity, INPUT_0)  # type: ignore[assignment]  # a quantity
    log10 = result.conditions[0].networks[measure].copy()
    log10[:, layer] = log10[:, layer] + value if math.isfinite(value) else value
    assert failing(with_networks(result, {measure: log10})) != []


@pytest.mark.parametrize("value", [-400.0, 200.0, 400.0, math.inf, -math.inf, math.nan])
def test_numbers_beyond_all_reason_are_found_in_any_network(value: float) -> None:
    result = simulate(narrowed((5, 6, 6, 1), n_inputs=1, activation="gelu"), trials=30)
    log10 = result.conditions[0].networks["activation", INPUT_0].copy()
    log10[:, 1] = log10[:, 1] + value if math.isfinite(value) else value
    assert failing(with_networks(result, {("activation", INPUT_0): log10})) != []


# -- what may not upset it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        narrowed((1, 1, 1)),
        narrowed((4, 1, 1, 1, 1)),
        narrowed((1, 5, 5, 50)),
        narrowed((5, 5, 1), n_inputs=1),
        narrowed((3, 2, 2, 2, 2, 2, 2, 1)),
        narrowed((5, 5, 5, 1), **leaky(-1.0)),
        narrowed((5, 5, 5, 1), **leaky(1000.0)),
        narrowed((5, 1, 1, 1), **leaky(1.0)),
        narrowed((5, 5, 5, 1), **leaky(0.9999999)),
        narrowed((5, 5, 5, 1), loss=Loss(target=1e300)),
        narrowed((5, 5, 5, 1), bias_variances=(0.1,) * 3, loss=Loss(target=3.0)),
        with_layers(narrowed((5, 5, 5, 1)), weight_variances=(1e-300,) * 3),
        with_layers(narrowed((5, 5, 5, 1)), weight_variances=(1e300,) * 3),
        with_layers(
            narrowed((5, 5, 5, 1), bias_variances=(1e300,) * 3), weight_variances=(1e-300,) * 3
        ),
        with_layers(narrowed((5, 5, 5, 1), activation="tanh"), weight_variances=(1e12,) * 3),
        with_layers(narrowed((5, 5, 5, 1), activation="gelu"), weight_variances=(1e40,) * 3),
        with_layers(narrowed((5, 5, 5, 1), activation="sigmoid"), weight_variances=(1e-200,) * 3),
        narrowed((5, 1, 1, 1, 1), activation="relu6"),
        # a layer without a bias behind units that are all off
        with_layers(narrowed((8, 8, 8, 1), bias_means=(-9.0, 0.0, 1.0)), n_inputs=1),
    ],
)
@pytest.mark.parametrize("trials", [1, 12])
def test_odd_conditions_are_checked_without_warnings(condition: Condition, trials: int) -> None:
    findings = check(simulate(condition, trials=trials))
    assert all(f.held for f in findings)
    assert not any("nan" in f.reason or "inf" in f.reason for f in findings)


SHIFTED = ["relu", "softplus", "gelu", "tanh"]
SHIFTS = ["1e6", "-1e6", "-9"]
INITS = ["scheme: he_normal", "scheme: lsuv", "variance: 1e-300"]
LATIN = [(a, SHIFTS[k], INITS[(n + k) % 3]) for n, a in enumerate(SHIFTED) for k in range(3)]


@pytest.mark.parametrize(
    ("activation", "bias", "init"),
    slow_but(itertools.product(SHIFTED, SHIFTS, INITS), *LATIN),  # every two together
)
def test_units_all_on_or_all_off_are_no_mistake(activation: str, bias: str, init: str) -> None:
    network = f"network: {{depth: 3, width: 20, input_dim: 10, activation: {activation}}}"
    config = parse_config(f"name: z\ntrials: 5\n{network}\ninit: {{{init}, bias: {bias}}}\n")
    assert all(finding.held for finding in check(unpredicted(config)))


@pytest.mark.parametrize("depth", slow_but([1000, 4000], 1000))
def test_thousands_of_layers_at_the_end_of_range_are_checked(depth: int) -> None:
    widths, variances = (4,) * (depth + 1) + (1,), (1e-300,) * (depth + 1)
    deep = narrowed(widths, weight_variances=variances, n_inputs=1, **leaky(0.3))
    assert failing(simulate(deep, trials=2)) == []


def test_names_tell_the_condition() -> None:
    swept = replace(WIDE, swept={"init.variance": 0.04})
    names = [f.name for f in check(simulate(swept, trials=2))]
    assert names[0] == "theory, init.variance = 0.04: preactivation"
    assert names[-1] == "theory, init.variance = 0.04: distinct networks"
