"""The cosine of two inputs in each layer of an infinitely wide network: the correlation map.

    f_k: E[f f'] = fan_in σ²_k E[h h'] + σ²_b + c²          biases of variance σ²_b and mean c
    h_{k+1}: E[a(c + u₁) a(c + u₂)]                         u₁, u₂ ~ N(0, q_k), correlated as f_k is

each over the second moment of one input, and so on step by step. What is carried is ln of the gap
d = 1 − cosine, which keeps its digits where inputs come to point the same way, at any depth: that
of f_k − c is d of h_k times the weights' share of Var f. The variance between n inputs is
(n − 1)/n d E[z²].

Sources: Cho & Saul 2009 for ReLU; Poole et al. 2016, eq. 5; Schoenholz et al. 2017.
"""

import math
from collections.abc import Mapping

import numpy as np

from heinit_sim.experiment.quantities import BETWEEN_INPUTS, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.assumptions import has_normal_biases
from heinit_sim.theory.infinite_width.gaps import input_gap
from heinit_sim.theory.infinite_width.mean_field import forward
from heinit_sim.theory.infinite_width.signals import ln_of

_LN10 = math.log(10.0)


@np.errstate(divide="ignore", invalid="ignore")  # NaN is what is not known
def layer_cosines(
    condition: Condition, moments: Mapping[Measure, FloatArray]
) -> dict[Quantity, FloatArray]:
    """Cosine of two inputs in f_k and h_k, k = 0 … K, each of shape (K+1,).

    The two are any of the batch, or a pair, in infinitely wide layers. NaN where it is not known:
    f_K, which is not wide; what is beyond float range, or not known in `moments`; images that are
    not alike everywhere (zeros beyond their edges, but for positively homogeneous activations
    without biases); uniform biases; attention and what follows.

    Args:
        condition: The network and its inputs.
        moments: log10 second moments of its layers, as `mean_field` gives them.
    """
    gap = input_gap(condition.inputs, condition.widths[0])
    f, h = _ln_gaps(condition, gap)
    lost = [np.isnan(moments[quantity, "second_moment"]) for quantity in _FORWARD]
    return {
        "preactivation": np.where(lost[0], np.nan, 1 - np.append(np.exp(f[:-1]), np.nan)),
        "activation": np.where(lost[1], np.nan, 1 - np.append(gap, np.exp(h[1:]))),
    }


_FORWARD: tuple[Quantity, Quantity] = ("preactivation", "activation")


@np.errstate(divide="ignore", invalid="ignore")  # as above
def variances_between_inputs(
    condition: Condition, moments: Mapping[Measure, FloatArray]
) -> dict[Measure, FloatArray]:
    """Mean over networks of the variance between inputs of f_k and h_k, as log10, (K+1,) each.

    That of n inputs is Σ E[(z − z')²]/(2 n²) over all pairs: (n − 1)/n d E[z²] where two of them
    are like any others, (d + n − 2)/n E[z²] with `pair` inputs, of which n − 2 are independent of
    each. It is exact for h_0 and f_0, and in all layers of a linear network; else that of
    infinitely wide layers before it, whatever the width of the layer itself: f_K has one. NaN for
    one input, and where cosines are not known; behind an average over positions as well.

    Args:
        condition: The network and its inputs.
        moments: log10 second moments of its layers, as `mean_field` gives them.
    """
    n, shape = condition.n_inputs, (2, condition.depth + 1)
    ln_variances = np.full(shape, math.nan if n == 1 else -math.inf)
    ln_seconds = _LN10 * np.array([moments[quantity, "second_moment"] for quantity in _FORWARD])
    gap = input_gap(condition.inputs, condition.widths[0])
    starts = [((n - 1) / n, gap)]
    if condition.inputs.distribution == "pair":
        starts = [(1 / n, gap), ((n - 2) / n, 1.0)]
    for share, start in starts if n > 1 else []:
        if share > 0:
            ln_gaps = np.array(_ln_gaps(condition, start))
            ln_variances = np.logaddexp(ln_variances, ln_gaps + ln_seconds + math.log(share))
    if n > 1:
        ln_variances[ln_seconds == -math.inf] = -math.inf
    f, h = ln_variances / _LN10
    return {("preactivation", BETWEEN_INPUTS): f, ("activation", BETWEEN_INPUTS): h}


def _ln_gaps(condition: Condition, start: float) -> tuple[FloatArray, FloatArray]:
    """ln(1 − cosine) in f_0 … f_K and h_0 … h_K, of two inputs of that gap."""
    if not has_normal_biases(condition):  # the map takes f_k for normal
        nothing = np.full(condition.depth + 1, math.nan)
        return nothing, np.append(ln_of(start), nothing[1:])
    passed = forward(condition, ln_of(start))
    f = [layer.signals[layer.way.place_of_f].ln_gap for layer in passed]
    return np.array(f), np.array([layer.signals[0].ln_gap for layer in passed])
