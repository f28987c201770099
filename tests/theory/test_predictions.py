import math
from dataclasses import replace

import numpy as np
import pytest

from heinit_sim.experiment.quantities import INPUT_0
from heinit_sim.experiment.results import Prediction
from heinit_sim.experiment.sweep_config import Condition, Loss, SweepConfig
from heinit_sim.sampling.streams import prediction_rng
from heinit_sim.simulation.sweep import run_sweep
from heinit_sim.theory.assumptions import homogeneous_slope
from heinit_sim.theory.finite_width.norm_chain import predicted_quantiles
from heinit_sim.theory.predictions import predict
from tests.conditions import condition as network
from tests.conditions import with_layers

RELU = network((7, 8, 6, 5, 3), (0.3, 0.2, 0.5, 0.4))
LEAKY = with_layers(RELU, activation="leaky_relu", options={"negative_slope": 0.2})


def predicted(condition: Condition) -> Prediction:
    (prediction,) = predict([condition])
    return prediction


@pytest.mark.parametrize(("condition", "alpha"), [(RELU, 0.0), (LEAKY, 0.2)])
def test_quantiles_at_other_variances_are_sampled_ones(condition: Condition, alpha: float) -> None:
    shifted = predicted(condition).quantiles
    direct = predicted_quantiles(condition, alpha, 4000, prediction_rng())
    assert set(shifted) == set(direct)
    for quantity, log10 in direct.items():
        np.testing.assert_allclose(shifted[quantity], log10, rtol=0, atol=1e-12)


def test_conditions_that_share_a_shape_share_their_networks() -> None:
    one, other = predict(
        [LEAKY, with_layers(LEAKY, index=1, weight_variances=(1.2, 0.8, 2.0, 1.6))]
    )
    powers = {
        "preactivation": [1, 2, 3, 4],
        "activation": [0, 1, 2, 3],
        "grad_preactivation": [7, 6, 5, 4],
        "grad_activation": [8, 7, 6, 5],
        "grad_weight": [7, 7, 7, 7],
    }
    for quantity, log10 in other.quantiles.items():
        steps = (log10 - one.quantiles[quantity]) / math.log10(4)  # four times the variance
        np.testing.assert_allclose(steps, [powers[quantity]] * 3, rtol=0, atol=1e-12)


def test_with_a_target_only_the_forward_pass_has_quantiles() -> None:
    assert set(predicted(replace(RELU, loss=Loss(target=0.5))).quantiles) == {
        "preactivation",
        "activation",
    }


@pytest.mark.parametrize(
    "condition",
    [
        with_layers(RELU, bias_variances=(0.1,) * len(RELU.weight_variances)),
        with_layers(RELU, activation="tanh"),
    ],
)
def test_biased_and_not_homogeneous_networks_have_no_quantiles(condition: Condition) -> None:
    found = predicted(condition)
    assert homogeneous_slope(condition) is None
    assert (dict(found.exact_layers), dict(found.quantiles)) == ({}, {})


def test_slopes_of_homogeneous_activations() -> None:
    assert homogeneous_slope(RELU) == 0.0
    assert homogeneous_slope(LEAKY) == 0.2
    assert homogeneous_slope(with_layers(RELU, activation="linear")) == 1.0


@pytest.mark.slow
def test_a_deep_network_is_sampled_less_often() -> None:
    deep = with_layers(LEAKY, widths=(5,) * 2002, weight_variances=(1.0,) * 2001)
    direct = predicted_quantiles(deep, 0.2, 100, prediction_rng())
    for quantity, log10 in predicted(deep).quantiles.items():
        assert np.array_equal(log10, direct[quantity])


def outside(log10: np.ndarray, band: np.ndarray) -> float:
    """The largest excess of networks below the 5 % or above the 95 % quantile, in z."""
    n = len(log10)
    # the quantiles are of 4000 networks: the share below them has that error too
    error = math.sqrt(0.05 * 0.95 * (1 / n + 1 / 4000))
    shares = [(log10 < band[0]).mean(axis=0), (log10 > band[2]).mean(axis=0)]
    return float(np.abs(np.array(shares) - 0.05).max() / error)


@pytest.mark.slow
@pytest.mark.parametrize("condition", [RELU, LEAKY])
def test_measured_networks_lie_in_the_band_as_often_as_it_says(condition: Condition) -> None:
    alive = with_layers(condition, widths=(7, 20, 16, 25, 3))  # 1 in 65,000 networks is dead
    result = run_sweep(SweepConfig("x", (alive,), {}, 4000, 1), 1).conditions[0]

    def largest_z(predicted_of: Condition) -> float:
        return max(
            outside(result.networks[quantity, INPUT_0], band)
            for quantity, band in predicted(predicted_of).quantiles.items()
        )

    # 5 quantities, 4 layers, 2 ends: 40 · P(|z| > 4.8) < 1e-4
    assert largest_z(alive) < 4.8
    v0, *others = alive.weight_variances
    assert largest_z(with_layers(alive, weight_variances=(1.2 * v0, *others))) > 4.8
    # the textbook's means at half the width: only the spread is another
    half = with_layers(
        alive, widths=(7, 10, 8, 12, 3), weight_variances=(v0, *(2 * v for v in others))
    )
    assert largest_z(half) > 4.8


@pytest.mark.parametrize(
    "other",
    [
        with_layers(RELU, widths=(7, 80, 60, 50, 3)),
        with_layers(RELU, widths=(7, 8, 6, 5, 5, 3), weight_variances=(0.3, 0.2, 0.5, 0.4, 0.4)),
        with_layers(RELU, widths=(7, 8, 6, 5, 2)),
        LEAKY,
    ],
    ids=["wider", "deeper", "fewer outputs", "another slope"],
)
def test_conditions_of_other_shapes_have_networks_of_their_own(other: Condition) -> None:
    _, beside = predict([RELU, other])
    alone = predicted(other)
    assert set(beside.quantiles) == set(alone.quantiles)
    for quantity, log10 in alone.quantiles.items():
        assert np.array_equal(beside.quantiles[quantity], log10)
