"""Measured cosines and shares of units against plain loops; what asking for them changes."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from heinit_sim import compare
from heinit_sim.activations import make_activation
from heinit_sim.config import Override, parse_config, to_yaml
from heinit_sim.errors import ConfigError
from heinit_sim.experiment.records import RATIOS, Ratio
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.network.steps.activation import Slopes
from heinit_sim.numerics.scaled_array import Scaled
from heinit_sim.reports.run import csv_files, ratio_rows
from heinit_sim.runs import directory as runs_directory
from heinit_sim.runs.manifest import config_hash
from heinit_sim.simulation.plan import plan_passes
from heinit_sim.simulation.ratios import (
    flat_shares,
    mean_cosines,
    participation_ratios,
    ratio_spread,
)
from heinit_sim.simulation.sweep import run_sweep
from tests.conditions import with_layers
from tests.configs import problems
from tests.simulation.plain_networks import ACTIVATIONS, plain_layers

Array = np.ndarray
EPS = np.finfo(float).eps
SMALL = """
name: small
network: {depth: 3, width: [6, 5, 4], input_dim: 7, output_dim: 2}
init: {variance: 0.3}
trials: 9
"""
RECORD = "record: {cosine: true}\n"


def config(text: str = "", inputs: str = "{count: 5}", record: str = RECORD) -> SweepConfig:
    return parse_config(f"{SMALL}inputs: {inputs}\n{text}\n{record}")


def plain_mean(z: Array, *, paired: bool) -> float:
    """Mean over pairs of inputs of their cosine, one pair at a time."""
    n = z.shape[1]
    pairs = [(i, i + 1) for i in range(0, n, 2)] if paired else list(combinations(range(n), 2))
    found = []
    for i, j in pairs:
        a, b = ([float(x) for x in z[:, column]] for column in (i, j))
        if any(a) and any(b):
            a, b = ([x / max(map(abs, v)) for x in v] for v in (a, b))
            norms = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
            found.append(sum(x * y for x, y in zip(a, b, strict=True)) / norms)
    return sum(found) / len(found) if found else math.nan


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200, 5e-324])
def test_layers_of_any_size_give_what_a_double_loop_gives(scale: float, paired: bool) -> None:
    z = np.random.default_rng(5).standard_normal((2, 3, 8, 6)) * 100
    with np.errstate(over="ignore"):
        z = np.round(z) * scale if scale < 1e-300 else z * scale
    z[0, 0, :, 2] = 0.0  # an input that is off
    z[1, 1, :, :] = 0.0  # a network that is dead
    z[1, 2, :, 1:] = 0.0  # one input alone has no pair
    z[0, 2] *= 10.0 ** -np.arange(6) if scale > 1e-300 else 1.0  # inputs of very different size
    expected = [[plain_mean(one, paired=paired) for one in row] for row in z]
    found = mean_cosines(z, paired=paired)
    # Rounding of a sum of 8 products, in units of cosines.
    assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_a_network_out_of_range_is_nan_and_changes_no_other() -> None:
    z = np.random.default_rng(6).standard_normal((3, 8, 6))
    alone = mean_cosines(z[:1], paired=False)
    z[1], z[2] = np.nan, z[2] * 1e-300
    found = mean_cosines(z, paired=False)
    # Rounding of a sum of 8 products, in units of cosines.
    assert_allclose(found[:1], alone, rtol=0, atol=8 * EPS)
    assert math.isnan(found[1])
    assert math.isfinite(found[2])


def test_equal_inputs_have_cosine_one_and_not_more() -> None:
    column = np.random.default_rng(7).standard_normal((50, 300, 1))
    found = mean_cosines(np.repeat(column, 7, axis=-1), paired=False)
    assert found.max() <= 1
    assert_allclose(found, 1.0, rtol=1e-14, atol=0)


CASES = {
    "relu": ("", "{count: 5}"),
    "tanh": ("sweep: {network.activation: [tanh]}", "{count: 5}"),
    "biases": ("sweep: {init.bias_variance: [0.2]}", "{count: 3}"),
    "pairs": ("", "{distribution: pair, cosine: 0.4, count: 6}"),
    "vanishing": ("sweep: {init.variance: [1.0e-250]}", "{count: 4}"),
    "exploding": ("sweep: {init.variance: [1.0e+250]}", "{count: 4}"),
}


@pytest.mark.parametrize("name", CASES)
def test_networks_show_the_cosines_of_a_plain_pass(name: str) -> None:
    of = config(*CASES[name])
    (result,) = run_sweep(of).conditions
    plain = of.conditions[0]
    if name in ("vanishing", "exploding"):
        # no factor changes a ReLU network's cosines: the plain pass stays within float range
        plain = with_layers(plain, weight_variances=(1.0,) * 4)
    for trial in range(of.trials):
        layers = plain_layers(of.seed, plain, trial)
        for quantity in ("preactivation", "activation"):
            expected = [plain_mean(z, paired=name == "pairs") for z in layers[quantity]]
            assert len(expected) == 4
            assert_allclose(result.ratios[quantity, "cosine"][trial], expected, rtol=0, atol=1e-12)


def test_asking_for_cosines_changes_no_other_number_and_no_pass() -> None:
    swept = "sweep: {init.variance: [0.1, 0.3]}"
    with_, without = run_sweep(config(swept)), run_sweep(config(swept, record=""))
    assert len(set(plan_passes(with_.config))) == 1
    for one, other in zip(with_.conditions, without.conditions, strict=True):
        assert not other.ratios
        assert not other.theory_ratios
        for measure, log10 in one.networks.items():
            assert_array_equal(log10, other.networks[measure])
        for ratio in RATIOS["cosine"]:
            assert_array_equal(one.ratios[ratio], with_.conditions[0].ratios[ratio])


def test_the_same_on_any_number_of_threads() -> None:
    of = replace(config(), trials=600)
    one, two = (run_sweep(of, jobs).conditions[0].ratios for jobs in (1, 2))
    for measure in RATIOS["cosine"]:
        assert_array_equal(one[measure], two[measure])


def test_what_is_not_asked_for_leaves_no_trace_in_the_config() -> None:
    plain, asked = config(record=""), config()
    for text in ("record: {cosine: false}", "record: {cosine: null}", "record: {}"):
        assert config(record=text).document == plain.document
    assert config_hash(asked) != config_hash(plain)
    assert asked.document["record"] == {"cosine": True}
    assert parse_config(to_yaml(asked.document)) == asked
    both = config(record="record: {cosine: true, histograms: std}")
    assert both.document["record"] == {"histograms": "std", "cosine": True}
    assert parse_config(to_yaml(both.document)) == both


@pytest.mark.parametrize(
    ("record", "inputs", "message"),
    [
        (
            "{cosine: 1}",
            "{count: 2}",
            "8:18: error: record.cosine: not true or false (1), must be true or false",
        ),
        (
            "{cosine: true}",
            "{count: 1}",
            (
                "6:17: error: inputs.count: one input has no cosine with another (1), "
                "must be 2 or more for record.cosine"
            ),
        ),
    ],
)
def test_what_cannot_be_recorded_is_refused(record: str, inputs: str, message: str) -> None:
    text = f"{SMALL}inputs: {inputs}\n\nrecord: {record}\n"
    assert problems(text) == [f"c.yaml:{message}"]


def test_one_input_at_some_point_of_the_grid_is_refused_there() -> None:
    with pytest.raises(
        ConfigError, match=r"7:27: error: inputs\.count: .* \(1\), must be 2 or more"
    ):
        config("sweep: {inputs.count: [3, 1]}")


def with_cosines(of: ConditionResult, cosines: Array) -> ConditionResult:
    return replace(of, ratios=dict.fromkeys(RATIOS["cosine"], cosines))


def test_networks_are_summed_up_but_for_those_that_are_dead() -> None:
    (of,) = run_sweep(config()).conditions
    cosines = np.random.default_rng(8).uniform(-1, 1, (9, 4))
    cosines[[2, 5], 3] = np.nan
    cosines[1:, 2] = np.nan
    cosines[:, 1] = np.nan
    found = ratio_spread(with_cosines(of, cosines), ("activation", "cosine"))
    assert found.networks.tolist() == [9, 0, 1, 7]
    for k in (0, 3):
        alive = cosines[~np.isnan(cosines[:, k]), k]
        expected = [alive.mean(), alive.std(ddof=1) / math.sqrt(len(alive))]
        expected += [np.quantile(alive, q) for q in (0.5, 0.05, 0.95)]
        assert_allclose([part[k] for part in found[1:]], expected, rtol=1e-12, atol=0)
    assert np.isnan([part[1] for part in found[1:]]).all()
    assert math.isnan(found.se[2])
    assert found.mean[2] == found.median[2] == found.p05[2] == cosines[0, 2]


def test_quantiles_of_two_networks_lie_between_them() -> None:
    (result,) = run_sweep(config()).conditions
    cosines = np.full((9, 4), np.nan)
    cosines[3], cosines[7] = 0.8, -0.4
    spread = ratio_spread(with_cosines(result, cosines), ("activation", "cosine"))
    assert spread.networks.tolist() == [2] * 4
    for found, q in ((spread.median, 0.5), (spread.p05, 0.05), (spread.p95, 0.95)):
        assert_allclose(found, np.quantile([0.8, -0.4], q), rtol=4 * EPS, atol=EPS)


def test_a_layer_that_any_network_leaves_range_before_is_undefined() -> None:
    (of,) = run_sweep(config()).conditions
    networks = dict(of.networks)
    networks["activation", "second_moment"] = of.networks["activation", "second_moment"].copy()
    networks["activation", "second_moment"][4, 2:] = np.nan
    found = ratio_spread(replace(of, networks=networks), ("activation", "cosine"))
    assert found.networks.tolist() == [9, 9, 0, 0]
    assert np.isnan(found.median).tolist() == [False, False, True, True]


def test_rows_have_the_columns_that_are_documented() -> None:
    result = run_sweep(config("sweep: {init.variance: [0.1, 0.3]}"))
    rows = list(ratio_rows(result, "cosine"))
    assert len(rows) == 2 * 2 * 4
    assert list(rows[0]) == [
        *("condition", "init.variance", "quantity", "layer", "networks"),
        *("cosine_mean", "cosine_se", "cosine_median", "cosine_p05", "cosine_p95"),
        "theory_cosine",
    ]
    (row,) = (
        r for r in rows if (r["condition"], r["quantity"], r["layer"]) == (1, "activation", 1)
    )
    seen = result.conditions[1].ratios["activation", "cosine"][:, 1]
    # rounded to 1e-8; the two means may differ in their last bit
    assert abs(row["cosine_mean"] - np.nanmean(seen)) < 0.51e-8
    assert round(row["theory_cosine"], 4) == 0.3183


def saved(result: SweepResult, directory: Path, *, force: bool = False) -> Path:
    runs_directory.write_run(result, directory, figure=None, force=force)
    return directory


def test_a_saved_run_comes_back_with_its_cosines(tmp_path: Path) -> None:
    result = run_sweep(config())
    run = saved(result, tmp_path / "run")
    assert {path.name for path in run.iterdir()} == set(
        runs_directory.run_files(result.config, plots=False)
    )
    again = runs_directory.read_run(run)
    for one, other in zip(result.conditions, again.conditions, strict=True):
        for measure in RATIOS["cosine"]:
            assert_array_equal(one.ratios[measure], other.ratios[measure])
            assert_array_equal(one.theory_ratios[measure], other.theory_ratios[measure])
    saved(run_sweep(config(record="")), run, force=True)  # leaves no table of another run behind
    assert "cosines.csv" not in {path.name for path in run.iterdir()}


def test_runs_of_one_config_are_compared_cosine_by_cosine() -> None:
    result = run_sweep(config())
    (of,) = result.conditions
    assert compare(result, result).held
    wrong = of.ratios["activation", "cosine"].copy()
    wrong[3, 2] += 1e-4
    other = replace(of, ratios={**of.ratios, ("activation", "cosine"): wrong})
    found = compare(result, replace(result, conditions=(other,)))
    assert not found.held
    assert found.ratios == (
        "the condition: cosine of activation, layer 2: 1 of 9 networks differ, by up to 0.0001",
    )
    wrong[3, 2] = np.nan
    found = compare(result, replace(result, conditions=(other,)))
    text = "the condition: cosine of activation, layer 2: 1 of 9 networks differ, one is undefined"
    assert found.ratios == (text,)
    without = compare(result, run_sweep(config(record="")))
    assert without.held
    assert without.left_out == ("record.cosine (not in both runs)",)


def test_flags_may_ask_for_cosines() -> None:
    of = parse_config(SMALL, overrides=[Override("--set", "record.cosine", "true")])
    assert of.record.cosine


def plain_participation(z: Array) -> float:
    """(tr C)²/tr C², entry by entry of the covariance of the units; NaN without variance."""
    units = [[Fraction(float(x)) for x in row] for row in z]
    units = [[x - sum(row, Fraction()) / len(row) for x in row] for row in units]
    products = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in units] for a in units]
    trace = sum(row[i] for i, row in enumerate(products))
    return float(trace**2 / sum(x * x for row in products for x in row)) if trace else math.nan


def plain_shares(slopes: Array, limit: float) -> tuple[float, float]:
    """Units all of whose slopes are below the limit, and numbers of which that is so."""
    flat = [[abs(float(slope)) < limit for slope in row] for row in slopes]
    n_flat = sum(sum(row) for row in flat)
    return sum(map(all, flat)) / len(flat), n_flat / slopes.size


@pytest.mark.parametrize("shape", [(8, 6), (4, 9), (5, 1), (1, 5)])
@pytest.mark.parametrize("exponent", [0, 900, -900, 100_000])
def test_directions_are_those_of_a_plain_covariance(shape: tuple[int, int], exponent: int) -> None:
    z = np.random.default_rng(9).standard_normal((2, 3, *shape))
    z[0, 0, :, 0] *= 100.0  # one input far from the others
    z[0, 1] = z[0, 1, :, :1]  # inputs that are alike
    z[0, 2] = 0.0  # a network that is dead
    z[1, 0] += 1e3  # what all have in common
    z[1, 1] *= 1e-120
    expected = [[plain_participation(one) for one in row] for row in z]
    found = participation_ratios(Scaled(z, np.full((2, 3), exponent)))
    # Sums of up to 81 products of numbers with 13 digits left beside what inputs have in common.
    assert_allclose(found, expected, rtol=1e-11, atol=0)


def test_differences_that_rounding_makes_are_no_direction() -> None:
    z = 1 + np.random.default_rng(9).integers(0, 2, (1, 8, 6)) * EPS / 2
    assert np.isnan(participation_ratios(Scaled(z * np.pi, np.zeros(1, np.int64)))).all()
    z[0, 0, 0] += 1e-9
    assert_allclose(participation_ratios(Scaled(z, np.zeros(1, np.int64))), 1.0, rtol=1e-9, atol=0)


def test_units_of_all_activations_of_a_layer_count_together() -> None:
    rng = np.random.default_rng(2)
    z = rng.standard_normal((3, 6, 2)), rng.standard_normal((3, 4, 2)) * 4
    relu, tanh = (make_activation(name, {}) for name in ("relu", "tanh"))
    slopes = [Slopes((a,), a.derivative(x)) for a, x in zip((relu, tanh), z, strict=True)]
    h = np.ones((3, 5, 2))
    h[1] = np.nan  # a network that left float range
    off, saturated = flat_shares(slopes, h)
    for n in (0, 2):
        own = [plain_shares(np.asarray(s.numbers[n], float), 0.01) for s in slopes]
        expected = [(6 * a + 4 * b) / 10 for a, b in zip(*own, strict=True)]
        assert_allclose([off[n], saturated[n]], expected, rtol=1e-14, atol=0)
    assert np.isnan([off[1], saturated[1]]).all()
    assert np.isnan(flat_shares([], h)).all()


def test_activations_side_by_side_have_limits_of_their_own() -> None:
    gelu, sigmoid = (make_activation(name, {}) for name in ("gelu", "sigmoid"))
    z = np.random.default_rng(2).standard_normal((2, 3, 6, 2)) * 4
    both = np.array([gelu.derivative(z[0]), sigmoid.derivative(z[1])])
    found = flat_shares([Slopes((gelu, sigmoid), both)], np.ones((2, 3, 6, 2)))
    for n, one in enumerate((gelu, sigmoid)):
        alone = flat_shares([Slopes((one,), one.derivative(z[n]))], np.ones((3, 6, 2)))
        assert_array_equal([part[n] for part in found], alone)


SHARES: tuple[Ratio, Ratio] = ("off_share", "saturated_share")
UNITS = "record: {units: true}\n"
OF_UNITS = {
    "relu": ("", "{count: 3}"),
    "tanh": ("sweep: {network.activation: [tanh], init.variance: [3]}", "{count: 3}"),
    "biases": ("sweep: {init.bias_variance: [0.2]}", "{count: 3}"),
    "vanishing": ("sweep: {init.variance: [1.0e-250]}", "{count: 4}"),
}


@pytest.mark.parametrize("engine", ["weights", "conditional"])
@pytest.mark.parametrize("name", OF_UNITS)
def test_networks_show_the_units_of_a_plain_pass(name: str, engine: str) -> None:
    text, inputs = OF_UNITS[name]
    if engine == "conditional":  # its networks are others: only that shares are possible ones
        (result,) = run_sweep(config(f"{text}\nengine: conditional", inputs, UNITS)).conditions
        off, saturated = (result.ratios["activation", f][:, 1:] for f in SHARES)
        assert ((off >= 0) & (off <= saturated) & (saturated <= 1)).all()
        assert_allclose(off * [6, 5, 4] % 1 % (1 - 1e-9), 0, rtol=0, atol=1e-9)
        return
    of = config(text, inputs, UNITS)
    (result,) = run_sweep(of).conditions
    plain = of.conditions[0]
    if name == "vanishing":
        plain = with_layers(plain, weight_variances=(1.0,) * 4)
    for trial in range(of.trials):
        layers = plain_layers(of.seed, plain, trial)
        for quantity in ("preactivation", "activation"):
            expected = [plain_participation(z) for z in layers[quantity]]
            found = result.ratios[quantity, "participation_ratio"][trial]
            assert_allclose(found, expected, rtol=1e-9, atol=0)
        slope = ACTIVATIONS["tanh" if name == "tanh" else "relu"][1]
        shares = [plain_shares(slope(f), 0.01) for f in layers["preactivation"][:-1]]
        for n, ratio in enumerate(SHARES):
            found = result.ratios["activation", ratio][trial]
            assert math.isnan(found[0])
            assert_allclose(found[1:], [share[n] for share in shares], rtol=1e-12, atol=0)


def test_a_whole_sweep_of_variances_has_the_units_of_one_pass() -> None:
    result = run_sweep(config("sweep: {init.variance: [0.1, 0.3]}", record=UNITS))
    assert len(set(plan_passes(result.config))) == 1
    one, other = (of.ratios for of in result.conditions)
    for measure in RATIOS["units"]:
        assert_array_equal(one[measure], other[measure])


def test_units_have_a_file_of_their_own() -> None:
    result = run_sweep(config("sweep: {init.variance: [0.1]}", record=UNITS))
    files = csv_files(result)
    assert "cosines.csv" not in files
    head, *rows = files["units.csv"].splitlines()
    names = ("off_share", "saturated_share", "participation_ratio")
    columns = ["condition", "init.variance", "quantity", "layer", "networks"]
    columns += [f"{n}_{p}" for n in names for p in ("mean", "se", "median", "p05", "p95")]
    assert head.split(",") == [*columns, *(f"theory_{n}" for n in names)]
    assert len(rows) == 8
    first = dict(zip(head.split(","), rows[0].split(","), strict=True))
    assert (first["quantity"], first["layer"]) == ("activation", "0")  # inputs are no units
    assert first["off_share_mean"] == ""
    assert first["networks"] == "9"
