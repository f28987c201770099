import hashlib
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.checks.expectations import check_expectations
from heinit_sim.config import parse_config
from heinit_sim.experiment.results import Finding, SweepResult
from heinit_sim.runs.manifest import config_hash
from heinit_sim.simulation.sweep import run_sweep
from tests.conditions import unpredicted

CONFIG = """
name: test
network: {depth: 4, width: 8, input_dim: 8}
init: {variance: 0.25}
inputs: {count: 2}
trials: 1
"""
ALLOWED = "decades per layer; stable is +0.000 ± 0.250"  # one decade over four layers
GRID = "sweep: {init.variance: [0.25, 0.5], loss.target: [0, 1]}\n"


def with_slopes(end: str, forward: float, backward: float) -> SweepResult:
    """Every condition's log10 variance changes by these amounts per layer, on its way."""
    result = unpredicted(parse_config(CONFIG + end))
    conditions = []
    for of in result.conditions:
        layers = np.arange(of.condition.depth + 1, dtype=np.float64)
        networks = {
            **of.networks,
            ("activation", "variance"): forward * layers[np.newaxis],
            ("grad_activation", "variance"): -backward * layers[np.newaxis],
        }
        conditions.append(replace(of, networks=networks, log_norm_spread=0.0))
    return SweepResult(result.config, tuple(conditions))


def test_each_statement_about_each_condition_is_one_finding() -> None:
    expect = (
        "expect:\n"
        "  - {forward: stable, backward: stable, max_decades_per_layer: 0.6, "
        "when: {init.variance: 0.5}}\n"
        "  - {backward: exploding, when: {loss.target: 0, init.variance: 0.25}}\n"
    )
    found = check_expectations(with_slopes(GRID + expect, 0.0, 0.5))
    forward = f"forward is stable (+0.000 {ALLOWED}), expected stable"
    backward = f"backward is exploding (+0.500 {ALLOWED}), expected"
    slope = "the largest slope is +0.5 decades per layer (backward), expected at most 0.6"
    about = [f"expect[0], init.variance = 0.5, loss.target = {y}: " for y in ("0.0", "1.0")]
    assert found == [
        Finding(about[0] + "forward", True, forward),
        Finding(about[0] + "backward", False, f"{backward} stable"),
        Finding(about[0] + "max_decades_per_layer", True, slope),
        Finding(about[1] + "forward", True, forward),
        Finding(about[1] + "backward", False, f"{backward} stable"),
        Finding(about[1] + "max_decades_per_layer", True, slope),
        Finding(
            "expect[1], init.variance = 0.25, loss.target = 0.0: backward",
            True,
            f"{backward} exploding",
        ),
    ]


@pytest.mark.parametrize(
    ("slope", "word"), [(0.5, "exploding"), (-0.5, "vanishing"), (0.25, "stable")]
)
def test_a_pass_is_held_to_its_word(slope: float, word: str) -> None:
    # 4 layers times 1/4 decade: a factor of 10 is still stable
    for direction in ("forward", "backward"):
        slopes = (slope, 0.0) if direction == "forward" else (0.0, slope)
        for expected in ("exploding", "vanishing", "stable"):
            result = with_slopes(f"expect: {{{direction}: {expected}}}", *slopes)
            (finding,) = check_expectations(result)
            assert finding.held == (word == expected)
            assert finding.name == f"expect[0]: {direction}"
            assert f"{direction} is {word} " in finding.reason


@pytest.mark.parametrize(
    ("forward", "backward", "limit", "held"),
    [
        (0.5, 0.25, 0.5, True),
        (-0.5, 0.25, 0.5, True),
        (0.25, -0.5, 0.499, False),
        (0.5, 0.25, 0.499, False),
        (0.0, 0.0, 0.0, True),
        (-math.inf, 0.0, 1e6, False),
    ],
)
def test_the_larger_slope_decides_whatever_its_sign(
    forward: float, backward: float, limit: float, held: bool
) -> None:
    end = f"expect: {{max_decades_per_layer: {limit}}}"
    if math.isinf(forward):  # the median network is dead
        result = with_slopes(end, 0.0, backward)
        dead = np.full((1, 5), -np.inf)
        networks = {**result.conditions[0].networks, ("activation", "variance"): dead}
        result = replace(result, conditions=(replace(result.conditions[0], networks=networks),))
    else:
        result = with_slopes(end, forward, backward)
    (finding,) = check_expectations(result)
    assert finding.held == held


def test_one_hidden_layer_has_no_slope_and_meets_no_expectation() -> None:
    text = CONFIG.replace("depth: 4", "depth: 1")
    end = "expect: {forward: stable, backward: vanishing, max_decades_per_layer: 1000}\n"
    found = check_expectations(run_sweep(parse_config(text + end), jobs=1))
    assert [finding.held for finding in found] == [False] * 3
    assert "forward is undefined (no slope, as fewer than two hidden layers have" in found[0].reason


def test_nothing_expected_finds_nothing() -> None:
    assert check_expectations(with_slopes("", 0.0, 0.0)) == []


def test_expectations_do_not_change_what_a_run_is() -> None:
    bare, expecting = (parse_config(CONFIG + e) for e in ("", "expect: {forward: stable}\n"))
    assert config_hash(bare) == config_hash(expecting)
    assert bare.document != expecting.document
    assert config_hash(bare) != config_hash(parse_config(CONFIG + "seed: 1\n"))
    # as it is written in the runs that there are, whose configs had no version of the streams
    document = {**bare.document}
    assert document.pop("stream_version") == 1
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    assert config_hash(bare) == hashlib.sha256(text.encode()).hexdigest()
