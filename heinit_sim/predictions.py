"""What is known of a condition before anything is simulated."""

from collections.abc import Iterable
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

# Networks behind a predicted quantile: 4000 put the 5 % one within 0.4 % of probability; fewer
# where the network is deep.
_NETWORKS = 4000
_LAYERS = 400_000


def predict(conditions: Iterable[Condition]) -> list[Prediction]:
    """Exact means where they are known, else infinite-width ones; quantiles over networks."""
    laws: dict[tuple[tuple[int, ...], float], Quantiles] = {}
    predictions = []
    for condition in conditions:
        wide = mean_field(
            condition, make_activation(condition.activation, condition.activation_options)
        )
        slope = homogeneous_slope(condition)
        if slope is None:
            predictions.append(Prediction(condition, "mean_field", wide, wide, {}, 0.0))
            continue
        shape = (condition.widths, slope)
        if shape not in laws:
            laws[shape] = _unit_quantiles(condition, slope)
        finite, spread = exact(condition, slope), log_norm_spread(condition, slope)
        quantiles = _scaled(laws[shape], condition)
        predictions.append(Prediction(condition, "exact", finite, wide, quantiles, spread))
    return predictions


def predict_sweep(config: SweepConfig) -> SweepPrediction:
    """Predict every condition of a sweep, without simulating any."""
    return SweepPrediction(config, tuple(predict(config.conditions)))


def homogeneous_slope(condition: Condition) -> float | None:
    """α where a factor of the inputs is one of every layer: a[rz] = r a[z], no biases; or None."""
    if condition.bias_variance > 0:
        return None
    return make_activation(condition.activation, condition.activation_options).negative_slope


def _unit_quantiles(condition: Condition, slope: float) -> Quantiles:
    """Quantiles over networks at σ²_Ω = 1, for one input."""
    unit = replace(condition, weight_variances=(1.0,) * len(condition.weight_variances))
    n_networks = min(max(_LAYERS // (condition.depth + 1), 200), _NETWORKS)
    return predicted_quantiles(unit, slope, n_networks, prediction_rng())


def _scaled(quantiles: Quantiles, condition: Condition) -> Quantiles:
    """The same at the condition's variances; for y ≠ 0 the law of the gradients is not known."""
    shifts = scale_law(condition.weight_variances)
    return {
        quantity: log10 + shifts[quantity]
        for quantity, log10 in quantiles.items()
        if condition.target == 0.0 or PASS_OF[quantity] == "forward"
    }
