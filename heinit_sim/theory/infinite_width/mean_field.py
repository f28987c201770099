"""The infinite-width recursion of any network: what textbooks predict, as log10.

    q_k = fan_in σ²_k E[a(√q_{k−1} z)²] + σ²_b      variance of f_k, z ~ N(0, 1)
    E[f_k²] = q_k + c²                              biases of mean c; then √q z is c + √q z
    E[(∂ℓ/∂f_{k−1})²] = E[a'(√q_{k−1} z)²] · fan_out σ²_k E[(∂ℓ/∂f_k)²]

It begins with q_0 = σ²_0 E‖x‖² + σ²_b, as if all inputs were equally long: those of a wide input
layer with independent components are, those of a data set are not.
The gradient is taken to be independent of the activations.

A convolution is a layer with fan_in = k² c_in and fan_out = k² c_out, at each position of the
image; a residual block adds to its stream h_k

    E[h_{k+1}²] = E[h_k²] + s² E[f_k²],   E[(∂ℓ/∂h_k)²] = E[(∂ℓ/∂h_{k+1})²] (1 + s² J),

J the product of fan_out σ²_Ω E[a'²] over the weight layers of its branch, and of 1/variance where
it normalises. He's ReLU layers with s = 1 double both at every block, and multiply them by
(1 + 1/L)^L → e over all L blocks with s² = 1/L. Normalised branches add the same at every block.

An output layer that averages over P positions gets E[h²] (1 + (P−1) ρ)/P of each channel, ρ the
cosine of two positions; the gradients of all positions are the same where it hands them back.

Source: Prince (2023), eq. 7.10 and 7.21; He et al. 2015, eq. 9, 10, 13 and 14; for any activation
Poole et al. 2016, eq. 3, and Schoenholz et al. 2017, eq. 8; Xiao et al. 2018 for positions and
their correlation; Yang & Schoenholz 2017 for residual networks.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution, Residual
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition, LayerSpec
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width import layer
from heinit_sim.theory.infinite_width.layer import Activations, Gradient, Preactivations, Weights
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances

_LN10 = math.log(10.0)
_Branch = tuple[tuple[Activations, Weights], ...]
"""The way from h_k to f_k: one layer of weights, or two, each with what it is given."""


@np.errstate(invalid="ignore")  # NaN is what is not known
def mean_field(condition: Condition, activation: Activation) -> dict[Measure, FloatArray]:
    """Second moments and variances of infinitely wide layers, as log10, each of shape (K+1,).

    Variances over units are those of the second moment where the mean is zero. NaN where there is
    none, or it is not known: variances of the output layer, which is not wide; for an activation
    that is not homogeneous, layers beyond the range of a float; with zero padding, what depends on
    the average over positions of an output layer that sees no more.

    Args:
        condition: The network, its inputs and its loss.
        activation: Its activation a.
    """
    weights = _weights(condition, activation)
    branches, f, h = _forward(condition, activation, weights)
    ln_read = _read(h[-1], condition.convolution)
    ln_output = float(np.logaddexp(weights[-1].ln_forward + ln_read, weights[-1].ln_bias_variance))
    df, dh, ln_squares = _backward(condition, weights, branches, h, ln_output)

    h_second = _by_layer(h_k.ln_second for h_k in h)
    h_variance = _by_layer(h_k.ln_variance for h_k in h)
    mean_share = _by_layer(h_k.mean_share for h_k in h)
    dh_second = layer.mean_over_positions(_by_layer(dh_k.ln_second for dh_k in dh))
    df_hidden = layer.mean_over_positions(_by_layer(df_k.ln_second for df_k in df[:-1]))
    f_hidden = layer.mean_over_positions(_by_layer(f_k.ln_variance for f_k in f))
    ln_f = np.append(f_hidden, ln_output)
    with np.errstate(divide="ignore"):  # means of 0
        ln_offsets = 2 * np.log(np.abs(condition.bias_means))
    second: dict[Quantity, FloatArray] = {
        "preactivation": np.logaddexp(ln_f, ln_offsets),
        "activation": layer.mean_over_positions(h_second),
        "grad_preactivation": np.append(df_hidden, df[-1].ln_second),
        "grad_activation": dh_second,
        "grad_weight": np.append(ln_squares, df[-1].ln_second + ln_read),
    }
    wide = np.append(np.zeros(condition.depth), np.nan)  # f_K and ∂ℓ/∂f_K are not
    variance = {
        "preactivation": ln_f + wide,
        "activation": layer.variance_over_units(h_variance, h_second, mean_share),
        "grad_preactivation": second["grad_preactivation"] + wide,
        "grad_activation": second["grad_activation"],
        "grad_weight": second["grad_weight"] + wide,
    }
    measures: dict[Measure, FloatArray] = {}
    for quantity, moment in second.items():
        measures[quantity, "second_moment"] = moment / _LN10
        measures[quantity, "variance"] = variance[quantity] / _LN10
    return measures


def _weights(condition: Condition, activation: Activation) -> list[Weights]:
    """The weights and biases of the layers 0 … K; of a block each layer has the same."""
    variances: Sequence[float] = condition.weight_variances
    if condition.lsuv:
        variances = lsuv_variances(condition, activation)
    images = [condition.convolution] * condition.depth + [None]
    return list(map(_layer_weights, condition.fans, condition.layers, variances, images))


@lru_cache(256)
def _layer_weights(
    fans: tuple[int, int], spec: LayerSpec, variance: float, windows: Convolution | None
) -> Weights:
    if windows and spec.weight_distribution == "delta_orthogonal":
        windows = windows._replace(kernel=1)  # all but the centre is 0: no edge is seen
    ln_forward, ln_backward = (math.log(fan) + math.log(variance) for fan in fans)
    ln_bias = layer.ln_of(spec.bias_variance)
    return Weights(ln_forward, ln_backward, ln_bias, spec.bias_mean, windows)


def _by_layer(moments: Iterable[FloatArray]) -> FloatArray:
    """Moments of each layer as rows, (layers, positions)."""
    rows = np.array(list(moments))
    return rows.reshape(len(rows), -1)


def _forward(
    condition: Condition, activation: Activation, weights: list[Weights]
) -> tuple[list[_Branch], list[Preactivations], list[Activations]]:
    """The ways to f_0 … f_{K−1}, these themselves, and h_0 … h_K."""
    residual = condition.residual
    h, branches, f = [_inputs(condition)], list[_Branch](), list[Preactivations]()
    streams: list[Preactivations] = []  # h_1 … h_k of blocks, as sums of f_0 … f_{k−1}
    for k in range(condition.depth):
        if streams and residual:
            branches.append(_branch(residual, activation.layer(k), streams[-1], weights[k]))
        else:
            branches.append(((h[k], weights[k]),))
        f.append(layer.weigh(*branches[k][-1]))
        if residual:
            streams.append(_add(streams[-1], f[k], residual.scale) if streams else f[k])
            h.append(_stream_activations(streams[-1]))
        else:
            h.append(layer.activate(activation.layer(k), f[k]))
    return branches, f, h


def _backward(
    condition: Condition,
    weights: list[Weights],
    branches: list[_Branch],
    h: list[Activations],
    ln_output: float,
) -> tuple[list[Gradient], list[Gradient], list[float]]:
    """∂ℓ/∂f_k and ∂ℓ/∂h_k of the layers 0 … K, and ln E[(∂ℓ/∂Ω_k)²] of all but the last."""
    residual, convolution, depth = condition.residual, condition.convolution, condition.depth
    off_target = 2 * layer.ln_of(abs(weights[-1].bias_mean - condition.target))
    ln_last = math.log(4.0) + np.logaddexp(ln_output, off_target)
    df = [Gradient(ln_last, 0.0)] * (depth + 1)
    dh = [_read_back(ln_last, weights[-1], h[-1], convolution)] * (depth + 1)
    ln_squares = [math.nan] * depth
    for k in reversed(range(depth)):
        block = residual if k > 0 else None  # f_0 begins the stream
        if residual is None:
            df[k] = layer.activate_back(dh[k + 1], h[k + 1])
        else:
            handed = layer.ln_of(block.scale**2) if block else 0.0
            df[k] = Gradient(dh[k + 1].ln_second + handed, dh[k + 1].cosine)
        dh[k], ln_squares[k] = _branch_back(df[k], branches[k], convolution)
        if block:
            dh[k] = _add_gradients(dh[k + 1], layer.activate_back(dh[k], branches[k][0][0]))
    return df, dh, ln_squares


def _branch(
    residual: Residual, activation: Activation, stream: Preactivations, weights: Weights
) -> _Branch:
    """The branch of a block: Ω a[z], or Ω″ a[Ω′ a[z]]."""
    last = weights
    if residual.zero_last:
        last = weights._replace(ln_forward=-math.inf, ln_backward=-math.inf)
    first = _given(activation, stream, norm=residual.norm == "before")
    if residual.branch_layers == 1:
        return ((first, last),)
    inner = layer.weigh(first, weights)
    second = _given(activation, inner, norm=residual.norm == "inside")
    return ((first, weights), (second, last))


def _branch_back(
    df: Gradient, branch: _Branch, convolution: Convolution | None
) -> tuple[Gradient, float]:
    """From ∂ℓ/∂f_k to what the first weights are given, and ln of the weights' mean square."""
    given, weights = branch[-1]
    ln_square = layer.weight_gradient(df, given, convolution)
    gradient = layer.weigh_back(df, weights)
    if len(branch) == 1:
        return gradient, ln_square
    (first, inner), df_inner = branch[0], layer.activate_back(gradient, given)
    ln_inner = layer.weight_gradient(df_inner, first, convolution)
    ln_mean = float(np.logaddexp(ln_square, ln_inner)) - math.log(2)  # of as many weights each
    return layer.weigh_back(df_inner, inner), ln_mean


def _given(activation: Activation, f: Preactivations, *, norm: bool) -> Activations:
    """a[f]; or a of f less its mean and over its standard deviation, by which gradients go too.

    Both are over all units of the layer, those of all positions together.
    """
    if not norm:
        return layer.activate(activation, f)
    ln_total = layer.mean_over_positions(f.ln_variance)
    unit = Preactivations(f.ln_variance - ln_total, f.correlation)
    activations = layer.activate(activation, unit)
    return activations._replace(ln_slope=activations.ln_slope - ln_total)


def _add(stream: Preactivations, f: Preactivations, scale: float) -> Preactivations:
    """The stream h + s f, f of a branch that is independent of it."""
    added = layer.ln_of(scale**2) + f.ln_variance
    total = np.logaddexp(stream.ln_variance, added)
    share = float(np.exp(added - total).max())
    across = share * f.correlation if share > 0 else 0.0  # a branch of zeros has no correlation
    correlation = (1 - share) * stream.correlation + across
    return Preactivations(total, correlation, stream.mean + scale * f.mean)


def _add_gradients(stream: Gradient, branch: Gradient) -> Gradient:
    """∂ℓ/∂h_k of a block: what the stream hands back, and what the branch does."""
    total = np.logaddexp(stream.ln_second, branch.ln_second)
    if not stream.cosine:
        return Gradient(total, 0.0)
    share = float(np.exp(stream.ln_second - total).max())
    across = (1 - share) * branch.cosine if share < 1 else 0.0  # a branch of zeros has no cosine
    return Gradient(total, share * stream.cosine + across)


def _stream_activations(stream: Preactivations) -> Activations:
    """The stream itself, h_k = f_0 + s f_1 + …, as the output layer sees it."""
    zero = np.zeros_like(stream.ln_variance)
    ln_second = stream.ln_second
    mean_share = np.sign(stream.mean) * np.exp((layer.ln_of(stream.mean**2) - ln_second) / 2)
    squared = float(mean_share.max()) ** 2 if stream.mean else 0.0
    cosine = stream.correlation * (1 - squared) + squared
    return Activations(ln_second, cosine, stream.ln_variance, mean_share, zero, 1.0)


def _inputs(condition: Condition) -> Activations:
    """h_0: all positions alike, and independent but for the mean that all components have."""
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]
    variance, convolution = component_variance(condition.inputs), condition.convolution
    shape = layer.position_shape(convolution)
    pooled = convolution is not None and convolution.readout == "mean" and not shape
    cosine = (second - variance) / second if pooled and second > 0 else math.nan
    zero = np.zeros(shape)
    mean_share = math.sqrt(max(1 - variance / second, 0.0)) if second > 0 else 0.0
    ln_second, ln_variance = (zero + layer.ln_of(moment) for moment in (second, variance))
    return Activations(ln_second, cosine, ln_variance, zero + mean_share, zero, 1.0)


def _read(last: Activations, convolution: Convolution | None) -> float:
    """Mean square of what the output layer's weights are given, as a logarithm."""
    ln_mean = float(layer.mean_over_positions(last.ln_second))
    if convolution is None or convolution.readout == "flatten" or convolution.positions == 1:
        return ln_mean
    positions = convolution.positions
    return ln_mean + layer.ln_of((1 + (positions - 1) * last.cosine) / positions)


def _read_back(
    ln_df: FloatArray, weights: Weights, last: Activations, convolution: Convolution | None
) -> Gradient:
    """∂ℓ/∂h_K: each of P averaged positions is handed 1/P of the gradient of their average."""
    ln, averaged = ln_df + weights.ln_backward, False
    if convolution is not None and convolution.readout == "mean":
        ln, averaged = ln - 2 * math.log(convolution.positions), True
    return Gradient(np.full_like(last.ln_second, ln)[()], float(averaged))
