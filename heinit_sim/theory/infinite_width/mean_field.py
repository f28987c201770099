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
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.architecture import Convolution, Residual
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width.layer import (
    Activations,
    Gradient,
    Preactivations,
    Weights,
    activate,
    activate_back,
    kept_positions,
    ln_of,
    mean_over_positions,
    normalised,
    variance_over_units,
    weigh,
    weigh_back,
    weight_gradient,
)
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances

_LN10 = math.log(10.0)


class _Branch(NamedTuple):
    """The way from h_k to f_k: weights, one layer or two, and what each of them is given."""

    given: tuple[Activations, ...]
    weights: tuple[Weights, ...]

    @property
    def f(self) -> Preactivations:
        return weigh(self.given[-1], self.weights[-1])


class _Forward(NamedTuple):
    """The forward pass."""

    branches: list[_Branch]
    """Layers 0 … K−1."""
    f: list[Preactivations]
    """f_0 … f_{K−1}."""
    h: list[Activations]
    """h_0 … h_K."""
    ln_read: float
    """ln of the mean square of what the output layer's weights are given."""
    ln_output: float
    """ln Var f_K."""


class _Backward(NamedTuple):
    """The backward pass, layer by layer from 0 to K."""

    df: list[Gradient]
    dh: list[Gradient]
    ln_weights: list[float]
    """ln E[(∂ℓ/∂Ω_k)²]."""


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
    forward = _forward(condition, activation, weights)
    backward = _backward(condition, weights, forward)

    f_variance = np.array([f.ln_variance for f in forward.f])
    bias_means = np.array([each.bias_mean for each in weights])
    h_second = np.array([h.ln_second for h in forward.h])
    h_variance = np.array([h.ln_variance for h in forward.h])
    mean_share = np.array([h.mean_share for h in forward.h])
    df_hidden = np.array([df.ln_second for df in backward.df[:-1]])
    ln_f = np.append(mean_over_positions(f_variance), forward.ln_output)
    with np.errstate(divide="ignore"):  # means of 0
        ln_f_second = np.logaddexp(ln_f, 2 * np.log(np.abs(bias_means)))
    second: dict[Quantity, FloatArray] = {
        "preactivation": ln_f_second,
        "activation": mean_over_positions(h_second),
        "grad_preactivation": np.append(mean_over_positions(df_hidden), backward.df[-1].ln_second),
        "grad_activation": mean_over_positions(np.array([dh.ln_second for dh in backward.dh])),
        "grad_weight": np.array(backward.ln_weights),
    }
    wide = np.append(np.zeros(condition.depth), np.nan)  # f_K and ∂ℓ/∂f_K are not
    variance = {
        "preactivation": ln_f + wide,
        "activation": variance_over_units(h_variance, h_second, mean_share),
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
    variances = condition.weight_variances
    if condition.lsuv:
        variances = tuple(lsuv_variances(condition, activation))
    layers = []
    for k, (fan_in, fan_out) in enumerate(condition.fans):
        spec = condition.layers[k]
        windows = condition.convolution if k < condition.depth else None
        if windows and spec.weight_distribution == "delta_orthogonal":
            windows = windows._replace(kernel=1)  # all but the centre is 0: no edge is seen
        ln_v = math.log(variances[k])
        layers.append(
            Weights(
                math.log(fan_in) + ln_v,
                math.log(fan_out) + ln_v,
                ln_of(spec.bias_variance),
                spec.bias_mean,
                windows,
            )
        )
    return layers


def _forward(condition: Condition, activation: Activation, weights: list[Weights]) -> _Forward:
    residual, depth = condition.residual, condition.depth
    h, branches, f = [_inputs(condition)], [], []
    stream = None
    for k in range(depth):
        if residual is None or stream is None:
            branches.append(_Branch((h[k],), (weights[k],)))
        else:
            branches.append(_branch(residual, activation.layer(k - 1), stream, weights[k]))
        f.append(branches[k].f)
        if residual is None:
            h.append(activate(activation.layer(k), f[k]))
        else:
            stream = f[k] if stream is None else _add(stream, f[k], residual.scale)
            h.append(_stream_activations(stream))
    ln_read = _read(h[depth], condition.convolution)
    output = weights[depth]
    ln_output = float(np.logaddexp(output.ln_forward + ln_read, output.ln_bias_variance))
    return _Forward(branches, f, h, ln_read, ln_output)


def _backward(condition: Condition, weights: list[Weights], forward: _Forward) -> _Backward:
    residual, convolution, depth = condition.residual, condition.convolution, condition.depth
    off_target = 2 * ln_of(abs(weights[depth].bias_mean - condition.target))
    ln_last = math.log(4.0) + float(np.logaddexp(forward.ln_output, off_target))
    df = [Gradient(np.array([ln_last]), 0.0)]
    dh = [_read_back(ln_last, weights[depth], forward.h[depth], convolution)]
    ln_weights = [ln_last + forward.ln_read]
    for k in reversed(range(depth)):
        branch = forward.branches[k]
        block = residual if k > 0 else None  # f_0 begins the stream
        if residual is None:
            df.append(activate_back(dh[-1], forward.h[k + 1]))
        else:
            weight = ln_of(block.scale**2) if block else 0.0
            df.append(Gradient(dh[-1].ln_second + weight, dh[-1].cosine))
        gradient, ln_weight = _branch_back(df[-1], branch, convolution)
        if block:
            gradient = _add_gradients(dh[-1], activate_back(gradient, branch.given[0]))
        dh.append(gradient)
        ln_weights.append(ln_weight)
    return _Backward(df[::-1], dh[::-1], ln_weights[::-1])


def _branch(
    residual: Residual, activation: Activation, stream: Preactivations, weights: Weights
) -> _Branch:
    """The branch of a block: Ω a[z], or Ω″ a[Ω′ a[z]]."""
    last = weights
    if residual.zero_last:
        last = weights._replace(ln_forward=-math.inf, ln_backward=-math.inf)
    first = _given(activation, stream, norm=residual.norm == "before")
    if residual.branch_layers == 1:
        return _Branch((first,), (last,))
    inner = weigh(first, weights)
    second = _given(activation, inner, norm=residual.norm == "inside")
    return _Branch((first, second), (weights, last))


def _branch_back(
    df: Gradient, branch: _Branch, convolution: Convolution | None
) -> tuple[Gradient, float]:
    """From ∂ℓ/∂f_k to what the first weights are given, and ln of the weights' mean square."""
    ln_squares = [weight_gradient(df, branch.given[-1], convolution)]
    gradient = weigh_back(df, branch.weights[-1])
    for given, weights in zip(branch.given[-2::-1], branch.weights[-2::-1], strict=True):
        gradient = activate_back(gradient, branch.given[-1])
        ln_squares.append(weight_gradient(gradient, given, convolution))
        gradient = weigh_back(gradient, weights)
    if len(ln_squares) == 1:
        return gradient, ln_squares[0]
    return gradient, float(np.logaddexp.reduce(ln_squares)) - math.log(len(ln_squares))


def _given(activation: Activation, f: Preactivations, *, norm: bool) -> Activations:
    """a[f], or a of the normalised f: the way back is divided by its variance."""
    if not norm:
        return activate(activation, f)
    unit, ln_variance = normalised(f)
    activations = activate(activation, unit)
    return activations._replace(ln_slope=activations.ln_slope - ln_variance)


def _add(stream: Preactivations, f: Preactivations, scale: float) -> Preactivations:
    """The stream h + s f, f of a branch that is independent of it."""
    added = ln_of(scale**2) + f.ln_variance
    total = np.logaddexp(stream.ln_variance, added)
    share = float(np.exp(added[0] - total[0]))
    across = share * f.correlation if share > 0 else 0.0  # a branch of zeros has no correlation
    correlation = (1 - share) * stream.correlation + across
    return Preactivations(total, correlation, stream.mean + scale * f.mean)


def _add_gradients(stream: Gradient, branch: Gradient) -> Gradient:
    """∂ℓ/∂h_k of a block: what the stream hands back, and what the branch does."""
    total = np.logaddexp(stream.ln_second, branch.ln_second)
    if not stream.cosine:
        return Gradient(total, 0.0)
    share = math.exp(stream.ln_second[0] - total[0])
    across = (1 - share) * branch.cosine if share < 1 else 0.0  # a branch of zeros has no cosine
    return Gradient(total, share * stream.cosine + across)


def _stream_activations(stream: Preactivations) -> Activations:
    """The stream itself, h_k = f_0 + s f_1 + …, as the output layer sees it."""
    zero = np.zeros_like(stream.ln_variance)
    ln_second = stream.ln_second
    mean_share = np.sign(stream.mean) * np.exp((ln_of(stream.mean**2) - ln_second) / 2)
    squared = float(mean_share[0]) ** 2 if stream.mean else 0.0
    cosine = stream.correlation * (1 - squared) + squared
    return Activations(ln_second, cosine, stream.ln_variance, mean_share, zero, 1.0)


def _inputs(condition: Condition) -> Activations:
    """h_0: all positions alike, and independent but for the mean that all components have."""
    second = norm_moments(condition.inputs, condition.widths[0])[0] / condition.widths[0]
    variance, convolution = component_variance(condition.inputs), condition.convolution
    kept = kept_positions(convolution)
    pooled = convolution is not None and convolution.readout == "mean" and kept == 1
    cosine = (second - variance) / second if pooled and second > 0 else math.nan
    zero = np.zeros(kept)
    mean_share = math.sqrt(max(1 - variance / second, 0.0)) if second > 0 else 0.0
    return Activations(
        zero + ln_of(second), cosine, zero + ln_of(variance), zero + mean_share, zero, 1.0
    )


def _read(last: Activations, convolution: Convolution | None) -> float:
    """Mean square of what the output layer's weights are given, as a logarithm."""
    if convolution is None or convolution.readout == "flatten":
        return float(mean_over_positions(last.ln_second))
    positions = convolution.positions
    if positions == 1:
        return float(last.ln_second[0])
    return float(last.ln_second[0]) + ln_of((1 + (positions - 1) * last.cosine) / positions)


def _read_back(
    ln_df: float, weights: Weights, last: Activations, convolution: Convolution | None
) -> Gradient:
    """∂ℓ/∂h_K: each of P averaged positions is handed 1/P of the gradient of their average."""
    averaged = convolution is not None and convolution.readout == "mean"
    ln = ln_df + weights.ln_backward
    if convolution is not None and averaged:
        ln -= 2 * math.log(convolution.positions)
    return Gradient(np.full_like(last.ln_second, ln), float(averaged))
