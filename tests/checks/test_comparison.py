import json
import math
import re
from dataclasses import replace
from functools import partial
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray

from heinit_sim.checks.comparison import LEVEL, Comparison, DifferingRow, _compare_means, compare
from heinit_sim.config import parse_config
from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.quantities import BETWEEN_INPUTS, MEASURES, Measure
from heinit_sim.experiment.results import SweepResult
from heinit_sim.reports.comparison import comparison_lines, to_comparison_document
from tests.conditions import unpredicted
from tests.rows import slow_but

Array = NDArray[np.float64]

CONFIG = """
name: {name}
network: {{depth: {depth}, width: {width}, input_dim: {width}}}
init: {{variance: {variance}}}
inputs: {{count: {inputs}}}
trials: {trials}
seed: {seed}
"""
ACTIVATION: Measure = ("activation", "variance")


def simulate(end: str = "", **given: float | str) -> SweepResult:
    values = {"name": "x", "depth": 4, "width": 8, "variance": 0.25, "inputs": 3, "trials": 30}
    return unpredicted(parse_config(CONFIG.format(**{**values, "seed": 0, **given}) + end))


def shifted(
    result: SweepResult, network: int, layer: int, by: float, measure: Measure = ACTIVATION
) -> SweepResult:
    """The last condition with one number moved."""
    last = result.conditions[-1]
    log10 = last.networks[measure].copy()
    log10[network, layer] += by
    last = replace(last, networks={**last.networks, measure: log10})
    return replace(result, conditions=(*result.conditions[:-1], last))


def test_a_run_is_the_same_as_itself_whatever_it_is_called_or_expected_to_be() -> None:
    other = simulate("figure: {quantity: std}\nexpect: {forward: stable}\n", name="y")
    found = compare(simulate(), other)
    assert (found.exact, found.held, found.largest) == (True, True, 0.0)
    assert found.n_rows == 17 * 5
    assert found.settings == ()


def test_of_one_config_every_number_must_agree() -> None:
    result = simulate("sweep: {init.variance: [0.25, 0.5]}\n")
    near = shifted(result, 3, 2, 0.9e-6 / math.log(10))
    found = compare(result, near)
    assert found.held
    np.testing.assert_allclose(found.largest, 0.9e-6, rtol=1e-6, atol=0)  # 2e-16·… of the sum
    assert not compare(result, near, rtol=0.8e-6).held
    assert not compare(result, shifted(result, 3, 2, 1.1e-6 / math.log(10))).held

    far = compare(result, shifted(result, 3, 2, 0.5))
    (row,) = far.rows
    assert (row.swept, row.measure, row.layer) == ({"init.variance": 0.5}, ACTIVATION, 2)
    np.testing.assert_allclose(row.decades, 0.5, rtol=1e-14, atol=0)
    # one of 30 networks by half a decade; the two standard errors in plain words
    one = result.conditions[1].networks[ACTIVATION][:, 2]
    other = one + 0.5 * (np.arange(30) == 3)
    squared = sum(np.var(of, ddof=1) / 30 for of in (one, other))
    np.testing.assert_allclose(row.standard_errors, 0.5 / 30 / np.sqrt(squared), rtol=1e-10, atol=0)


def test_dead_layers_are_equal_to_each_other_and_to_nothing_else() -> None:
    dead = shifted(simulate(), 0, 4, -math.inf)
    assert compare(dead, dead).held
    (row,) = compare(simulate(), dead).rows
    assert row.decades == -math.inf
    assert compare(dead, simulate()).rows[0].decades == math.inf


def test_the_worst_row_comes_first() -> None:
    result = simulate()
    other = shifted(shifted(result, 0, 1, 0.25), 0, 3, -0.5)
    assert [row.layer for row in compare(result, other).rows] == [3, 1]


# Two runs of one law, and the same where they are few, unequal or skewed: (trials of each, units
# per layer, inputs, layers).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second", "width", "inputs", "depth"),
    [(30, 40, 8, 3, 4), (3, 40, 8, 1, 2), (10, 100, 3, 2, 2)],
)
def test_runs_of_one_law_differ_as_rarely_as_the_level_says(
    first: int, second: int, width: int, inputs: int, depth: int
) -> None:
    pairs = 250
    law = partial(simulate, width=width, inputs=inputs, depth=depth)
    all_first, all_second = (law(trials=pairs * n, seed=n) for n in (first, second))
    alarms = sum(
        not compare(part(all_first, n, first), part(all_second, n, second)).held
        for n in range(pairs)
    )
    # Binomial: more than 3 of 250 at 1e-3 each happen once in 7,500 such tests.
    beyond = sum(math.comb(pairs, k) * LEVEL**k * (1 - LEVEL) ** (pairs - k) for k in range(4))
    assert 1 - beyond < 1 / 7500
    assert alarms <= 3


def part(result: SweepResult, n: int, trials: int) -> SweepResult:
    """The n-th so many networks of a run, as if they were a run of their own."""
    (one,) = result.conditions
    networks = {m: log10[n * trials :][:trials] for m, log10 in one.networks.items()}
    return replace(result, conditions=(replace(one, networks=networks),))


@pytest.mark.parametrize("seed", slow_but(range(3), 0))
def test_a_variance_five_percent_off_is_found(seed: int) -> None:
    law = partial(simulate, width=50, depth=10, inputs=100, trials=100)
    found = compare(law(variance=0.04, seed=2 * seed), law(variance=0.042, seed=2 * seed + 1))
    assert not found.exact
    assert not found.held
    assert ("preactivation", "second_moment") in {row.measure for row in found.rows}
    assert found.settings[0] == "init.variance: 0.04 against 0.042"
    first = next(row for row in found.rows if row.layer == 0 and row.measure[0] != "grad_weight")
    # log10(1.05), within the error that the row itself tells
    assert abs(first.decades - math.log10(1.05)) < 5 * abs(first.decades / first.standard_errors)


def test_more_trials_are_the_same_law() -> None:
    found = compare(simulate(trials=20), simulate(trials=60))
    assert (found.exact, found.held) == (False, True)
    assert found.settings == ("trials: 20 against 60",)


def test_configs_that_differ_in_a_long_list_are_told_in_a_line() -> None:
    first, second = (simulate(f"sweep: {{loss.target: {[*range(n)]}}}\n") for n in (2, 40))
    (line,) = compare(first, second).settings
    assert line.startswith("sweep.loss.target: [0.0, 1.0] against [0.0, 1.0, 2.0, ")
    assert len(line) < 120


def test_a_difference_below_the_tolerance_is_none_however_small_its_error() -> None:
    # y = 10^9 drowns the output: ∂ℓ/∂f_K varies in its last bits only
    first, second = (simulate("loss: {target: 1.0e+9}\n", seed=seed) for seed in (0, 1))
    assert compare(first, second).held
    assert math.isfinite(compare(first, second).largest)


def test_conditions_are_paired_by_their_swept_values() -> None:
    first = simulate("sweep: {init.variance: [0.25, 0.5, 1], loss.target: [0, 1]}\n")
    second = simulate("sweep: {loss.target: [1, 0], init.variance: [0.5, 0.25]}\n")
    found = compare(first, second)
    assert found.held
    assert found.largest == 0.0  # common draws: the very same numbers
    assert (found.n_conditions, found.matched) == (
        4,
        "conditions paired by init.variance, loss.target",
    )
    assert found.left_out == (
        (
            "2 conditions that only the first run has (init.variance = 1.0, loss.target = 0.0; "
            "init.variance = 1.0, loss.target = 1.0)"
        ),
    )


def test_conditions_of_other_sweeps_are_paired_by_position() -> None:
    first = simulate("sweep: {init.variance: [0.25, 0.5]}\n")
    second = simulate(
        "sweep: {init.gain: [1.4142135623730951, 2]}\n", variance="null, scheme: lecun_normal"
    )
    found = compare(first, second)
    assert (found.matched, found.held) == ("conditions paired by position", True)
    with pytest.raises(RunDirectoryError, match=r"sweep different keys .* \(2 and 1\)"):
        compare(first, simulate())
    with pytest.raises(RunDirectoryError, match=r"values of init\.variance"):
        compare(first, simulate("sweep: {init.variance: [2]}\n"))


def test_other_depths_are_a_difference() -> None:
    found = compare(simulate(), simulate(depth=5))
    assert not found.held
    assert found.mismatches == ("the condition: 4 hidden layers against 5",)
    assert found.n_rows == 0
    assert comparison_lines(found, 1e-6)[:2] == [
        "different in the depth of 1 condition",
        "the condition: 4 hidden layers against 5",
    ]


def test_the_smallest_p_and_its_level_are_those_of_the_rows() -> None:
    first, second = simulate(trials=3), simulate(trials=40, seed=1)
    found = compare(first, second)
    # Student's t with 2 degrees of freedom in closed form: P(|T| ≥ t) = 1 − t/√(2 + t²)
    p = min(
        1 - t / math.sqrt(2 + t * t)
        for measure in MEASURES
        for t in np.abs(welch_t(*(r.conditions[0].networks[measure] for r in (first, second))))
    )
    np.testing.assert_allclose(found.smallest_p, p, rtol=1e-9, atol=0)
    np.testing.assert_allclose(found.level, LEVEL / (17 * 5 + 1), rtol=1e-12, atol=0)
    assert found.held == (p >= found.level)
    assert comparison_lines(found, 1e-6)[0] == (
        f"no difference found in 85 rows: smallest p = {p:.2g}, a difference is below 1.2e-05"
    )
    document = json.loads(json.dumps(to_comparison_document(found), allow_nan=False))
    assert (document["smallest_p"], document["level"]) == (found.smallest_p, found.level)
    moved = compare(first, simulate(trials=40, seed=1, variance=25.0))
    assert (moved.held, moved.smallest_p < moved.level) == (not moved.rows, bool(moved.rows))


def welch_t(x: Array, y: Array) -> Array:
    squared = x.var(axis=0, ddof=1) / len(x) + y.var(axis=0, ddof=1) / len(y)
    found: Array = (y.mean(axis=0) - x.mean(axis=0)) / np.sqrt(squared)
    return found


def test_where_no_network_lives_there_is_no_p() -> None:
    measure: Measure = ("activation", "variance")
    first, second = (
        without(simulate(seed=seed, depth=1), *(m for m in MEASURES if m != measure))
        for seed in (0, 1)
    )
    for network in range(30):
        for layer in (0, 1):
            first = shifted(first, network, layer, -math.inf)
    found = compare(first, second)
    assert math.isnan(found.smallest_p)
    assert comparison_lines(found, 1e-6)[0].endswith("no row has two live networks in both runs")
    assert to_comparison_document(found)["smallest_p"] is None


def without(result: SweepResult, *measures: Measure) -> SweepResult:
    conditions = (
        replace(of, networks={m: x for m, x in of.networks.items() if m not in measures})
        for of in result.conditions
    )
    return replace(result, conditions=tuple(conditions))


def test_measures_of_one_run_only_are_left_out() -> None:
    old = without(simulate(), ("grad_weight", "variance"), ("activation", "second_moment"))
    for seed in (0, 1):
        found = compare(simulate(seed=seed), old)
        assert found.held
        assert found.n_rows == 15 * 5
        assert found.left_out == (
            "activation second_moment (not in both runs)",
            "grad_weight variance (not in both runs)",
        )
    with pytest.raises(RunDirectoryError, match="no quantity in common"):
        compare(simulate(), without(simulate(), *MEASURES))


def test_one_network_has_no_error() -> None:
    with pytest.raises(RunDirectoryError, match="at least 2 trials"):
        compare(simulate(trials=1), simulate(trials=1, seed=1))
    assert compare(simulate(trials=1), simulate(trials=1)).held
    assert compare(simulate(trials=2), simulate(trials=2, seed=1)).n_rows > 0


def test_layers_of_fewer_than_two_live_networks_are_left_out() -> None:
    result, other = simulate(trials=3), simulate(trials=3, seed=1)
    for dead, n_lost in ((1, 0), (2, 1), (3, 1)):
        killed = result
        for network in range(dead):
            killed = shifted(killed, network, 4, -math.inf)
        found = compare(killed, other)
        lines = [line for line in found.left_out if "fewer than two networks" in line]
        assert lines == ["1 rows of fewer than two networks that are alive, in one run"] * n_lost
        assert found.n_rows == 85 - n_lost


def test_the_share_of_dead_networks_differs_by_fishers_exact_test() -> None:
    # Twice the chance that none of the first run's 30 is among d dead of 60, C(30, d)/C(60, d)
    level = LEVEL / (17 * 5 + 1)
    tails = {d: 2 * math.comb(30, d) / math.comb(60, d) for d in range(31)}
    enough = next(d for d, tail in tails.items() if tail < level)
    first, second = simulate(seed=1), simulate()
    assert compare(first, kill(second, enough)).dead != ()
    assert compare(first, kill(second, enough - 1)).dead == ()


@pytest.mark.parametrize(("alone", "end"), [(4, "= 4.0)"), (5, "= 4.0; …)")])
def test_four_conditions_that_one_run_alone_has_are_named(alone: int, end: str) -> None:
    targets = [0, *range(1, alone + 1)]
    first, second = (
        simulate(f"sweep: {{loss.target: {targets}}}\n"),
        simulate("sweep: {loss.target: [0]}\n"),
    )
    (line,) = compare(first, second).left_out
    assert line.startswith(f"{alone} conditions that only the first run has (loss.target = 1.0; ")
    assert line.endswith(end)


def kill(result: SweepResult, dead: int) -> SweepResult:
    for measure in MEASURES:
        if measure[0] == "activation":
            for network in range(dead):
                result = shifted(result, network, 4, -math.inf, measure)
    return result


@pytest.mark.parametrize(("dead", "held"), [(0, True), (3, True), (20, False)])
def test_another_share_of_dead_networks_is_a_difference(dead: int, held: bool) -> None:
    found: Comparison = compare(simulate(seed=1), kill(simulate(), dead))
    assert found.held == held
    if not held:
        text = "the condition: 0 of 30 networks are dead (h_K = 0) against 20 of 30"
        assert found.mismatches == (text,)
        head = comparison_lines(found, 1e-6)[0]
        assert re.match(
            r"different in (\d+ of 75 rows and )?the share of dead networks of 1 condition: ", head
        )


def rows_at(t: float, n_networks: int, level: float) -> list[DifferingRow]:
    """The rows of two samples of so many networks whose means lie t standard errors apart."""
    result = simulate().conditions[0]
    log10 = np.resize([-1.0, 0.0, 1.0], (n_networks, 1))
    apart = t * math.sqrt(2 * np.var(log10, ddof=1) / n_networks)
    a, b = (replace(result, networks={ACTIVATION: z}) for z in (log10, log10 + apart))
    return _compare_means(a, b, ACTIVATION, 1e-6, level).differing


def critical(p: float, freedom: int) -> float:
    """t with P(|T| ≥ t) = p for Student's T of 2 or of many degrees of freedom."""
    if freedom == 2:  # P = 1 − t/√(2 + t²)
        return (1 - p) * math.sqrt(2 / (1 - (1 - p) ** 2))
    z = -NormalDist().inv_cdf(p / 2)  # Abramowitz & Stegun 26.7.5; the next term is 1e-5 of t
    return z + (z**3 + z) / (4 * freedom)


@pytest.mark.parametrize("level", [1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("n_networks", [3, 3000])
def test_rows_differ_from_critical_values_of_students_t_on(n_networks: int, level: float) -> None:
    at = critical(level, n_networks - 1)
    for sign in (1, -1):
        assert len(rows_at(sign * 1.0005 * at, n_networks, level)) == 1
        assert rows_at(sign * 0.9995 * at, n_networks, level) == []
        assert rows_at(sign * critical(2 * level, n_networks - 1), n_networks, level) == []


def test_the_level_is_shared_by_every_row_and_every_count_of_dead_networks() -> None:
    first = simulate("sweep: {init.variance: [0.25, 0.5]}\n")
    second = simulate("sweep: {init.variance: [0.25, 0.5]}\n", seed=1)
    found = compare(first, second)
    # 15 measures at 5 layers of 2 conditions, and a count for each of these
    np.testing.assert_allclose(found.level, LEVEL / (17 * 5 * 2 + 2), rtol=1e-14, atol=0)


def crossing(result: SweepResult, numbers: int, layer: int = 2) -> SweepResult:
    """So many numbers of h_k moved from the fullest bin into the next."""
    (of,) = result.conditions
    histogram = of.histograms["activation"]
    counts = histogram.counts.copy()
    fullest = counts[layer].argmax()
    counts[layer, [fullest, fullest + 1]] += [-numbers, numbers]
    moved = {**of.histograms, "activation": replace(histogram, counts=counts)}
    return replace(result, conditions=(replace(of, histograms=moved),))


@pytest.mark.parametrize("bins", ["decades", "std"])
def test_histograms_of_one_config_may_differ_by_what_crosses_an_edge(bins: str) -> None:
    record = f"record: {{histograms: {bins}}}\n"
    result = simulate(record)
    assert compare(result, simulate(record)).held
    assert compare(result, crossing(result, 1)).held
    found = compare(result, crossing(result, 2))
    text = "the condition: activation, layer 2: 2 numbers or more are in other bins"
    assert found.histograms == found.mismatches == (text,)
    assert comparison_lines(found, 1e-6)[0].startswith("different in the histograms of 1 layer: ")
    assert compare(result, crossing(result, 8), rtol=0.01).held  # 1 and 1 % of 720 may cross
    assert not compare(result, crossing(result, 9), rtol=0.01).held


def test_a_run_with_histograms_has_the_numbers_of_one_without() -> None:
    found = compare(simulate(), simulate("record: {histograms: std}\n"))
    assert (found.exact, found.held) == (True, True)
    assert found.left_out == ("histograms (not the same bins of one config)",)
    other = compare(simulate("record: {histograms: std}\n"), simulate(seed=1))
    assert other.left_out == found.left_out


BETWEEN: Measure = ("activation", BETWEEN_INPUTS)


def test_between_inputs_is_compared_where_both_runs_have_two() -> None:
    alone = [simulate(inputs=1, seed=seed) for seed in (0, 1)]
    for other in alone:
        found = compare(alone[0], other)
        assert (found.held, found.n_rows, found.left_out) == (True, 15 * 5, ())
    found = compare(alone[0], simulate(inputs=3))
    line = "variance_between_inputs of 1 conditions (one input in one run)"
    assert line in found.left_out
    assert found.n_rows == 15 * 5 - 2  # one output for one input has no variance either
    old = without(simulate(), *(m for m in MEASURES if m[1] == BETWEEN_INPUTS))
    for seed in (0, 1):
        found = compare(simulate(seed=seed), old)
        assert found.n_rows == 15 * 5
        assert found.left_out == (
            "preactivation variance_between_inputs (not in both runs)",
            "activation variance_between_inputs (not in both runs)",
        )
    assert not compare(simulate(), shifted(simulate(), 3, 2, 1.1e-6 / math.log(10), BETWEEN)).held


def test_what_rounding_leaves_between_inputs_is_no_difference() -> None:
    given = "init: {variance: 1.0e-5, bias_variance: 0.1}"
    text = CONFIG.replace(
        "init: {{variance: {variance}}}", given.replace("{", "{{").replace("}", "}}")
    )
    values = {"name": "x", "depth": 8, "width": 8, "inputs": 3, "trials": 30, "seed": 0}
    result = unpredicted(parse_config(text.format(**values)))
    (one,) = result.conditions
    second, between = one.networks["activation", "second_moment"], one.networks[BETWEEN]
    last = (second - between)[:, -1]
    assert (last > 28).all()  # each layer takes four decades, from 32 on it is rounding
    other = shifted(result, 3, 8, -math.inf, BETWEEN)
    assert compare(result, other).held
    middle = int(np.argmax((second - between)[3] > 20))  # equal to ten digits or more
    digits = (second - between)[3, middle] / 2
    for factor, held in ((0.5, True), (2.0, False)):
        off = factor * 10 ** (digits - 8) * 1e-6 / math.log(10)
        assert compare(result, shifted(result, 3, middle, off, BETWEEN)).held == held
    # and of means, where each run has its own rounding
    noise = {m: x + (m[1] == BETWEEN_INPUTS) * (second - x > 29) for m, x in one.networks.items()}
    moved = replace(result, conditions=(replace(one, networks=noise),))
    moved = replace(
        moved, config=replace(moved.config, document={**moved.config.document, "seed": 1})
    )
    found = compare(result, moved)
    assert (found.exact, found.held) == (False, True)
