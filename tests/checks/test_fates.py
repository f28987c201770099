"""How networks are lost, told from where their numbers end."""

from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.fates import Fate, fates
from heinit_sim.checks.theory_agreement import check
from heinit_sim.checks.verdict import trend
from heinit_sim.experiment.quantities import MEASURES, Measure
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import Condition, SweepConfig
from heinit_sim.reports.formats import to_csv
from heinit_sim.reports.run import layer_rows, summary_rows
from tests.conditions import condition, unpredicted, with_layers
from tests.rows import slow_but

GELU = condition((30,) * 201 + (1,), 1.0, "gelu", 3)


def networks_of(network: Condition, trials: int = 6) -> SweepResult:
    return unpredicted(SweepConfig("x", (network,), {}, trials, 1))


def only(result: SweepResult) -> ConditionResult:
    return result.conditions[0]


def test_networks_that_come_through_have_no_fate() -> None:
    assert fates(only(networks_of(with_layers(GELU, activation="tanh")))) == []


UNDERFLOW = (0.002, "underflow", "vanishing")


@pytest.mark.parametrize(
    ("variance", "word", "verdict"),
    slow_but([(3.0, "overflow", "exploding"), UNDERFLOW], UNDERFLOW),
)
def test_networks_that_leave_float_range_say_where(
    variance: float, word: str, verdict: str
) -> None:
    result = networks_of(with_layers(GELU, weight_variances=(variance,) * 201))
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


@pytest.mark.slow
def test_one_network_that_is_lost_takes_no_other_with_it() -> None:
    result = networks_of(with_layers(GELU, weight_variances=(2.3,) * 201), 30)
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
    result = only(networks_of(condition((2,) * 31 + (1,), 1.0), 40))
    (fate,) = fates(result)
    dead = np.isneginf(result.networks["activation", "second_moment"])
    first = int(dead.argmax(axis=1)[dead.any(axis=1)].min())
    assert fate == Fate("dead", first, fate.n_networks, 40)
    assert fate.n_networks == np.count_nonzero(dead.any(axis=1)) > 0
    assert fate.text == f"dead from layer {fate.first} or later in {fate.n_networks} of 40 networks"


@pytest.mark.parametrize(("variance", "word"), [(1e305, "overflow"), (1e-305, "underflow")])
def test_weights_beyond_float_range_say_which_way_they_went(variance: float, word: str) -> None:
    result = only(networks_of(condition((30, 30, 30, 1), variance, "tanh", 3)))
    assert [fate.text for fate in fates(result)] == [
        f"{word} at layer 0 or later in 6 of 6 networks"
    ]


def test_the_commonest_fate_comes_first() -> None:
    result = only(networks_of(condition((5, 5, 5, 1), 1.0, "tanh", 3)))
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
    relu = condition((4, 3, 3, 3, 1), 0.1, n_inputs=2, bias_means=(0.0, -9.0, 1.0, 0.0))
    (fate,) = fates(only(networks_of(relu)))
    assert fate == Fate("off", 2, 6, 6)
    assert fate.text == "all units off at layer 2 or later in 6 of 6 networks"


@pytest.mark.parametrize(("log10_q", "word"), [(-0.1, "underflow"), (0.1, "overflow")])
def test_what_is_lost_at_a_layer_went_where_variances_went(log10_q: float, word: str) -> None:
    result = only(networks_of(condition((4, 4, 1), 0.25, "tanh"), 1))
    networks = {measure: np.full((1, 2), log10_q) for measure in MEASURES}  # q = 4 σ² E[h²] = E[h²]
    networks["preactivation", "second_moment"] = np.array([[0.0, np.nan]])
    assert [fate.word for fate in fates(replace(result, networks=networks))] == [word]
