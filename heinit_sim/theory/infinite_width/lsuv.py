"""The weight variances at which layer-sequential unit-variance initialisation (LSUV) ends."""

import math

import numpy as np

from heinit_sim.activations import network_activation
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.assumptions import has_lsuv_variances
from heinit_sim.theory.infinite_width import quadrature


def lsuv_variances(condition: Condition) -> list[float]:
    """σ²_k of the layers 0 … K that make Var f_k = 1 over units and inputs; NaN where none does.

    Of a wide layer that is (1 − σ²_b)/(D_k E[h_k²]). The output layer is not wide: what its units
    have in common over the inputs is lost to the variance, so that E[f_K²] is more than 1. That
    takes the correlation of two inputs, c → E[a(u₁) a(u₂)] + σ²_b from c = 0 of independent ones;
    the variance over networks of Var f_K itself is left out. Of two or three numbers, units and
    inputs together, E[f_K²/Var f_K] is infinite, and σ²_K NaN. Circular convolutions whose output
    layer sees all positions are as layers of their fans; of other ones, of other blocks, and of
    units that are centred, it is not known.
    """
    fans = condition.fans
    if not has_lsuv_variances(condition):
        return [math.nan] * len(fans)
    activation = network_activation(condition)
    bias_variances, means = condition.bias_variances, condition.bias_means
    outputs = condition.widths[-1]
    seen: dict[tuple[int, float, float], float] = {}
    variances = []
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]  # E[h_k²]
    product = second - component_variance(condition.inputs)  # E[h_k h_k'] of independent inputs
    for k, bias_variance in enumerate(bias_variances[:-1]):
        variances.append(_unless(1 - bias_variance, fans[k][0] * second))
        share = product / second if second > 0 else math.nan
        correlation = (1 - bias_variance) * share + bias_variance
        layer = activation.layer(k)
        about_mean = quadrature.about(layer, means[k])
        second = float(quadrature.layer_moments(about_mean, np.array(1.0)).second)
        key = (k if activation.by_layer else 0, means[k], round(correlation, 12))
        if key not in seen and bias_variance < 1 and not math.isnan(share):
            shifted = quadrature.shifted(layer, means[k])
            seen[key] = quadrature.product_of_values(shifted, 1.0, min(correlation, 1.0))
        product = seen.get(key, math.nan)
    share = product / second if second > 0 else math.nan
    common = (1 + (condition.n_inputs - 1) * share) / condition.n_inputs / outputs
    room = 1 - bias_variances[-1] * (1 - 1 / outputs)
    if condition.n_inputs * outputs == 1:  # a single number has no variance: it stays as it is
        return [*variances, condition.specs[-1].weight_variance]
    if condition.n_inputs * outputs in (2, 3):  # as E[1/χ²] of one or two degrees of freedom
        return [*variances, math.nan]
    return [*variances, _unless(room, fans[-1][0] * second * (1 - common))]


def _unless(room: float, by: float) -> float:
    return room / by if room > 0 and by > 0 else math.nan
