"""The infinite-width recursion of any network: what textbooks predict, as log10.

    q_k = fan_in σ²_k E[a(√q_{k−1} z)²] + σ²_b      variance of f_k, z ~ N(0, 1)
    E[f_k²] = q_k + c²                              biases of mean c; then √q z is c + √q z
    E[(∂ℓ/∂h_k)²] = c_k² E[h_k²] + u_k              u_k = fan_out σ²_k E[(∂ℓ/∂f_k)²]
    E[(∂ℓ/∂f_{k−1})²] = c_k² E[(a a')²] + u_k E[a'²]

c_k h_k is the part of the gradient along the activations (`layer`): c_k is 2 dE[ℓ]/d‖h_k‖², hence

    c_k = fan_out σ²_k e_k / q_k,   e_k = E[(f_k − E f_k) ∂ℓ/∂f_k],   e_{k−1} = c_k E[f a a']

Least squares begins with ∂ℓ/∂f_K = 2 (f_K − y) and e_K = 2 q_K, hence c_K = 2 D_o σ²_K: of that,
c_K² E[h_K²] is to u_K as D_o is to D_K. Cross entropy does as `cross_entropy` says, a probe with
e_K = 0 and E[(∂ℓ/∂f_K)²] = 1. Textbooks leave e_K out for any loss (Schoenholz et al. 2017, eq. 8:
c_k = 0).

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
cosine of two positions; the gradients of all positions are the same where it hands them back.

Source: Prince (2023), eq. 7.10 and 7.21; He et al. 2015, eq. 9, 10, 13 and 14; for any activation
Poole et al. 2016, eq. 3, and Schoenholz et al. 2017, eq. 8; Xiao et al. 2018 for positions and
their correlation; Yang & Schoenholz 2017 for residual networks.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heinit_sim.activations import activation_of
from heinit_sim.experiment.activation_table import Activation
from heinit_sim.experiment.quantities import Measure, Quantity
from heinit_sim.experiment.steps import Activate, Norm, by_layer, distinct, matrices
from heinit_sim.experiment.sweep_config import Condition, Loss
from heinit_sim.numerics import FloatArray
from heinit_sim.sampling.inputs import component_variance, norm_moments
from heinit_sim.theory.infinite_width import cross_entropy, quadrature, rows
from heinit_sim.theory.infinite_width.gaps import input_gap
from heinit_sim.theory.infinite_width.lsuv import lsuv_variances
from heinit_sim.theory.infinite_width.positions import (
    mean_over_positions,
    position_shape,
    variance_over_units,
)
from heinit_sim.theory.infinite_width.rows import Passed, Returned
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Signal,
    along_shape,
    centred,
    ln_of,
    mean_of,
)
from heinit_sim.theory.infinite_width.steps import activation
from heinit_sim.theory.infinite_width.steps.norm import Batch

_LN10 = math.log(10.0)


class Field(NamedTuple):
    """Infinitely wide layers, and the loss behind them, all as log10."""

    moments: dict[Measure, FloatArray]
    """(quantity, statistic) -> (K+1,)."""
    log10_loss: float
    """log10 of the mean loss; NaN for a probe."""


def mean_field(condition: Condition, *, independent: bool = False) -> dict[Measure, FloatArray]:
    """The moments of `wide_field` alone."""
    return wide_field(condition, independent=independent).moments


@np.errstate(divide="ignore", invalid="ignore")  # −inf is ln 0, NaN what is not known
def wide_field(condition: Condition, *, independent: bool = False) -> Field:
    """Second moments and variances of infinitely wide layers, and the loss.

    Variances over units are those of the second moment where the mean is zero. NaN where there is
    none, or it is not known: variances of the output layer, which is not wide; for an activation
    that is not homogeneous, layers beyond the range of a float; with zero padding, what depends on
    the average over positions of an output layer that sees no more; an activation of what is
    neither Gaussian nor of evenly spread signs; attention, and what follows but for norms; cross
    entropy of what is not Gaussian.

    Args:
        condition: The network, its inputs and its loss.
        independent: Take ∂ℓ/∂f_K for independent of the network, as textbooks do.
    """
    ln_gap = _first_ln_gap(condition)
    passed, returned, ln_loss = both_passes(condition, ln_gap, independent=independent)
    dh = [layer.gradients[0] for layer in returned]
    df = [b.gradients[a.way.place_of_f] for a, b in zip(passed, returned, strict=True)]
    squares = [layer.weights for layer in returned]
    f = [layer.signals[layer.way.place_of_f] for layer in passed]
    moments: dict[Quantity, tuple[FloatArray, FloatArray]] = {
        "preactivation": _over_units(f),
        "activation": _over_units(layer.signals[0] for layer in passed),
        "grad_preactivation": _over_units(map(_as_signal, df)),
        "grad_activation": _over_units(map(_as_signal, dh)),
        "grad_weight": (
            np.array([square.ln_second for square in squares]),
            np.array([_less(s.ln_second, s.mean_share) for s in squares]),
        ),
    }
    measures: dict[Measure, FloatArray] = {}
    for quantity, (second, variance) in moments.items():
        if quantity not in ("activation", "grad_activation"):
            variance[-1] = np.nan  # f_K and ∂ℓ/∂f_K are not wide
        measures[quantity, "second_moment"] = second / _LN10
        measures[quantity, "variance"] = variance / _LN10
    return Field(measures, ln_loss / _LN10)


@np.errstate(divide="ignore", invalid="ignore")  # as above
def log10_jacobian_second_moment(condition: Condition) -> float:
    """log10 of E[(∂f_o/∂x_i)²] over the outputs, the components of one input and networks.

    It is what the recursion makes of a gradient of mean square 1/D_o that is independent of the
    network. Of dense layers of random weights, each of a law that is even, with a homogeneous
    activation and no biases, it is exact at any width, for any x ≠ 0: Π σ²_k D_{k+1} p2, over D_o,
    p2 = (1 + α²)/2 for each activation. Turning the sign of a row of Ω_k changes its slope from 1
    to α and nothing else of the law of ∂f/∂h_k.
    """
    passed, batch = forward(condition, _first_ln_gap(condition)), batch_of(condition)
    end = passed[-1].signals[-1]
    zero = np.zeros(np.shape(end.ln_second))[()]
    ln = zero - math.log(condition.widths[-1])
    gradient = Gradient(ln, 0.0, np.zeros(along_shape(end)), zero, zero)
    for layer in reversed(passed):
        gradient = rows.back(layer, gradient, batch).gradients[0]
    seconds, _ = _over_units([_as_signal(gradient)])
    return float(seconds[0]) / _LN10


def both_passes(
    condition: Condition, ln_gap: float, *, independent: bool
) -> tuple[list[Passed], list[Returned], float]:
    """The signals of all layers and their gradients, in the order of the layers, and ln E[ℓ].

    Args:
        condition: The network, its inputs and its loss.
        ln_gap: ln(1 − cosine) of two inputs; NaN where nothing of two is asked for.
        independent: As in `mean_field`.
    """
    passed, batch = forward(condition, ln_gap), batch_of(condition)
    outputs = condition.widths[-1]
    passed[-1], gradient, ln_loss = _loss(
        passed[-1], condition.loss, outputs, independent=independent
    )
    returned = list[Returned]()
    for layer in reversed(passed):
        returned.append(rows.back(layer, gradient, batch))
        gradient = returned[-1].gradients[0]
    return passed, returned[::-1], ln_loss


def forward(condition: Condition, ln_gap: float = math.nan) -> list[Passed]:
    """The signals of all layers; with those of two inputs, of which ln(1 − cosine) is given."""
    z, batch = _inputs(condition)._replace(ln_gap=ln_gap), batch_of(condition)
    if condition.lsuv:
        fitted = zip(condition.layers, lsuv_variances(condition), strict=True)
        ways = [rows.way_of(row, variance) for row, variance in fitted]
    else:
        ways = by_layer(condition.layers, rows.way_of)
    passed = []
    for way in ways:
        passed.append(rows.forward(way, z, batch))
        z = passed[-1].signals[-1]
    return passed


def batch_of(condition: Condition) -> Batch:
    """The number of inputs, and whether they are alike, for batch norm."""
    return Batch(condition.n_inputs, alike=condition.inputs.distribution != "pair")


def _over_units(signals: Iterable[Signal]) -> tuple[FloatArray, FloatArray]:
    """E[z²] and Var z over all units of each layer, as logarithms."""
    seconds, variances = [], []
    for z in signals:
        if np.ndim(z.ln_second):
            second = mean_over_positions(z.ln_second)
            variance = variance_over_units(z.ln_variance, z.ln_second, z.mean_share)
            seconds.append(float(second))
            variances.append(float(variance))
        else:
            seconds.append(float(z.ln_second))
            variances.append(float(z.ln_variance))
    return np.array(seconds), np.array(variances)


def _as_signal(g: Gradient) -> Signal:
    return Signal(g.ln_second, _less(g.ln_second, g.mean_share), g.mean_share, g.cosine)


def _less(ln_second: FloatArray | float, mean_share: FloatArray | float) -> FloatArray:
    """Variance, as a logarithm, of what has that second moment and E[g]/√E[g²]."""
    variance: FloatArray = ln_second + np.log1p(-np.square(mean_share))
    return variance


def _loss(
    last: Passed, loss: Loss, outputs: int, *, independent: bool
) -> tuple[Passed, Gradient, float]:
    """∂ℓ/∂ of what the last row ends with, and ln E[ℓ]: the only place of a loss."""
    if loss.name == "least_squares":
        return _squares(last, loss.target, outputs, independent=independent)
    f = last.signals[-1]
    if loss.name == "probe":
        return last, _gradient(f, 0.0, 0.0, 0.0), math.nan
    ln_q = float(f.ln_variance) if f.law == "gaussian" else math.nan
    known = cross_entropy.output_loss(ln_q, outputs)
    share = 0.0 if independent else known.share
    between = math.nan
    if not math.isnan(f.ln_gap):
        correlation = centred(-math.expm1(f.ln_gap), f.mean_share)
        between = cross_entropy.likeness(ln_q, correlation, outputs)
    return last, _gradient(f, known.ln_second, share, between), known.ln_loss


def _gradient(f: Signal, ln_second: float, share: float, between: float) -> Gradient:
    """The gradient of mean 0 that f decides by that share, linearly as far as weights can tell."""
    along: FloatArray = np.array(share)
    if f.law == "gaussian":
        along = np.zeros(quadrature.ORDERS)
        along[1] = share
    zero = np.zeros(())[()]
    return Gradient(np.array(ln_second), 0.0, along, zero, np.array(share**2), between)


def _squares(
    last: Passed, target: float, outputs: int, *, independent: bool
) -> tuple[Passed, Gradient, float]:
    """Least squares: ℓ = Σ (f_K − y)².

    E[(∂ℓ/∂f_K)²] = 4 (q_K + (E f_K − y)²) and E[(f_K − E f_K) ∂ℓ/∂f_K] = 2 q_K. An activation of
    the output is taken less y, and its gradient is all along it.
    """
    f, off_target = last.signals[-1], -target
    step = last.way.steps[-1].step
    if isinstance(step, Activate):
        made = activation.forward(_less_target(activation_of(step), target), last.signals[-2])
        f, off_target = made.after, 0.0
        last = last._replace(signals=(*last.signals[:-1], f), made=(*last.made[:-1], made))
        ln_second, share = float(f.ln_second), 1.0
    else:
        off_target += mean_of(f)
        ln_second = float(np.logaddexp(f.ln_variance, 2 * ln_of(abs(off_target))))
        finite = math.isfinite(ln_second)
        share = math.exp((float(f.ln_variance) - ln_second) / 2) if finite else 0.0
    share = 0.0 if independent else share
    between = -math.expm1(f.ln_gap + float(f.ln_second) - ln_second)
    gradient = _gradient(f, math.log(4.0) + ln_second, share, between)
    return last, gradient, math.log(outputs) + ln_second


def _less_target(a: Activation, target: float) -> Activation:
    """a(z) − y."""
    if target == 0:
        return a

    def value(z: FloatArray, out: FloatArray) -> FloatArray:
        result = a.value(z, out)
        result -= target
        return result

    return replace(a, value=value, negative_slope=None)


def _first_ln_gap(condition: Condition) -> float:
    """ln(1 − cosine) of two inputs where batch norm asks for it; else NaN, which costs nothing."""
    steps = (step for row in distinct(condition.layers) for step in row)
    if not any(isinstance(step, Norm) and step.kind == "batch" for step in steps):
        return math.nan
    return ln_of(input_gap(condition.inputs, condition.widths[0]))


def _inputs(condition: Condition) -> Signal:
    """h_0: all positions alike, and independent but for the mean that all components have."""
    dim, inputs = condition.widths[0], condition.inputs
    window = next((w.window for row in condition.layers for w in matrices(row)), None)
    second, variance = norm_moments(inputs, dim)[0] / dim, component_variance(inputs)
    shape = position_shape(window)
    alike = window is not None and window.positions > 1 and not shape
    cosine = (second - variance) / second if alike and second > 0 else math.nan
    zero = np.zeros(shape)[()]
    mean_share = math.sqrt(max(1 - variance / second, 0.0)) if second > 0 else 0.0
    ln_second, ln_variance = (zero + ln_of(moment) for moment in (second, variance))
    normal = inputs.distribution in ("standard_normal", "normal", "pair")
    share = math.copysign(mean_share, inputs.mean)
    return Signal(
        ln_second, ln_variance, zero + share, cosine, law="gaussian" if normal else "other"
    )
