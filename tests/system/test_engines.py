"""Both engines through the whole way of the data: same theory, same law, other numbers."""

import numpy as np
import pytest

from heinit_sim import check, compare
from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import BETWEEN_INPUTS
from heinit_sim.experiment.results import SweepResult
from heinit_sim.numerics import triangular_root
from heinit_sim.simulation.sweep import run_sweep
from tests.rows import slow_but

CONFIG = """
name: engines
network: {depth: 4, width: [20, 30, 25, 30], input_dim: 15, output_dim: 2, activation: ACTIVATION}
init: {scheme: SCHEME}
inputs: {INPUTS}
loss: {target: TARGET}
record: {cosine: true, histograms: std}
trials: 300
"""
ARGUMENTS = ("activation", "scheme", "inputs", "target")
CASES = [
    ("relu", "he_normal", "count: 3", "0"),
    ("tanh", "xavier_normal, bias_variance: 0.05", "count: 4", "0.5"),
    ("gelu", "he_normal, bias_scheme: torch", "count: 4, distribution: pair, cosine: 0.99", "0"),
    ("linear", "lecun_normal, bias: 0.1", "count: 20", "0"),
]


def both(*case: str) -> list[SweepResult]:
    text = CONFIG
    for key, value in zip(("ACTIVATION", "SCHEME", "INPUTS", "TARGET"), case, strict=True):
        text = text.replace(key, value)
    return [run_sweep(parse_config(f"{text}engine: {e}")) for e in ("weights", "conditional")]


@pytest.mark.parametrize(ARGUMENTS, slow_but(CASES, CASES[0]))
def test_both_engines_agree_with_theory_and_with_each_other(
    activation: str, scheme: str, inputs: str, target: str
) -> None:
    weights, conditional = both(activation, scheme, inputs, target)
    for result in (weights, conditional):
        assert [finding for finding in check(result) if not finding.held] == []
    assert compare(weights, conditional).held
    (one,), (other,) = weights.conditions, conditional.conditions
    assert one.theory.keys() == other.theory.keys()
    for measure, theory in one.theory.items():
        assert np.array_equal(theory, other.theory[measure], equal_nan=True)
    assert not np.array_equal(
        one.networks["activation", "variance"][:, 1:],
        other.networks["activation", "variance"][:, 1:],
    )
    # Inputs are the same, and the first of the layers' cosines, which is theirs, too.
    for cosines in (one.ratios["activation", "cosine"], other.ratios["activation", "cosine"]):
        assert np.array_equal(cosines[:, 0], one.ratios["activation", "cosine"][:, 0])
    assert one.histograms.keys() == other.histograms.keys() != set()


ALIKE = """
name: alike
network: {depth: 40, width: 60, input_dim: 60, activation: tanh}
init: {variance: 0.2/60, bias_variance: 0.1}
inputs: {count: 4}
trials: 20
"""


def apart(engine: str) -> np.ndarray:
    """log10 of the variance of f_k between inputs, network by network."""
    (of,) = run_sweep(parse_config(f"{ALIKE}engine: {engine}")).conditions
    return of.networks["preactivation", BETWEEN_INPUTS][:, :35]


def worst_z(one: np.ndarray, other: np.ndarray) -> float:
    errors = np.sqrt((one.var(axis=0, ddof=1) + other.var(axis=0, ddof=1)) / len(one))
    return float((np.abs(one.mean(axis=0) - other.mean(axis=0)) / errors).max())


def test_inputs_that_come_to_be_alike_stay_apart_to_the_last_digits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their variance falls to 10^-28 of their squares, where products of inputs hold 10^-16."""
    expected, found = apart("weights"), apart("conditional")
    assert expected.max(axis=0)[-1] < -26
    assert worst_z(expected, found) < 5.0  # 35 numbers: by chance once in 50,000 times
    monkeypatch.setattr(triangular_root, "_CANCELS", 0.0)
    assert np.isneginf(apart("conditional")[:, -1]).all()  # by then they are taken for equal


FRAGILE = """
name: fragile
network: {depth: DEPTH, width: WIDTH, input_dim: 3, activation: ACTIVATION}
init: {INIT}
inputs: {count: COUNT}
record: {histograms: std}
trials: 200
"""
ENDS = [
    ("6", "2", "relu", "scheme: he_normal", "3"),  # some are dead
    ("4", "1", "relu", "scheme: he_normal", "5"),  # most of them, and inputs have one direction
    ("8", "5", "gelu", "variance: 1e90", "3"),  # beyond float range
    ("8", "5", "tanh", "variance: 1e-90", "3"),
    ("12", "5", "linear", "variance: 1e200", "3"),  # far beyond it, and carried all the same
    ("4", "5", "tanh", "scheme: xavier_normal, last: {scheme: zeros}", "2"),
]


@pytest.mark.parametrize(("depth", "width", "activation", "init", "count"), ENDS)
def test_networks_die_and_are_lost_as_often_as_with_weights(
    depth: str, width: str, activation: str, init: str, count: str
) -> None:
    given = {"DEPTH": depth, "WIDTH": width, "ACTIVATION": activation, "INIT": init}
    shares = []
    for engine in ("weights", "conditional"):
        text = FRAGILE.replace("COUNT", count)
        for key, value in given.items():
            text = text.replace(key, value)
        (of,) = run_sweep(parse_config(f"{text}engine: {engine}")).conditions
        last = [of.networks[q, "second_moment"] for q in ("activation", "grad_activation")]
        ends = np.array([last[0][:, -1], last[1][:, 0]])
        shares.append([np.isneginf(ends).mean(axis=1), np.isnan(ends).mean(axis=1)])
    one, other = np.array(shares)
    spread = np.sqrt((one * (1 - one) + other * (1 - other)) / 200)
    assert (np.abs(one - other) <= 4.5 * spread).all()
