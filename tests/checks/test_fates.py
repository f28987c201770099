"""What befell networks, from their numbers alone."""

from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.theory_agreement import check
from heinit_sim.checks.verdict import Fate, fates, trend
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports.formats import to_csv
from heinit_sim.reports.run import layer_rows, summary_rows
from heinit_sim.simulation.sweep import run_sweep

GELU = Condition(0, {}, (30,) * 401 + (1,), "gelu", {}, (1.0,) * 401, 3, 0.0)


def simulate(condition: Condition, trials: int = 6) -> SweepResult:
    return run_sweep(SweepConfig("x", (condition,), {}, trials, 1), 1)


def only(result: SweepResult) -> ConditionResult:
    return result.conditions[0]


def test_networks_that_come_through_have_no_fate() -> None:
    assert fates(only(simulate(replace(GELU, activation="tanh")))) == []


@pytest.mark.parametrize(
    ("variance", "word", "verdict"),
    [(1.0, "overflow", "exploding"), (0.01, "underflow", "vanishing")],
)
def test_networks_that_leave_float_range_say_where_and_leave_no_nonsense(
    variance: float, word: str, verdict: str
) -> None:
    result = simulate(replace(GELU, weight_variances=(variance,) * 401))
    (fate,) = fates(only(result))
    assert (fate.word, fate.n_networks, fate.n_all) == (word, 6, 6)
    f = only(result).networks["preactivation", "second_moment"]
    lost = np.isnan(f)
    assert int(lost.argmax(axis=1).min()) == fate.first > 100
    assert (np.diff(lost.astype(int), axis=1) >= 0).all()  # for good
    # Twice the exponent of the largest unit, less the share of the others in the mean.
    before = np.array([of_f[k - 1] for of_f, k in zip(f, lost.argmax(axis=1), strict=True)])
    assert (np.abs(before) > 2 * 500 * np.log10(2) - 6).all()
    assert np.isnan(only(result).networks["grad_activation", "second_moment"]).all()
    (row,) = summary_rows(result)
    assert row["verdict"] == f"{verdict} / undefined"
    assert row["forward_reason"].startswith(f"{word} at layer {fate.first} or later in 6 of 6 net")
    for line in to_csv(layer_rows(result)).splitlines()[1:]:
        assert "inf" not in line
        assert "nan" not in line


def test_one_network_that_is_lost_takes_no_other_with_it() -> None:
    result = simulate(replace(GELU, weight_variances=(0.39,) * 401), 30)
    (fate,) = [fate for fate in fates(only(result)) if fate.word != "dead"]
    assert 0 < fate.n_networks < 30
    f = only(result).networks["preactivation", "second_moment"]
    assert np.count_nonzero(np.isnan(f[:, -1])) == fate.n_networks
    few = {
        m: np.concatenate([log10[~np.isnan(f[:, -1])]] * 3 + [log10])
        for m, log10 in only(result).networks.items()
    }
    most = {m: log10[np.isnan(f[:, -1])] for m, log10 in only(result).networks.items()}
    for networks, words in ((few, ("exploding", "exploding")), (most, ("exploding", "undefined"))):
        trends = [
            trend(replace(only(result), networks=networks), d) for d in ("forward", "backward")
        ]
        assert tuple(found.word for found in trends) == words
        assert all(found.reason.startswith("overflow at layer ") for found in trends)
    assert all(finding.held for finding in check(result))


def test_dead_layers_are_told_from_lost_ones() -> None:
    narrow = Condition(0, {}, (2,) * 31 + (1,), "relu", {}, (1.0,) * 31, 1, 0.0)
    result = only(simulate(narrow, 40))
    (fate,) = fates(result)
    dead = np.isneginf(result.networks["activation", "second_moment"])
    first = int(dead.argmax(axis=1)[dead.any(axis=1)].min())
    assert fate == Fate("dead", first, fate.n_networks, 40)
    assert fate.n_networks == np.count_nonzero(dead.any(axis=1)) > 0
    assert fate.text == f"dead from layer {fate.first} or later in {fate.n_networks} of 40 networks"


@pytest.mark.parametrize(("variance", "word"), [(1e305, "overflow"), (1e-305, "underflow")])
def test_weights_beyond_float_range_say_which_way_though_activations_are_bounded(
    variance: float, word: str
) -> None:
    result = only(simulate(Condition(0, {}, (30, 30, 30, 1), "tanh", {}, (variance,) * 3, 3, 0.0)))
    assert [fate.text for fate in fates(result)] == [
        f"{word} at layer 0 or later in 6 of 6 networks"
    ]


def test_the_commonest_fate_comes_first() -> None:
    result = only(simulate(Condition(0, {}, (5, 5, 5, 1), "tanh", {}, (1.0,) * 3, 3, 0.0)))
    measures: tuple[Measure, ...] = (
        ("activation", "second_moment"),
        ("preactivation", "second_moment"),
    )
    h, f = (result.networks[measure].copy() for measure in measures)
    one = replace(result, networks=dict(zip(measures, (h, f), strict=True)))
    h[0, 2:] = f[0, 1:] = np.nan
    h[1:4, 1:] = f[1:4, 1:] = -np.inf
    assert [(fate.word, fate.n_networks) for fate in fates(one)] == [("dead", 3), ("overflow", 1)]
    h[1:3], f[1:3] = h[0], f[0]
    assert [(fate.word, fate.n_networks) for fate in fates(one)] == [("overflow", 3), ("dead", 1)]


def test_units_that_biases_bring_back_were_off_and_are_not_dead() -> None:
    relu = Condition(
        0, {}, (4, 3, 3, 3, 1), "relu", {}, (0.1,) * 4, 2, 0.0, biases=(0.0, -9.0, 1.0, 0.0)
    )
    (fate,) = fates(only(simulate(relu)))
    assert fate == Fate("off", 2, 6, 6)
    assert fate.text == "all units off at layer 2 or later in 6 of 6 networks"
