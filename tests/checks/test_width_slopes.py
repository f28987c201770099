"""Slopes over width are those of an ordinary fit, with the error over networks."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.expectations import check_expectations
from heinit_sim.checks.width_slopes import width_slopes
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure
from heinit_sim.experiment.results import SweepResult
from heinit_sim.reports import csv_files, width_notes
from tests.conditions import unpredicted

CONFIG = """
name: test
network: {depth: 2, input_dim: 8, output_dim: 3}
init: {scheme: he_normal}
trials: 40
sweep: {network.width: [32, 8, 16], record.update.learning_rate: [0.01, 0.1/fan_in]}
record: {update: {optimiser: adam}}
"""
UPDATE: Measure = ("preactivation_update", "second_moment")


def with_sizes(end: str, slope: float, spread: float, common: float = 0.0) -> SweepResult:
    """Root mean squares of Δf_k that are (width)^slope, but for scatter of mean 0 in log2.

    Networks of one trial have a part of their scatter in common.
    """
    result = unpredicted(parse_config(CONFIG + end))
    rng = np.random.default_rng(5)
    shape = result.conditions[0].networks[UPDATE].shape
    shared = common * rng.standard_normal(shape)
    conditions = []
    for one in result.conditions:
        width = one.condition.widths[1]
        scatter = rng.standard_normal(shape)
        scatter -= scatter.mean(axis=0)
        log2 = slope * np.log2(width) + shared + spread * scatter
        networks = {**one.networks, UPDATE: 2 * np.log10(2.0) * log2}
        conditions.append(replace(one, networks=networks))
    return SweepResult(result.config, tuple(conditions))


def test_a_slope_is_that_of_a_plain_fit_of_all_networks() -> None:
    result = with_sizes("", 0.5, 0.3)
    first, second = width_slopes(result, ["preactivation_update"])
    assert first.widths == second.widths == (8.0, 16.0, 32.0)
    assert dict(first.others) == {"record.update.learning_rate": 0.01}
    for places, found in (([2, 4, 0], first), ([3, 5, 1], second)):
        for k in range(3):
            y = [result.conditions[n].networks[UPDATE][:, k] / 2 / np.log10(2) for n in places]
            x = np.repeat([3.0, 4.0, 5.0], 40)
            slope, _ = np.polyfit(x, np.concatenate(y), 1)
            assert found.slopes[k] == pytest.approx(slope, rel=1e-12)
            each = (y[2] - y[0]) / 2
            assert found.errors[k] == pytest.approx(each.std(ddof=1) / np.sqrt(40), rel=1e-12)


def test_what_networks_of_one_trial_have_in_common_is_no_error() -> None:
    (alone, _), (shared, _) = (
        list(width_slopes(with_sizes("", 0.5, 0.01, common), ["preactivation_update"]))
        for common in (0.0, 10.0)
    )
    assert (np.abs(shared.slopes - 0.5) < 5 * alone.errors).all()
    assert shared.errors.max() < 0.01


EXPECT = "expect: {width_slope: {quantity: preactivation_update, within: 0.05, layer: LAYER}}\n"


@pytest.mark.parametrize(
    ("slope", "spread", "held"),
    [(0.0, 0.05, True), (0.04, 0.01, True), (0.25, 0.05, False), (0.0, 0.5, False)],
)
def test_an_expectation_is_held_where_a_small_slope_is_known(
    slope: float, spread: float, held: bool
) -> None:
    result = with_sizes(EXPECT.replace("LAYER", "[0, 1, 2]"), slope, spread)
    found = check_expectations(result)
    names = ["record.update.learning_rate = 0.01", "record.update.learning_rate = 0.1/fan_in"]
    assert [f.name for f in found] == [f"expect[0], {name}: width_slope" for name in names]
    assert all(finding.held is held for finding in found)
    assert ("not known well enough; give more trials" in found[0].reason) is (spread == 0.5)
    assert "per doubling of width" in found[0].reason
    assert "expected within ±0.05" in found[0].reason


def test_networks_without_a_size_have_no_slope_and_hold_nothing() -> None:
    result = with_sizes(EXPECT.replace("LAYER", "1"), 0.0, 0.01)
    assert all(finding.held for finding in check_expectations(result))
    result.conditions[0].networks[UPDATE][3, 1] = -np.inf
    first, second = check_expectations(result)
    assert not first.held
    assert "no slope, for a network without a finite size" in first.reason
    assert second.held


def test_rows_and_notes_show_the_slopes() -> None:
    result = with_sizes("", 0.5, 0.01)
    rows = list(csv.DictReader(io.StringIO(csv_files(result)["width_slopes.csv"])))
    (slopes, *_) = width_slopes(result, ["preactivation_update"])
    row = rows[2]
    assert (row["quantity"], row["layer"], row["widths"]) == (
        "preactivation_update",
        "2",
        "8 16 32",
    )
    assert float(row["slope_per_doubling"]) == pytest.approx(slopes.slopes[2], abs=1e-8)
    assert float(row["se"]) == pytest.approx(slopes.errors[2], abs=1e-8)
    assert {row["layer"] for row in rows if row["quantity"] == "activation"} == {"1", "2"}
    first, second = width_notes(result)
    assert first.startswith("record.update.learning_rate = 0.01: Δf_K +0.50 ± 0.00, f_K ")
    assert second.startswith("record.update.learning_rate = 0.1/fan_in: Δf_K +0.50 ± 0.00, f_K ")
    plain = unpredicted(parse_config(CONFIG.replace("[32, 8, 16]", "[8]")))
    assert "width_slopes.csv" not in csv_files(plain)
    assert width_notes(plain) == []
