"""Whole networks by their norms alone: the exact joint law of both passes, O(1) per layer.

One input, an activation of slope 1 above zero and α below, Gaussian weights, zero biases, y = 0 or
a probe. A layer of n units has m ~ Bin(n, ½) positive ones; with A ~ χ²_m, B ~ χ²_{n−m}

    ‖f_k‖² = σ²_k ‖h_k‖² (A + B),   ‖h_{k+1}‖² = σ²_k ‖h_k‖² (A + α²B).

Every layer has ⟨∂ℓ/∂h_k, h_k⟩ = ⟨∂ℓ/∂f_k, f_k⟩ = c, which fixes the gradient along h_k: c is 2ℓ, or
ℓ for a probe, of which the part along f_K is N(0, 1) and the rest χ²_{D_o−1}. Across h_k the
gradient is Gaussian of variance σ²_k ‖∂ℓ/∂f_k‖². That part is split into the direction w that turns
the positive units of h_k into the negative ones, and the rest of the positive and the negative
units, χ²_{m−1} and χ²_{n−m−1}.

Source: Hanin & Nica 2018 for the forward pass; the backward one from Euler's identity.
"""

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from heinit_sim.experiment.activation_table import Slope
from heinit_sim.experiment.quantities import Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.numerics.spread import quantiles
from heinit_sim.sampling.inputs import sample_log_norms

# Networks at a time: their numbers of one layer stay in the cache, those of all layers in memory.
_BLOCK = 4096
_BLOCK_LAYERS = 2_500_000


def sample_norms(
    condition: Condition, negative_slope: Slope, n_networks: int, rng: Generator
) -> dict[Quantity, FloatArray]:
    """Draw the second moments of every layer of so many networks, for one input.

    Args:
        condition: Widths, weight variances, inputs; its n_inputs, target and biases do not
            enter, but whether the loss is a probe does.
        negative_slope: α, of all hidden layers or of each.
        n_networks: Independent networks.
        rng: Random numbers.

    Returns:
        Quantity -> log10 of the mean square over units, (n_networks, K+1); -inf behind a layer
        whose units are all off, and for every gradient of such a network but those of a probe's
        last layer.
    """
    alpha = np.broadcast_to(negative_slope, condition.depth)
    size = min(_BLOCK, max(_BLOCK_LAYERS // (condition.depth + 1), 1))
    blocks = [
        _sample_block(condition, alpha, min(size, n_networks - start), rng)
        for start in range(0, n_networks, size)
    ]
    return {quantity: np.concatenate([b[quantity] for b in blocks]) for quantity in blocks[0]}


def predicted_quantiles(
    condition: Condition, negative_slope: Slope, n_networks: int, rng: Generator
) -> dict[Quantity, FloatArray]:
    """Quantiles over networks of the second moments of every layer, for one input.

    Returns:
        Quantity -> log10 of the 5 % quantile, the median and the 95 % quantile, (3, K+1); see
        `sample_norms` for the arguments.
    """
    norms = sample_norms(condition, negative_slope, n_networks, rng)
    return {quantity: quantiles(log10) for quantity, log10 in norms.items()}


def _sample_block(
    condition: Condition, alpha: FloatArray, n_networks: int, rng: Generator
) -> dict[Quantity, FloatArray]:
    """Sample norms as `sample_norms` says; arrays of one layer are (n_networks,)."""
    widths, depth = condition.widths, condition.depth
    ln_v = np.log(np.array(condition.weight_variances))
    ln_h, ln_f, ln_dh, ln_df = (np.empty((depth + 1, n_networks)) for _ in range(4))
    with np.errstate(divide="ignore", invalid="ignore"):  # dead networks, mended at the end
        # s = ‖f_k‖² / (σ²_k ‖h_k‖²), and of it the positive part A; m of them are positive.
        s, positive, m = [], [], []
        ln_h[0] = sample_log_norms(condition.inputs, widths[0], n_networks, rng)
        for k, n in enumerate(widths[1:-1]):
            m.append(rng.binomial(n, 0.5, n_networks))
            positive.append(_chi2(rng, m[k]))
            negative = _chi2(rng, n - m[k])
            s.append(positive[k] + negative)
            through = ln_v[k] + ln_h[k]
            ln_f[k] = through + np.log(s[k])
            ln_h[k + 1] = through + np.log(positive[k] + alpha[k] ** 2 * negative)
        s.append(_chi2(rng, np.full(n_networks, widths[-1])))
        ln_f[-1] = ln_v[-1] + ln_h[-1] + np.log(s[-1])

        # r = ‖∂ℓ/∂f_k‖² ‖f_k‖² / c². It stays far inside float range at any depth: a layer
        # multiplies it by about χ²_{m−1}/χ²_m, which takes 1/m from ln r on average, and adds 2.
        r, ln_c = np.ones(n_networks), math.log(2.0) + ln_f[-1]  # c = 2 ‖f_K‖²
        probes = condition.loss.name == "probe"
        if probes:
            along = rng.standard_normal(n_networks) ** 2
            ln_p2 = np.log(along + _chi2(rng, np.full(n_networks, widths[-1] - 1)))
            r, ln_c = np.exp(ln_p2) / along, (np.log(along) + ln_f[-1]) / 2
        for k in range(depth, 0, -1):
            ln_df[k] = np.log(r)
            t2 = r / s[k]
            on, off = m[k - 1], widths[k] - m[k - 1]
            a, alpha2 = positive[k - 1], alpha[k - 1] ** 2
            h2 = a + alpha2 * (s[k - 1] - a)  # ‖h_k‖² / (σ²_{k−1} ‖h_{k−1}‖²)
            cos2 = a / h2  # the share of the positive units in ‖h_k‖²
            rest_on, rest_off = _chi2(rng, on - 1), _chi2(rng, off - 1)
            w = np.sqrt(t2) * rng.standard_normal(n_networks) * ((on > 0) & (off > 0))
            ln_dh[k] = np.log(1 + w**2 + t2 * (rest_on + rest_off))
            df_on = (np.sqrt(cos2) - w * np.sqrt(1 - cos2)) ** 2 + t2 * rest_on
            df_off = (np.sqrt(1 - cos2) + w * np.sqrt(cos2)) ** 2 + t2 * rest_off
            r = (df_on + alpha2 * df_off) * s[k - 1] / h2
        ln_df[0] = np.log(r)
        ln_dh[0] = np.log(1 + r / s[0] * _chi2(rng, np.full(n_networks, widths[0] - 1)))

        ln_dh += 2 * ln_c - ln_h
        ln_df += 2 * ln_c - ln_f
        dead = np.isneginf(ln_f[-1])
        ln_dh[:, dead] = ln_df[:, dead] = -np.inf
        if probes and dead.any():  # what enters the last layer is 0, not its weights
            ln_df[-1, dead] = ln_p2[dead]
            units = np.full(np.count_nonzero(dead), widths[-2])
            ln_dh[-1, dead] = ln_v[-1] + ln_p2[dead] + np.log(_chi2(rng, units))
        ln_fan_in, ln_fan_out = (np.log(w)[:, np.newaxis] for w in (widths[:-1], widths[1:]))
        norms: dict[Quantity, FloatArray] = {
            "preactivation": ln_f - ln_fan_out,
            "activation": ln_h - ln_fan_in,
            "grad_preactivation": ln_df - ln_fan_out,
            "grad_activation": ln_dh - ln_fan_in,
            "grad_weight": ln_df + ln_h - ln_fan_out - ln_fan_in,
        }
    return {quantity: ln.T / math.log(10.0) for quantity, ln in norms.items()}


def _chi2(rng: Generator, freedom: NDArray[np.int64]) -> FloatArray:
    """χ² of so many degrees of freedom each; 0 for none or fewer."""
    return 2 * rng.standard_gamma(np.maximum(freedom, 0) / 2)
