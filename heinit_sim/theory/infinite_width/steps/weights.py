"""f = β + Ω z, whose channels are Gaussian, and what its gradient hands to z and to Ω.

∂ℓ/∂z has a part along z: given z and f = Ω z, a column of Ωᵀδ is z (fᵀδ)/‖z‖² and a part
independent of z, of variance σ² ‖δ‖². As D → ∞, and D_o with it,

    ∂ℓ/∂z = c z + √u w       c = fan_out σ² E[f δ]/q,  u = fan_out σ² E[δ²],  δ = ∂ℓ/∂f

Of images both are averages over the outputs that see a position, of which a stride leaves
1/stride along each dimension.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.steps import Weights, Window
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.positions import (
    signed_window_means,
    unevenness,
    window_means,
)
from heinit_sim.theory.infinite_width.signals import (
    Gradient,
    Signal,
    WeightGradient,
    linear,
    ln_of,
)


class WeightLaw(NamedTuple):
    """The moments of weights and biases, and how they are connected, for the maps."""

    ln_forward: float  # ln of fan_in σ²_Ω
    ln_backward: float  # ln of fan_out σ²_Ω
    ln_bias_variance: float = -math.inf
    bias_mean: float = 0.0
    window: Window | None = None  # what an output sees, if not all units
    rows: float = 0.0  # what orthogonal rows or columns take of the part that is not along z
    wide: bool = True  # whether an output sees more channels than one


@lru_cache(256)
def law_of(weights: Weights, variance: float) -> WeightLaw:
    """The law of weights of that variance, which may be another than they are said to have."""
    spec, window, fans = weights.spec, weights.window, weights.fans
    rows, wide = 0.0, True
    if window:
        wide = window.groups == 1 or weights.channels[0] > window.groups
    if window and spec.weight_distribution == "delta_orthogonal":
        window = window._replace(kernel=1)  # all but the centre is 0: no edge is seen
    if spec.weight_distribution.endswith("orthogonal"):
        rows = min(1 / (window.taps if window else 1), fans[0] / fans[1])
    ln_forward, ln_backward = (math.log(fan) + ln_of(variance) for fan in fans)
    ln_bias = ln_of(spec.bias_variance)
    return WeightLaw(ln_forward, ln_backward, ln_bias, spec.bias_mean, window, rows, wide)


def forward(z: Signal, law: WeightLaw) -> Signal:
    """q(p) = fan_in σ²_Ω (average of E[z²] over the window) + σ²_b, about the biases' mean c."""
    ln_w = law.ln_forward + window_means(z.ln_second, law.window)
    if law.ln_forward == -math.inf:  # whatever is not known of z
        ln_w = np.full(np.shape(ln_w), -np.inf)[()]
    ln_q = np.logaddexp(ln_w, law.ln_bias_variance)
    ln_mean = 2 * ln_of(abs(law.bias_mean))
    ln_second = np.logaddexp(ln_q, ln_mean)
    mean_share = 0.0 * np.isnan(ln_q)
    if law.bias_mean:
        mean_share = math.copysign(1.0, law.bias_mean) * np.exp((ln_mean - ln_second) / 2)
    cosine = math.nan
    if law.window and not math.isnan(z.cosine) and np.ndim(ln_q) == 0 and math.isfinite(ln_q):
        shares = np.exp(np.array([ln_w, law.ln_bias_variance, ln_mean]) - ln_second)
        cosine = float(shares @ [z.cosine, 1.0, 1.0])
    return Signal(
        *(ln_second, ln_q, mean_share, cosine),
        _ln_gap(z, law, ln_w, ln_second),
        "gaussian" if law.wide else "symmetric" if not law.bias_mean else "other",
    )


def _ln_gap(z: Signal, law: WeightLaw, ln_w: FloatArray, ln_second: FloatArray) -> float:
    """ln(1 − cosine) of two inputs: biases are the same for both."""
    if np.ndim(ln_w):
        biased = law.ln_bias_variance > -math.inf or law.bias_mean
        return math.nan if biased else z.ln_gap
    if ln_w == -math.inf:
        return -math.inf if ln_second > -math.inf else math.nan
    return float(ln_w - ln_second) + z.ln_gap


def back(df: Gradient, f: Signal, z: Signal, law: WeightLaw) -> Gradient:
    """∂ℓ/∂z = c z + √u w, window by window.

    u = fan_out σ²_Ω (average of E[(∂ℓ/∂f)²] over the window), and c the same of E[f ∂ℓ/∂f]/q, by
    which the mean loss depends on q. Orthogonal weights keep the length of ∂ℓ/∂f, so that what is
    along z is not elsewhere.
    """
    along = df.along[1] if f.law == "gaussian" else df.along
    ln_u = law.ln_backward + window_means(df.ln_second, law.window, back=True)
    ln_slope = np.log(np.abs(along)) + (df.ln_second - f.ln_variance) / 2
    sign, ln_slope = signed_window_means(np.sign(along), ln_slope, law.window, back=True)
    ln_along = 2 * (law.ln_backward + ln_slope) + z.ln_second
    ln_along = np.where(np.isfinite(ln_along), ln_along, -np.inf)  # of f or a gradient that is 0
    window = law.window
    uneven = unevenness(window)
    ln = np.logaddexp(ln_u, ln_along + ln_of(uneven - law.rows))
    share = np.where(np.isneginf(ln_along), 0.0, np.exp((ln_along - ln) / 2))
    share, cosine, between = (sign * share)[()], df.cosine, df.between
    squared = np.square(share)
    if share.ndim == 0 and not math.isnan(z.cosine):
        # of pairs of positions; a stride leaves some out, and some that see no output in common
        n, outputs = (window.positions, window.positions_out) if window else (1, 1)
        pairs = ((n - uneven) / uneven / (n - 1), (outputs - 1) / (n - 1)) if n > 1 else (1, 1)
        cosine = float(squared * z.cosine * pairs[0] + (1 - squared) * df.cosine * pairs[1])
    if share.ndim == 0 and share and not math.isnan(between):
        between = float(squared * -math.expm1(z.ln_gap) + (1 - squared) * between)
    gradient = linear(z, ln[()], cosine, share)
    return gradient._replace(tilt=uneven * gradient.tilt, between=between)


def gradient_of(df: Gradient, z: Signal, weights: Weights) -> WeightGradient:
    """E[(Σ_p ∂ℓ/∂f(p) z(p + δ))²], averaged over the taps δ, and the mean of it.

    Σ_p E[∂f(p)²] E[z(p + δ)²] over the positions within the image; and what gradients at other
    positions add where they are correlated, all positions being alike.

    Args:
        df: ∂ℓ/∂f.
        z: What the weights are given.
        weights: Their shape.
    """
    window = weights.window
    products = df.ln_second + window_means(z.ln_second, window)
    ln = products.item() if products.size == 1 else float(np.logaddexp.reduce(products))
    alike = 1
    if window is not None and products.size != window.positions_out:
        alike = window.positions_out
        across = (alike - 1) * df.cosine * z.cosine if df.cosine else 0.0
        ln += math.log(alike) + math.log1p(across)
    ln_means = np.log(np.abs(z.mean_share)) + z.ln_second / 2
    signs, ln_means = signed_window_means(np.sign(z.mean_share), ln_means, window)
    means = df.mean_share * signs * np.exp(ln_means + df.ln_second / 2 - ln / 2)
    mean_share = float(alike * np.sum(means)) if ln > -math.inf else 0.0
    return WeightGradient(ln, mean_share, math.prod(weights.shape))


def mean_gradient(gradients: list[WeightGradient]) -> WeightGradient:
    """All of them together."""
    if len(gradients) == 1:
        return gradients[0]
    total = sum(g.n_weights for g in gradients)
    shares = [g.n_weights / total for g in gradients]
    lns = [g.ln_second + math.log(share) for g, share in zip(gradients, shares, strict=True)]
    ln = float(np.logaddexp.reduce(lns))
    if ln == -math.inf:
        return WeightGradient(ln, 0.0, total)
    means = (
        share * g.mean_share * math.exp((g.ln_second - ln) / 2)
        for g, share in zip(gradients, shares, strict=True)
    )
    return WeightGradient(ln, sum(means), total)
