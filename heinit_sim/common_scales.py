"""σ²_w and σ²_b of a network as phases know them: the same in all layers between hidden ones."""

import numpy as np

from heinit_sim.activations import Activation
from heinit_sim.errors import ConfigError
from heinit_sim.records import Condition

TIE = 1e-13
"""Relative: what the quadrature leaves of a fixed point."""


def condition_weight_scale(condition: Condition, activation: Activation) -> float | None:
    """σ²_w = fan_in σ²_k of the layers between hidden layers, k = 1 … K−1.

    Phases are of networks whose σ²_w is the same in all layers. Where it differs, its geometric
    mean is taken for a positively homogeneous activation without biases, whose second moments it
    keeps over the whole depth; for all others, and past float range, there is no phase, and
    None. A network of one hidden layer has no such layer: the one behind it stands for it.

    Raises:
        ConfigError: Layers differ in their activation, biases have a mean, blocks add to what
            enters them, or positions differ in how much of a kernel they see.
    """
    refused = _without_phase(condition)
    if refused:
        raise ConfigError([f"theory --phase: error: {refused}"])
    if activation.by_layer:
        raise ConfigError(
            ["theory --phase: error: a slope for each layer has no one phase, must be one slope"]
        )
    if condition.biases:
        raise ConfigError(
            ["theory --phase: error: a constant bias has no phase, must be bias_variance alone"]
        )
    if condition.lsuv:
        return None
    layers = slice(1, max(condition.depth, 2))
    pairs = zip(condition.fans[layers], condition.weight_variances[layers], strict=True)
    scales = np.array([fan_in * variance for (fan_in, _), variance in pairs])
    if not np.isfinite(scales).all():
        return None
    uneven = np.ptp(scales) > TIE * scales.max()
    if uneven and (activation.common_slope is None or condition.bias_variances):
        return None
    return float(scales[0] * np.exp(np.mean(np.log(scales / scales[0]))))


def condition_bias_variance(condition: Condition) -> float | None:
    """σ²_b of the same layers; None where it differs."""
    found = set(condition.bias_variances[1 : max(condition.depth, 2)]) or {0.0}
    return found.pop() if len(found) == 1 else None


def _without_phase(condition: Condition) -> str | None:
    """Why a network that is not plain has no phase, if so."""
    if condition.residual:
        return "residual blocks have no phase, must be network.residual: null"
    convolution = condition.convolution
    if convolution and convolution.padding == "zero" and convolution.kernel > 1:
        return "an edge of zeros has no one phase, must be padding: circular"
    return None
