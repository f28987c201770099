"""The infinite-width recursion of any network: what textbooks predict, as log10.

    q_k = fan_in σ²_k E[a(√q_{k−1} z)²] + σ²_b      variance of f_k, z ~ N(0, 1)
    E[f_k²] = q_k + c²                              biases of mean c; then √q z is c + √q z
    E[(∂ℓ/∂h_k)²] = c_k² E[h_k²] + u_k              u_k = fan_out σ²_k E[(∂ℓ/∂f_k)²]
    E[(∂ℓ/∂f_{k−1})²] = c_k² E[(a a')²] + u_k E[a'²]

c_k h_k is the part of the gradient along the activations (`layer`): c_k is 2 dE[ℓ]/d‖h_k‖², hence

    c_k = fan_out σ²_k e_k / q_k,   e_k = E[(f_k − E f_k) ∂ℓ/∂f_k],   e_{k−1} = c_k E[f a a']

It begins with ∂ℓ/∂f_K = 2 (f_K − y) and e_K = 2 q_K, hence c_K = 2 D_o σ²_K: c_K² E[h_K²] is to u_K
as D_o is to D_K. Textbooks leave it out (Schoenholz et al. 2017, eq. 8: c_k = 0).

The forward pass begins with q_0 = σ²_0 E‖x‖² + σ²_b, as if all inputs were equally long: those of a
wide input layer with independent components are, those of a data set are not.

A convolution is a layer with fan_in = k² c_in and fan_out = k² c_out, at each position of the
image; a residual block adds to its stream h_k

    E[h_{k+1}²] = E[h_k²] + s² E[f_k²],   ∂ℓ/∂h_k = ∂ℓ/∂h_{k+1} + what the branch hands back

with E[(∂ℓ/∂h_k)²] = E[(∂ℓ/∂h_{k+1})²] (1 + s² J) but for what both have along h_k, J the product of
fan_out σ²_Ω E[a'²] over the weight layers of its branch, and of 1/variance where it normalises,
which leaves nothing along h_k or 1. He's ReLU layers with s = 1 double both at every block, and
multiply them by (1 + 1/L)^L → e over all L blocks with s² = 1/L. Normalised branches add the same
at every block.

An output layer that averages over P positions gets E[h²] (1 + (P−1) ρ)/P of each channel, ρ the
cosine of two positions; the gradients of all positions are the same where it hands them back, and
taken to be independent of the activations.

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
from heinit_sim.theory.infinite_width import layer, quadrature
from heinit_sim.theory.infinite_width.layer import (
    Activations,
    Gradient,
    LayerWeights,
    Preactivations,
    WeightGradient,
)
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.infinite_width.positions import (
    mean_over_positions,
    position_shape,
    variance_over_units,
)

_LN10 = math.log(10.0)
_Branch = tuple[tuple[Activations, LayerWeights, Preactivations], ...]
"""The way from h_k to f_k: one layer of weights, or two, each with what it is given and gives."""


@np.errstate(divide="ignore", invalid="ignore")  # −inf is ln 0, NaN what is not known
def mean_field(
    condition: Condition, activation: Activation, *, independent: bool = False
) -> dict[Measure, FloatArray]:
    """Second moments and variances of infinitely wide layers, as log10, each of shape (K+1,).

    Variances over units are those of the second moment where the mean is zero. NaN where there is
    none, or it is not known: variances of the output layer, which is not wide; for an activation
    that is not homogeneous, layers beyond the range of a float; with zero padding, what depends on
    the average over positions of an output layer that sees no more.

    Args:
        condition: The network, its inputs and its loss.
        activation: Its activation a.
        independent: Take ∂ℓ/∂f_K for independent of the network, as textbooks do.
    """
    weights = _weights(condition, activation)
    branches, streams, h = _forward(condition, activation, weights)
    f = [branch[-1][-1] for branch in branches]
    ln_read = _read(h[-1], condition.convolution)
    ln_output = float(np.logaddexp(weights[-1].ln_forward + ln_read, weights[-1].ln_bias_variance))
    loss = _least_squares(ln_output, weights[-1].bias_mean - condition.target)
    if independent:
        loss = layer.from_loss(float(loss.ln_second), 0.0)
    output = Preactivations(np.array(ln_output), math.nan)
    last = _read_back(loss, output, weights[-1], h[-1], condition.convolution)
    df, dh, squares = _backward(condition, branches, streams, h, loss, last)

    h_second = _by_layer(h_k.ln_second for h_k in h)
    h_variance = _by_layer(h_k.ln_variance for h_k in h)
    mean_share = _by_layer(h_k.mean_share for h_k in h)
    dh_second, df_hidden = (_by_layer(g.ln_second for g in gs) for gs in (dh, df[:-1]))
    dh_means, df_means = (_by_layer(g.mean_share for g in gs) for gs in (dh, df[:-1]))
    f_hidden = mean_over_positions(_by_layer(f_k.ln_variance for f_k in f))
    ln_f = np.append(f_hidden, ln_output)
    with np.errstate(divide="ignore"):  # means of 0
        ln_offsets = 2 * np.log(np.abs(condition.bias_means))
    second: dict[Quantity, FloatArray] = {
        "preactivation": np.logaddexp(ln_f, ln_offsets),
        "activation": mean_over_positions(h_second),
        "grad_preactivation": np.append(mean_over_positions(df_hidden), loss.ln_second),
        "grad_activation": mean_over_positions(dh_second),
        "grad_weight": np.append([ln for ln, _ in squares], loss.ln_second + ln_read),
    }
    wide = np.append(np.zeros(condition.depth), np.nan)  # f_K and ∂ℓ/∂f_K are not
    df_variance = variance_over_units(_less(df_hidden, df_means), df_hidden, df_means)
    weight_means = np.array([mean_share for _, mean_share in squares])
    variance = {
        "preactivation": ln_f + wide,
        "activation": variance_over_units(h_variance, h_second, mean_share),
        "grad_preactivation": np.append(df_variance, np.nan),
        "grad_activation": variance_over_units(_less(dh_second, dh_means), dh_second, dh_means),
        "grad_weight": np.append(_less(second["grad_weight"][:-1], weight_means), np.nan),
    }
    measures: dict[Measure, FloatArray] = {}
    for quantity, moment in second.items():
        measures[quantity, "second_moment"] = moment / _LN10
        measures[quantity, "variance"] = variance[quantity] / _LN10
    return measures


def _least_squares(ln_variance: float, off_target: float) -> Gradient:
    """∂ℓ/∂f_K = 2 (f_K − y) of an output of that variance and E f_K − y: the only place of a loss.

    E[(∂ℓ/∂f_K)²] = 4 (q_K + (E f_K − y)²) and e_K = 2 q_K.
    """
    ln_second = float(np.logaddexp(ln_variance, 2 * layer.ln_of(abs(off_target))))
    share = math.exp((ln_variance - ln_second) / 2) if math.isfinite(ln_second) else 0.0
    return layer.from_loss(math.log(4.0) + ln_second, share)


def _less(ln_second: FloatArray, mean_share: FloatArray) -> FloatArray:
    """Variance, as a logarithm, of what has that second moment and E[g]/√E[g²]."""
    variance: FloatArray = ln_second + np.log1p(-np.square(mean_share))
    return variance


def _weights(condition: Condition, activation: Activation) -> list[LayerWeights]:
    """The weights and biases of the layers 0 … K; of a block each layer has the same."""
    variances: Sequence[float] = condition.weight_variances
    if condition.lsuv:
        variances = lsuv_variances(condition, activation)
    images = [condition.convolution] * condition.depth + [None]
    return list(map(_layer_weights, condition.fans, condition.layers, variances, images))


@lru_cache(256)
def _layer_weights(
    fans: tuple[int, int], spec: LayerSpec, variance: float, windows: Convolution | None
) -> LayerWeights:
    if windows and spec.weight_distribution == "delta_orthogonal":
        windows = windows._replace(kernel=1)  # all but the centre is 0: no edge is seen
    ln_forward, ln_backward = (math.log(fan) + math.log(variance) for fan in fans)
    ln_bias, rows = layer.ln_of(spec.bias_variance), 0.0
    if spec.weight_distribution.endswith("orthogonal"):
        rows = min(1 / (windows.taps if windows else 1), fans[0] / fans[1])
    return LayerWeights(ln_forward, ln_backward, ln_bias, spec.bias_mean, windows, rows)


def _by_layer(moments: Iterable[FloatArray]) -> FloatArray:
    """Moments of each layer as rows, (layers, positions)."""
    rows = np.array(list(moments))
    return rows.reshape(len(rows), -1)


def _forward(
    condition: Condition, activation: Activation, weights: list[LayerWeights]
) -> tuple[list[_Branch], list[Preactivations], list[Activations]]:
    """The ways to f_0 … f_{K−1}; h_1 … h_K of blocks, as sums of these; and h_0 … h_K."""
    residual = condition.residual
    h, branches, streams = [_inputs(condition)], list[_Branch](), list[Preactivations]()
    for k in range(condition.depth):
        if streams and residual:
            branches.append(_branch(residual, activation.layer(k), streams[-1], weights[k]))
        else:
            branches.append(((h[k], weights[k], layer.weigh(h[k], weights[k])),))
        f = branches[k][-1][-1]
        if residual:
            streams.append(_add(streams[-1], f, residual.scale) if streams else f)
            h.append(_stream_activations(streams[-1]))
        else:
            h.append(layer.activate(activation.layer(k), f))
    return branches, streams, h


def _backward(
    condition: Condition,
    branches: list[_Branch],
    streams: list[Preactivations],
    h: list[Activations],
    loss: Gradient,
    last: Gradient,
) -> tuple[list[Gradient], list[Gradient], list[WeightGradient]]:
    """∂ℓ/∂f_k and ∂ℓ/∂h_k of the layers 0 … K, and ∂ℓ/∂Ω_k of all but the last."""
    residual, convolution, depth = condition.residual, condition.convolution, condition.depth
    df, dh = [loss] * (depth + 1), [last] * (depth + 1)
    squares = [WeightGradient(math.nan, math.nan)] * depth
    if residual:
        dh[-1] = layer.activate_back(dh[-1], h[-1], streams[-1])
    for k in reversed(range(depth)):
        f = branches[k][-1][-1]
        if residual is None:
            df[k] = layer.activate_back(dh[k + 1], h[k + 1], f)
        elif k > 0:
            ln_share = layer.ln_of(residual.scale**2) + f.ln_variance - streams[k].ln_variance
            df[k] = layer.of_branch(dh[k + 1], np.exp(ln_share), residual.scale)
        else:
            df[0] = dh[1]  # f_0 begins the stream
        dh[k], squares[k] = _branch_back(df[k], branches[k], convolution)
        if residual and k > 0:
            added = layer.activate_back(dh[k], branches[k][0][0], streams[k - 1])
            kept = np.exp((streams[k - 1].ln_variance - streams[k].ln_variance) / 2)
            dh[k] = layer.add(dh[k + 1], streams[k - 1], added, kept)
    return df, dh, squares


def _branch(
    residual: Residual, activation: Activation, stream: Preactivations, weights: LayerWeights
) -> _Branch:
    """The branch of a block: Ω a[z], or Ω″ a[Ω′ a[z]]."""
    last = weights
    if residual.zero_last:
        last = weights._replace(ln_forward=-math.inf, ln_backward=-math.inf)
    first = _given(activation, stream, norm=residual.norm == "before")
    if residual.branch_layers == 1:
        return ((first, last, layer.weigh(first, last)),)
    inner = layer.weigh(first, weights)
    second = _given(activation, inner, norm=residual.norm == "inside")
    return ((first, weights, inner), (second, last, layer.weigh(second, last)))


def _branch_back(
    df: Gradient, branch: _Branch, convolution: Convolution | None
) -> tuple[Gradient, WeightGradient]:
    """From ∂ℓ/∂f_k to what the first weights are given, and the gradient of all weights."""
    given, weights, f = branch[-1]
    square = layer.weight_gradient(df, given, convolution)
    gradient = layer.weigh_back(df, f, given, weights)
    if len(branch) == 1:
        return gradient, square
    first, inner_weights, inner = branch[0]
    df_inner = layer.activate_back(gradient, given, inner)
    both = layer.mean_of(square, layer.weight_gradient(df_inner, first, convolution))
    return layer.weigh_back(df_inner, inner, first, inner_weights), both


def _given(activation: Activation, f: Preactivations, *, norm: bool) -> Activations:
    """a[f]; or a of f less its mean and over its standard deviation, by which gradients go too.

    Both are over all units of the layer, those of all positions together.
    """
    if not norm:
        return layer.activate(activation, f)
    ln_total = mean_over_positions(f.ln_variance)
    unit = Preactivations(f.ln_variance - ln_total, f.correlation)
    activations = layer.activate_normalised(activation, unit)
    return activations._replace(ln_slope=activations.ln_slope - ln_total)


def _add(stream: Preactivations, f: Preactivations, scale: float) -> Preactivations:
    """The stream h + s f, f of a branch that is independent of it."""
    added = layer.ln_of(scale**2) + f.ln_variance
    total = np.logaddexp(stream.ln_variance, added)
    share = float(np.exp(added - total).max())
    across = share * f.correlation if share > 0 else 0.0  # a branch of zeros has no correlation
    correlation = (1 - share) * stream.correlation + across
    return Preactivations(total, correlation, stream.mean + scale * f.mean)


def _stream_activations(stream: Preactivations) -> Activations:
    """The stream itself, h_k = f_0 + s f_1 + …, as the output layer sees it."""
    zero = np.zeros_like(stream.ln_variance)
    ln_second = stream.ln_second
    mean_share = np.sign(stream.mean) * np.exp((layer.ln_of(stream.mean**2) - ln_second) / 2)
    squared = float(mean_share.max()) ** 2 if stream.mean else 0.0
    cosine = stream.correlation * (1 - squared) + squared
    along = np.zeros((quadrature.ORDERS, *zero.shape))
    along[0], along[1] = mean_share, np.sqrt(1 - mean_share**2)
    return Activations(
        ln_second, cosine, stream.ln_variance, mean_share, zero, 1.0, zero + 1.0, along
    )


def _inputs(condition: Condition) -> Activations:
    """h_0: all positions alike, and independent but for the mean that all components have."""
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]
    variance, convolution = component_variance(condition.inputs), condition.convolution
    shape = position_shape(convolution)
    alike = convolution is not None and convolution.positions > 1 and not shape
    cosine = (second - variance) / second if alike and second > 0 else math.nan
    zero = np.zeros(shape)
    mean_share = math.sqrt(max(1 - variance / second, 0.0)) if second > 0 else 0.0
    ln_second, ln_variance = (zero + layer.ln_of(moment) for moment in (second, variance))
    unknown = np.full((quadrature.ORDERS, *shape), math.nan)  # they are no activations
    return Activations(ln_second, cosine, ln_variance, zero + mean_share, zero, 1.0, zero, unknown)


def _read(last: Activations, convolution: Convolution | None) -> float:
    """Mean square of what the output layer's weights are given, as a logarithm."""
    ln_mean = float(mean_over_positions(last.ln_second))
    if convolution is None or convolution.readout == "flatten" or convolution.positions == 1:
        return ln_mean
    positions = convolution.positions
    return ln_mean + layer.ln_of((1 + (positions - 1) * last.cosine) / positions)


def _read_back(
    loss: Gradient,
    output: Preactivations,
    weights: LayerWeights,
    last: Activations,
    convolution: Convolution | None,
) -> Gradient:
    """∂ℓ/∂h_K: each of P averaged positions is handed 1/P of the gradient of their average."""
    if convolution is None or convolution.readout == "flatten" or convolution.positions == 1:
        return layer.weigh_back(loss, output, last, weights)
    zero = np.zeros_like(last.ln_second)[()]
    ln = loss.ln_second + weights.ln_backward - 2 * math.log(convolution.positions)
    return Gradient(zero + ln, 1.0, zero, zero)
