import re
from pathlib import Path

import numpy as np
import pytest

from heinit_sim import (
    RunDirectoryError,
    check,
    own_activation,
    parse_config,
    predict_sweep,
    run_sweep,
    with_activation,
    write_run,
)
from heinit_sim.checks.fates import fates
from heinit_sim.experiment.quantities import MEASURES
from heinit_sim.theory.infinite_width.mean_field import mean_field

Array = np.ndarray
TEXT = """
name: own
network: {depth: 6, width: 40, input_dim: 30, activation: tanh}
init: {variance: 0.05}
inputs: {count: 2}
trials: 40
"""
CONFIG = parse_config(TEXT)


def test_softsign_given_by_hand_is_softsign_to_the_last_bit() -> None:
    config = parse_config(TEXT.replace("tanh", "softsign"))
    mine = own_activation(lambda z: z / (1 + abs(z)), lambda z: (1 / (1 + abs(z))) ** 2, kinks=[0])
    ours, theirs = run_sweep(with_activation(config, mine)), run_sweep(config)
    for measure in MEASURES:
        one, other = (result.conditions[0].networks[measure] for result in (ours, theirs))
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(
        ours.conditions[0].theory["activation", "variance"],
        theirs.conditions[0].theory["activation", "variance"],
    )


def squared(z: Array) -> Array:
    return np.asarray(np.maximum(z, 0.0) ** 2)


def test_an_activation_of_ones_own_has_theory_and_is_checked() -> None:
    squared_relu = own_activation(squared, lambda z: 2 * np.maximum(z, 0.0), kinks=(0.0,))
    config = with_activation(CONFIG, squared_relu)
    of = config.conditions[0]
    limit = mean_field(of)["activation", "second_moment"]
    predicted = predict_sweep(config).conditions[0].theory["activation", "second_moment"]
    # E[a(√q z)²] = 3 q²/2 for the squared ReLU, whose fourth powers 40 units average badly.
    q = 30 * 0.05
    for k in range(1, 7):
        second = 3 * q**2 / 2
        assert abs(limit[k] - np.log10(second)) < 1e-10
        assert np.isnan(predicted[k]) or predicted[k] == limit[k]
        q = 40 * 0.05 * second
    assert not np.isnan(predicted[1])
    assert np.isnan(predicted[6])
    assert all(finding.held for finding in check(run_sweep(config)))


def test_networks_of_it_that_leave_float_range_are_not_carried_on() -> None:
    network = "network: {depth: 12, width: 40, input_dim: 30}"
    text = f"name: a\n{network}\ninit: {{variance: 1}}\ntrials: 40\n"
    config = parse_config(text)
    for a, slope in ((squared, lambda z: 2 * np.maximum(z, 0.0)), (np.exp, np.exp)):
        result = run_sweep(with_activation(config, own_activation(a, slope, kinks=(0.0,))))
        one = result.conditions[0]
        (fate,) = fates(one)  # and no warning is given
        assert (fate.word, fate.n_networks) == ("overflow", 40)
        assert not any(np.isposinf(one.networks[m]).any() for m in MEASURES)
        assert not any(np.isposinf(theory).any() for theory in one.theory.values())
        assert all(finding.held for finding in check(result))


def test_a_derivative_that_is_not_one_is_found() -> None:
    with pytest.raises(ValueError, match=re.escape("derivative(-3.05) is -0.994308, but a has")):
        own_activation(np.sin, lambda z: np.cos(z) + 0.0015)
    with pytest.raises(ValueError, match="is nan"):
        own_activation(np.sin, lambda z: np.full_like(z, np.nan))


def test_no_run_of_it_is_written(tmp_path: Path) -> None:
    mine = with_activation(CONFIG, own_activation(np.sin, np.cos))
    with pytest.raises(RunDirectoryError, match="given from Python"):
        write_run(run_sweep(mine), tmp_path / "run", figure=None)
    assert not (tmp_path / "run").exists()
