"""Ratios of convolutional and residual layers: their mean is 1, and errors are found."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from heinit_sim.checks.mean_ratios import MeanRatios, iter_mean_ratios, t_scores
from heinit_sim.checks.theory_agreement import check_laws
from heinit_sim.experiment.quantities import INPUT_0, MEASURES, Measure
from heinit_sim.experiment.results import ConditionResult, Finding, SweepResult
from heinit_sim.experiment.sweep_config import Condition, Lsuv, SweepConfig
from heinit_sim.reports.findings import finding_values, summary, to_junit, to_table
from tests.conditions import Blocks, Images, condition, description, with_layers
from tests.rows import slow_but

Array = np.ndarray
LEVEL = 0.05


def images(padding: str = "circular", readout: str = "flatten", **changes: object) -> Condition:
    kernels = Images((4,), 3, (2, 4, 4, 4), padding, readout)  # type: ignore[arg-type]  # their names
    of = condition((8, 16, 16, 16, 3), 1.0, images=kernels)
    of = with_layers(of, weight_variances=tuple(2 / fan_in for fan_in, _ in of.fans))
    return with_layers(of, **changes)  # type: ignore[arg-type]  # fields of the dataclass


def blocks(**changes: object) -> Condition:
    laws: dict[str, Any] = {"blocks": Blocks(0.8), **changes}
    return condition((5, 6, 6, 6, 6, 3), (2 / 5, *(2 / 6,) * 4), **laws)


def forward(of: Condition, n: int, seed: int) -> dict[Measure, Array]:
    """log10 of what n networks show, all at once: signals are (n, channels, positions)."""
    rng = np.random.default_rng(seed)
    given = description(of)
    convolution, residual = given["images"], given["blocks"]
    positions = convolution.positions if convolution else 1
    h = [rng.standard_normal((n, of.widths[0] // positions, positions))]
    f: list[Array] = []
    for k in range(of.depth + 1):
        a = np.maximum(h[-1], 0) if residual and 0 < k < of.depth else h[-1]
        if convolution and k < of.depth:
            padded = np.pad(a, [(0, 0), (0, 0), (1, 1)], "wrap")
            if convolution.padding == "zero":
                padded = np.pad(a, [(0, 0), (0, 0), (1, 1)])
            a = np.concatenate([padded[..., d : d + positions] for d in range(3)], axis=1)
        elif convolution and convolution.readout == "mean":
            a = a.mean(axis=-1, keepdims=True)
        else:
            a = a.reshape(n, -1, 1)
        fan_out = convolution.channels[k + 1] if convolution and k < of.depth else of.widths[k + 1]
        omega = rng.standard_normal((n, fan_out, a.shape[1])) * math.sqrt(of.weight_variances[k])
        if residual and residual.zero_last and 0 < k < of.depth:
            omega *= 0.0
        f.append(omega @ a)
        if of.bias_means:
            std = math.sqrt(of.bias_variances[k])
            f[-1] = f[-1] + of.bias_means[k] + std * rng.standard_normal((n, fan_out, 1))
        if k < of.depth:
            h.append(np.maximum(f[-1], 0) if residual is None else f[-1])
            if residual and k > 0:
                h[-1] = h[-2] + residual.scale * f[-1]
    networks = {measure: np.zeros((n, of.depth + 1)) for measure in MEASURES}
    for quantity, layers in (("preactivation", f), ("activation", h)):
        with np.errstate(divide="ignore"):  # of dead networks
            log10 = np.log10([(layer**2).mean(axis=(1, 2)) for layer in layers]).T
        networks[quantity, INPUT_0] = networks[quantity, "second_moment"] = log10  # type: ignore[index]  # names
    # Gradients that fit: of a network with one scale s they are all as these identities say.
    s = residual.scale if residual else 1.0
    added = 2 * np.log10([1.0, *[abs(s)] * (of.depth - 1), 1.0])
    for statistic in (INPUT_0, "second_moment"):
        networks["grad_preactivation", statistic] = (
            networks["grad_preactivation", statistic] + added
        )
        weight = networks["grad_preactivation", statistic] + networks["activation", statistic]
        networks["grad_weight", statistic] = weight
    return networks


def findings(of: Condition, networks: dict[Measure, Array], alpha: float = 1e-3) -> list[Finding]:
    one = ConditionResult(of, {}, {}, {}, {}, 0, None, networks=networks)
    n_networks = len(networks["activation", INPUT_0])
    return check_laws(SweepResult(SweepConfig("x", (of,), {}, n_networks, 0), (one,)), alpha)


def failing(of: Condition, networks: dict[Measure, Array], alpha: float = 1e-3) -> list[str]:
    return [f.name.removeprefix("theory: ") for f in findings(of, networks, alpha) if not f.held]


KINDS = {
    "circular": images(),
    "circular, averaged": images("circular", "mean"),
    "circular, biased": images(
        bias_means=(0.6, -0.5, 0.4, 0.7), bias_variances=(0.3, 0.1, 0.2, 0.4)
    ),
    "zeros": images("zero"),
    "blocks": blocks(),
    "circular blocks": images(blocks=Blocks(-0.5)),
}


@cache
def simulated(kind: str, trials: int = 100, runs: int = 300) -> dict[Measure, Array]:
    return forward(KINDS[kind], trials * runs, 7)


@pytest.mark.parametrize("kind", slow_but(KINDS, "circular"))
def test_correct_runs_alarm_it_no_more_often_than_it_says(kind: str) -> None:
    networks, runs = simulated(kind), 300
    alarms = sum(
        bool(
            failing(
                KINDS[kind], {m: a[100 * i : 100 * i + 100] for m, a in networks.items()}, LEVEL
            )
        )
        for i in range(runs)
    )
    # 29 or more of 300 at 5 % have a probability of 6e-4
    assert alarms < 29


@pytest.mark.parametrize("kind", slow_but(KINDS, "circular", "blocks"))
def test_means_of_thirty_thousand_networks_are_one(kind: str) -> None:
    one = ConditionResult(KINDS[kind], {}, {}, {}, {}, 0, None, networks=simulated(kind))
    scores = [
        score
        for ratios in iter_mean_ratios(one, may_be_lost=False)
        for score in t_scores(ratios).values()
    ]
    assert max(abs(score.z) for score in scores) < 4.5  # at most 12 scores: 1e-4
    assert max(score.error for score in scores) < 0.01


def scaled(of: Condition, factor: float, k: int = 1) -> Condition:
    variances = list(of.weight_variances)
    variances[k] *= factor
    return with_layers(of, weight_variances=tuple(variances))


def some(kind: str) -> dict[Measure, Array]:
    return {measure: log10[:1000] for measure, log10 in simulated(kind).items()}


@pytest.mark.parametrize(
    ("kind", "twin", "what"),
    [
        ("circular", lambda of: with_layers(of, weight_variances=(0.2,) * 4), "preactivation"),
        ("circular", lambda of: with_layers(of, activation="linear"), "activation"),
        ("circular, averaged", lambda of: with_layers(of, activation="linear"), "activation"),
        ("circular, biased", lambda of: with_layers(of, bias_means=()), "preactivation"),
        ("circular, biased", lambda of: with_layers(of, bias_variances=()), "preactivation"),
        (
            "zeros",
            lambda of: with_layers(of, images=description(images())["images"]),
            "preactivation",
        ),
        ("zeros", lambda of: scaled(of, 1 / 3), "preactivation"),  # the taps forgotten
        ("zeros", lambda of: scaled(of, 3.0), "preactivation"),
        ("circular, averaged", lambda of: scaled(of, 1 / 3, 3), "preactivation"),
        ("blocks", lambda of: with_layers(of, blocks=Blocks(1.0)), "activation"),
        ("circular blocks", lambda of: with_layers(of, blocks=Blocks(-1.0)), "activation"),
    ],
)
def test_errors_are_found(kind: str, twin: Callable[[Condition], Condition], what: str) -> None:
    assert failing(KINDS[kind], some(kind)) == []
    assert what in failing(twin(KINDS[kind]), some(kind))


def test_one_layer_that_is_off_is_found_and_named() -> None:
    networks = some("circular")
    networks["preactivation", INPUT_0] = networks["preactivation", INPUT_0].copy()
    networks["preactivation", INPUT_0][:, 2] += math.log10(1.25)
    (wrong,) = (
        f for f in findings(KINDS["circular"], networks) if f.name.endswith("preactivation")
    )
    assert "most at layer 2" in wrong.reason
    assert not wrong.held


def test_a_number_that_is_none_is_an_error_unless_networks_may_be_lost() -> None:
    networks = some("circular")
    networks["preactivation", INPUT_0] = networks["preactivation", INPUT_0].copy()
    networks["preactivation", INPUT_0][3, 1] = np.nan
    assert "preactivation" in failing(KINDS["circular"], networks)
    biased = with_layers(KINDS["circular"], bias_variances=(1e-12,) * 4)
    assert failing(biased, networks) == []


def test_blocks_that_add_nothing_hand_on_the_same_number() -> None:
    idle = blocks(blocks=Blocks(1.0, zero_last=True))
    networks = forward(idle, 200, 1)
    assert np.isneginf(networks["preactivation", INPUT_0][:, 1:-1]).all()
    assert failing(idle, networks) == []
    networks["activation", INPUT_0] = networks["activation", INPUT_0] + np.linspace(0, 0.001, 5)
    assert "activation" in failing(idle, networks)


def test_a_mean_within_its_range_is_no_alarm_and_one_beyond_it_is() -> None:
    noise = np.random.default_rng(0).standard_normal((50, 1)) / 100
    layers, channels = np.array([1]), np.array([50.0])
    for shift, sign in ((-0.8, -1), (-0.5, 0), (-0.3, 0), (0.3, 1)):
        least = np.array([4 / 9])
        found = t_scores(
            MeanRatios("preactivation", INPUT_0, layers, noise + shift, channels, least)
        )
        assert np.sign(found[None].z) == sign
        beyond = {-1: 1 + shift - 4 / 9, 0: 0.0, 1: shift}[sign]
        error = float((noise + shift).std(ddof=1)) / math.sqrt(50)
        assert abs(found[None].z * error - beyond - abs(sign) * noise.mean()) < 1e-12


def test_ratios_count_as_much_as_channels_of_their_layer() -> None:
    of = with_layers(images(), widths=(8, 12, 16, 20, 3), images=Images((4,), 3, (2, 3, 4, 5)))
    zeros = dict.fromkeys(MEASURES, np.zeros((2, 4)))
    one = ConditionResult(of, {}, {}, {}, {}, 0, None, networks=zeros)
    f, h = iter_mean_ratios(one, may_be_lost=False)
    assert (f.layers.tolist(), f.channels.tolist()) == ([0, 1, 2, 3], [3, 4, 5, 3])
    assert (h.layers.tolist(), h.channels.tolist()) == ([1, 2, 3], [3, 4, 5])


def test_few_channels_in_all_are_not_tested() -> None:
    excess = np.random.default_rng(0).standard_normal((10, 2)) / 10
    ratios = MeanRatios(
        "activation", INPUT_0, np.array([1, 2]), excess, np.array([50.0, 60.0]), np.ones(2)
    )
    assert set(t_scores(ratios)) == {None}
    assert t_scores(ratios._replace(excess=excess[:9])) == {}
    assert set(t_scores(ratios._replace(channels=np.array([100.0, 99.0])))) == {None, 1}


def test_one_network_has_no_error_and_two_have() -> None:
    excess = np.array([[0.1], [0.2]])
    ratios = MeanRatios("activation", INPUT_0, np.array([1]), excess, np.array([1e4]), np.ones(1))
    assert set(t_scores(ratios)) == {None, 1}
    assert t_scores(ratios._replace(excess=excess[:1])) == {}


@pytest.mark.parametrize(("size", "differs"), [(0.5e-9, False), (2e-9, True)])
def test_what_rounding_leaves_of_ratios_of_one_is_no_deviation(size: float, differs: bool) -> None:
    excess = size * np.array([[0.99], [1.0], [0.98]])
    ratios = MeanRatios("activation", INPUT_0, np.array([1]), excess, np.array([1e4]), np.ones(1))
    assert (t_scores(ratios)[None].z > 100) == differs
    assert (t_scores(ratios)[None].z == 0) != differs


def test_scores_are_those_of_a_t_test_over_networks() -> None:
    excess = np.random.default_rng(0).standard_normal((30, 2)) / 10
    ratios = MeanRatios(
        "activation", INPUT_0, np.array([1, 2]), excess, np.array([100.0, 50.0]), np.ones(2)
    )
    found = t_scores(ratios)[None]
    numbers = [(2 * a + b) / 3 for a, b in excess.tolist()]
    mean = sum(numbers) / 30
    error = math.sqrt(sum((number - mean) ** 2 for number in numbers) / 29 / 30)
    expected = (1 + mean, error, mean / error, 60, 29, 1)
    np.testing.assert_allclose(np.array(found[:6], float), expected, rtol=1e-12, atol=0)


def test_where_no_law_is_known_none_is_claimed() -> None:
    of = images("zero", "mean", lsuv=Lsuv())
    (only,) = findings(of, forward(of, 100, 0))
    assert (only.name, only.tested) == ("theory: not tested", False)
    assert "second_moment of preactivation, activation, grad_preactivation, " in only.reason
    assert summary([only]) == "nothing could be tested"
    (value,) = finding_values([only])
    assert value["held"] is None
    assert 'skipped="1"' in to_junit([only], "x")
    assert "<skipped" in to_junit([only], "x")
    assert list(to_table([only]).columns[0].cells) == []
    held = Finding("theory: activation", True, "1.0000 ± 0.0010 of theory, t = +0.1")
    assert summary([held, only]) == "1 of 1 held, not all tested"


@pytest.mark.parametrize("law", ["uniform", "truncated_normal"])
def test_means_do_not_ask_for_normal_weights(law: Any) -> None:
    of = images(weight_distributions=(law,) * 4)
    assert failing(of, some("circular")) == []
    assert "preactivation" in failing(scaled(of, 1.3), some("circular"))


def test_what_too_few_networks_leave_untested_is_named() -> None:
    of = images("circular", "mean")
    (only,) = findings(of, forward(of, 40, 0))  # of 15 channels each, 600 in all
    assert (only.name, only.tested) == ("theory: not tested", False)
    names = {found.name for found in findings(of, forward(of, 100, 0))}
    assert {"theory: preactivation", "theory: activation"} < names


@pytest.mark.parametrize(
    ("kind", "says"),
    [("circular", None), ("circular, averaged", "which may be 0."), ("zeros", "which may be 0.")],
)
def test_a_range_is_told_where_there_is_one(kind: str, says: str | None) -> None:
    (reason,) = (
        f.reason for f in findings(KINDS[kind], some(kind)) if f.name == "theory: preactivation"
    )
    assert (says in reason) if says else ("may be" not in reason)
