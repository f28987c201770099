"""Networks whose biases are uniform: what infinite width still knows of them."""

import math

import numpy as np
import pytest

from heinit_sim.config import parse_config
from heinit_sim.experiment.quantities import Measure
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.predictions import predict_sweep

NETWORK = """
name: torch
network: {depth: 4, width: 80, input_dim: 100, activation: relu}
init: {scheme: torch_linear_default, bias_scheme: torch}
inputs: {count: 2}
trials: 300
"""
KNOWN: list[Measure] = [
    ("preactivation", "second_moment"),
    ("preactivation", "variance"),
    ("activation", "second_moment"),
]


def test_second_moments_of_the_forward_pass_are_known() -> None:
    """q' = (q/2 + 1/D)/3, to the error of a mean over networks; 10 % more is seen."""
    config = parse_config(NETWORK)
    (found,), (prediction,) = run_sweep(config).conditions, predict_sweep(config).conditions
    q = [1 / 3 + 1 / 300]
    for width in (80, 80, 80):
        q.append((q[-1] / 2 + 1 / width) / 3)
    wide = prediction.theory["preactivation", "second_moment"]
    np.testing.assert_allclose(10 ** wide[:4], q, rtol=1e-12, atol=0)
    measured = 10 ** found.networks["preactivation", "second_moment"]
    errors = measured.std(axis=0, ddof=1) / math.sqrt(len(measured))
    assert (np.abs(measured.mean(axis=0) - 10**wide) < 4 * errors).all()
    assert (np.abs(measured.mean(axis=0) - 10**wide * 1.1) > 4 * errors)[:4].all()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_what_takes_normal_pre_activations_is_empty(activation: str) -> None:
    config = parse_config(NETWORK, "c", {"network.activation": activation, "record.cosine": True})
    (prediction,) = predict_sweep(config).conditions
    known = KNOWN if activation == "relu" else []
    for measure, log10 in prediction.theory.items():
        assert np.isfinite(log10[:-1]).all() == (measure in known), measure
    normal = parse_config(NETWORK.replace("bias_scheme: torch", "bias_variance: 0.01"))
    assert all(
        np.isfinite(v[:-1]).all() for v in predict_sweep(normal).conditions[0].theory.values()
    )


def test_biases_lie_within_their_bound() -> None:
    """Weights too small to count leave f_k = β_k, U(±1/√fan_in)."""
    sets = {
        "init": {"variance": 1e-200, "bias_scheme": "torch"},
        "network.width": 2000,
        "network.depth": 2,
    }
    (found,) = run_sweep(parse_config(NETWORK, "c", {**sets, "trials": 4})).conditions
    second = 10 ** found.networks["preactivation", "second_moment"][:, 1]
    # E[β⁴] − E[β²]² = (1/5 − 1/9)/fan_in² of each of 2000 units
    assert (np.abs(second - 1 / 6000) < 4 * math.sqrt(4 / 45 / 2000) / 2000).all()
