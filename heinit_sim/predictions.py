"""What is known of a condition before anything is simulated."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from heinit_sim.activations import make_activation
from heinit_sim.chain import predicted_quantiles
from heinit_sim.draws import prediction_rng
from heinit_sim.mean_field import mean_field
from heinit_sim.network import scale_law
from heinit_sim.records import (
    PASS_OF,
    Condition,
    Prediction,
    Quantity,
    SweepConfig,
    SweepPrediction,
)
from heinit_sim.theory import exact, log_norm_spread

Array = NDArray[np.float64]
Quantiles = dict[Quantity, Array]

# Layers sampled for the quantiles of one network shape: beside a run, where 4000 networks of 50
# layers are quick and put the 5 % quantile within 0.4 % of probability; and where the prediction is
# all that is asked for.
BESIDE_A_RUN = 200_000
ALONE = 2_000_000
_FEWEST = 200
_SHALLOW = 50  # shallower networks get no more samples than these


def predict(conditions: Sequence[Condition], n_layers: int = BESIDE_A_RUN) -> list[Prediction]:
    """Exact means where they are known, else infinite-width ones; quantiles over networks.

    Args:
        conditions: What is predicted.
        n_layers: Layers to sample for the quantiles of each network shape.
    """
    laws: dict[tuple[tuple[int, ...], float], Quantiles] = {}
    predictions = []
    for condition in conditions:
        wide = mean_field(
            condition, make_activation(condition.activation, condition.activation_options)
        )
        slope = homogeneous_slope(condition)
        if slope is None:
            predictions.append(Prediction(condition, "mean_field", wide, wide, {}, 0, 0.0))
            continue
        shape = (condition.widths, slope)
        n_networks = max(n_layers // max(condition.depth, _SHALLOW), _FEWEST)
        if shape not in laws:
            laws[shape] = _unit_quantiles(condition, slope, n_networks)
        quantiles = _scaled(laws[shape], condition)
        finite, spread = exact(condition, slope), log_norm_spread(condition, slope)
        predictions.append(
            Prediction(condition, "exact", finite, wide, quantiles, n_networks, spread)
        )
    return predictions


def predict_sweep(config: SweepConfig) -> SweepPrediction:
    """Predict every condition of a sweep, without simulating any."""
    shapes = {(condition.widths, homogeneous_slope(condition)) for condition in config.conditions}
    n_layers = max(ALONE // len(shapes), BESIDE_A_RUN)
    return SweepPrediction(config, tuple(predict(config.conditions, n_layers)))


def homogeneous_slope(condition: Condition) -> float | None:
    """α where a factor of the inputs is one of every layer: a[rz] = r a[z], no biases; or None."""
    if condition.bias_variance > 0:
        return None
    return make_activation(condition.activation, condition.activation_options).negative_slope


def _unit_quantiles(condition: Condition, slope: float, n_networks: int) -> Quantiles:
    """Quantiles over networks at σ²_Ω = 1, for one input."""
    unit = replace(condition, weight_variances=(1.0,) * len(condition.weight_variances))
    return predicted_quantiles(unit, slope, n_networks, prediction_rng())


def _scaled(quantiles: Quantiles, condition: Condition) -> Quantiles:
    """The same at the condition's variances; for y ≠ 0 the law of the gradients is not known."""
    shifts = scale_law(condition.weight_variances)
    return {
        quantity: log10 + shifts[quantity]
        for quantity, log10 in quantiles.items()
        if condition.target == 0.0 or PASS_OF[quantity] == "forward"
    }
