"""The infinite-width recursion of convolutional and residual networks, as log10.

A convolution is a layer of the recursion in `mean_field` with fan_in = k² c_in and fan_out =
k² c_out, at each position of the image; a residual block adds to its stream h_k

    E[h_{k+1}²] = E[h_k²] + s² E[f_k²],   E[(∂ℓ/∂h_k)²] = E[(∂ℓ/∂h_{k+1})²] (1 + s² J),

J the product of fan_out σ²_Ω E[a'²] over the weight layers of its branch, and of 1/variance where
it normalises. He's ReLU layers with s = 1 double both at every block, and multiply them by
(1 + 1/L)^L → e over all L blocks with s² = 1/L. Normalised branches add the same at every block.

An output layer that averages over P positions gets E[h²] (1 + (P−1) ρ)/P of each channel, ρ the
correlation of two positions; the gradients of all positions are the same where it hands them back.

Source: He et al. 2015, eq. 10 and 14; Xiao et al. 2018 for positions and their correlation;
Yang & Schoenholz 2017 for residual networks.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width.layer import (
    Seen,
    Signal,
    Through,
    activate,
    kept_positions,
    ln_of,
    mean_over_positions,
    normalised,
    variance_over_units,
    weigh,
    weight_gradient,
    window_means,
)


class _Layer(NamedTuple):
    """One of the layers 0 … K: one pair of weights and of what they are given, or two."""

    given: tuple[Seen, ...]
    by: tuple[Through, ...]


class _Forward(NamedTuple):
    """Of the layers 0 … K; the output layer apart."""

    layers: list[_Layer]
    f: list[Signal]
    h: list[Seen]
    """h_0 … h_K."""


@np.errstate(invalid="ignore")  # NaN is what is not known
def wide_network(
    condition: Condition, activation: Activation, ln_v: Sequence[float]
) -> dict[Measure, FloatArray]:
    """Second moments and variances of infinitely many channels, as log10, each of shape (K+1,).

    NaN where they are not known: with zero padding, what depends on the average over positions of
    an output layer that sees no more; with a data set's images, the same.

    Args:
        condition: The network.
        activation: Its activation.
        ln_v: ln σ²_Ω of the layers 0 … K.
    """
    convolution = condition.convolution
    forward = _forward(condition, activation, ln_v)
    last, seen = forward.h[-1], _read(forward.h[-1], convolution)
    by = _through(condition, ln_v, condition.depth)
    output = np.logaddexp(by.ln_forward + seen, by.ln_bias_variance)
    means = condition.biases or (0.0,) * len(ln_v)
    off = 2 * ln_of(abs(means[-1] - condition.target))
    df = [np.array([math.log(4.0) + np.logaddexp(output, off)])]
    weights = [float(df[0][0]) + seen]
    product = 1.0 if convolution is not None and convolution.readout == "mean" else 0.0
    back = by.ln_backward - 2 * product * math.log(convolution.positions if convolution else 1)
    dh = [np.full_like(last.ln_second, back + df[0][0])]
    for k in reversed(range(condition.depth)):
        layer = forward.layers[k]
        residual = condition.residual if k > 0 else None
        if condition.residual is None:
            df.append(dh[-1] + forward.h[k + 1].ln_slope)
            inner = product * forward.h[k + 1].slope_product if product else 0.0
        else:
            df.append(dh[-1] + ln_of(residual.scale**2 if residual else 1.0))
            inner = product
        ln_dh, behind, ln_weight = _back(layer, df[-1], inner, convolution)
        weights.append(ln_weight)
        if residual is not None:
            branch = ln_dh + layer.given[0].ln_slope
            ln_dh = np.logaddexp(dh[-1], branch)
            if product:
                behind *= layer.given[0].slope_product
                share = math.exp(dh[-1][0] - ln_dh[0])
                behind = share * product + ((1 - share) * behind if share < 1 else 0.0)
        dh.append(ln_dh)
        product = behind
    inner_only = np.array([0.0] * condition.depth + [np.nan])  # f_K and ∂ℓ/∂f_K are not wide
    f = [mean_over_positions(signal.ln_second) for signal in forward.f]
    variance_f = [mean_over_positions(signal.ln_variance) for signal in forward.f]
    second: dict[Quantity, FloatArray] = {
        "preactivation": np.array([*f, np.logaddexp(output, ln_of(means[-1] ** 2))]),
        "activation": np.array([mean_over_positions(h.ln_second) for h in forward.h]),
        "grad_preactivation": np.array(list(map(mean_over_positions, df[::-1]))),
        "grad_activation": np.array(list(map(mean_over_positions, dh[::-1]))),
        "grad_weight": np.array(weights[::-1]),
    }
    variance = {quantity: moment + inner_only for quantity, moment in second.items()}
    variance["preactivation"] = np.array([*variance_f, np.nan])
    variance["activation"] = np.array(
        [variance_over_units(h.ln_variance, h.ln_second, h.mean_share) for h in forward.h]
    )
    variance["grad_activation"] = second["grad_activation"]
    measures: dict[Measure, FloatArray] = {}
    for quantity, moment in second.items():
        measures[quantity, "second_moment"] = moment / math.log(10.0)
        measures[quantity, "variance"] = variance[quantity] / math.log(10.0)
    return measures


def _forward(condition: Condition, activation: Activation, ln_v: Sequence[float]) -> _Forward:
    """Layer by layer; what a layer does at the same signal is looked up."""
    residual = condition.residual
    h = [_inputs(condition)]
    by = _through(condition, ln_v, 0)
    layers, f = [_Layer((h[0],), (by,))], [weigh(h[0], by)]
    stream = f[0]
    for k in range(1, condition.depth + 1):
        if residual is None:
            h.append(activate(activation.layer(k - 1), f[-1]))
        else:
            h.append(_as_seen(stream))
        if k == condition.depth:
            break
        by = _through(condition, ln_v, k)
        if residual is None:
            layers.append(_Layer((h[-1],), (by,)))
        else:
            layers.append(_branch(condition, activation.layer(k - 1), stream, by))
        f.append(weigh(layers[-1].given[-1], layers[-1].by[-1]))
        if residual is not None:
            stream = _sum(stream, f[-1], residual.scale)
    return _Forward(layers, f, h)


def _branch(condition: Condition, activation: Activation, stream: Signal, by: Through) -> _Layer:
    """The weights of a block and what each is given."""
    residual = condition.residual
    assert residual is not None  # it is one of its blocks
    last = by._replace(ln_forward=-math.inf, ln_backward=-math.inf) if residual.zero_last else by
    given = [_given(activation, stream, norm=residual.norm == "before")]
    if residual.branch_layers == 1:
        return _Layer(tuple(given), (last,))
    inner = weigh(given[0], by)
    given.append(_given(activation, inner, norm=residual.norm == "inside"))
    return _Layer(tuple(given), (by, last))


def _given(activation: Activation, signal: Signal, *, norm: bool) -> Seen:
    """a[f], or a of the normalised f: the way back is divided by its variance."""
    if not norm:
        return activate(activation, signal)
    unit, ln_variance = normalised(signal)
    seen = activate(activation, unit)
    return seen._replace(ln_slope=seen.ln_slope - ln_variance)


def _sum(stream: Signal, f: Signal, scale: float) -> Signal:
    """The stream h + s f, f of a branch that is independent of it."""
    added = ln_of(scale**2) + f.ln_variance
    total = np.logaddexp(stream.ln_variance, added)
    share = float(np.exp(added[0] - total[0]))
    across = share * f.correlation if share > 0 else 0.0  # a branch of zeros has no correlation
    correlation = (1 - share) * stream.correlation + across
    return Signal(total, correlation, stream.mean + scale * f.mean)


def _as_seen(stream: Signal) -> Seen:
    """The stream itself, h_k = f_0 + s f_1 + …, as the output layer sees it."""
    zero = np.zeros_like(stream.ln_variance)
    share = np.sign(stream.mean) * np.exp((ln_of(stream.mean**2) - stream.ln_second) / 2)
    return Seen(stream.ln_second, stream.product, stream.ln_variance, share, zero, 1.0)


def _inputs(condition: Condition) -> Seen:
    """h_0: all positions alike, and independent but for the mean that all components have."""
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]
    variance, convolution = component_variance(condition.inputs), condition.convolution
    kept = kept_positions(convolution)
    pooled = convolution is not None and convolution.readout == "mean" and kept == 1
    product = (second - variance) / second if pooled and second > 0 else math.nan
    zero = np.zeros(kept)
    share = math.sqrt(max(1 - variance / second, 0.0)) if second > 0 else 0.0
    return Seen(zero + ln_of(second), product, zero + ln_of(variance), zero + share, zero, 1.0)


def _read(last: Seen, convolution: Convolution | None) -> float:
    """Mean square of what the output layer's weights are given, as a logarithm."""
    if convolution is None or convolution.readout == "flatten":
        return mean_over_positions(last.ln_second)
    positions = convolution.positions
    if positions == 1:
        return float(last.ln_second[0])
    return float(last.ln_second[0]) + ln_of((1 + (positions - 1) * last.product) / positions)


def _through(condition: Condition, ln_v: Sequence[float], k: int) -> Through:
    fan_in, fan_out = condition.fans[k]
    bias_variance = condition.bias_variances[k] if condition.bias_variances else 0.0
    mean = condition.biases[k] if condition.biases else 0.0
    windows, laws = condition.convolution, condition.weight_distributions
    if windows and laws and laws[k] == "delta_orthogonal":
        windows = windows._replace(kernel=1)  # all but the centre is 0: no edge is seen
    ln_fan_in, ln_fan_out = math.log(fan_in), math.log(fan_out)
    return Through(ln_fan_in + ln_v[k], ln_fan_out + ln_v[k], ln_of(bias_variance), mean, windows)


def _back(
    layer: _Layer, ln_df: FloatArray, product: float, convolution: Convolution | None
) -> tuple[FloatArray, float, float]:
    """From ∂ℓ/∂f to what the first weights are given, and ln of the weights' mean square."""
    of_weights = []
    for n, (given, by) in reversed(list(enumerate(zip(layer.given, layer.by, strict=True)))):
        of_weights.append(weight_gradient(ln_df, product, given, convolution))
        ln_df = by.ln_backward + window_means(ln_df, by.windows)
        if n > 0:
            ln_df = ln_df + given.ln_slope
            product *= given.slope_product if product else 0.0
    mean = float(np.logaddexp.reduce(of_weights)) - math.log(len(of_weights))
    return ln_df, product, mean
