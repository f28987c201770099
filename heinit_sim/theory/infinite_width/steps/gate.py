"""a[Ω_g z] ⊙ Ω_v z, two factors that are independent of each other.

E[f²] = E[a²] E[v²]; of δ = ∂ℓ/∂f each factor is handed the other: δ ⊙ v through a', and δ ⊙ a.
"""

from typing import NamedTuple

import numpy as np

from heinit_sim.experiment.activation_table import Activation
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width import quadrature
from heinit_sim.theory.infinite_width.signals import Gradient, Signal, linear, mean_of
from heinit_sim.theory.infinite_width.steps import activation as activations
from heinit_sim.theory.infinite_width.steps import add, weights
from heinit_sim.theory.infinite_width.steps.activation import Activated
from heinit_sim.theory.infinite_width.steps.weights import WeightLaw


class Gated(NamedTuple):
    """The product, and its factors."""

    after: Signal
    gate: Signal  # Ω_g z
    activated: Activated  # a[Ω_g z]
    value: Signal  # Ω_v z
    a_fourth: FloatArray  # E[a⁴]/E[a²]²


def forward(activation: Activation, z: Signal, laws: tuple[WeightLaw, WeightLaw]) -> Gated:
    """Moments and cosines of a product are the products of those of its factors."""
    gate, value = (weights.forward(z, law) for law in laws)
    activated = activations.forward(activation, gate)
    a = activated.after
    ln_second, mean_share = a.ln_second + value.ln_second, a.mean_share * value.mean_share
    ln_gap = np.nan
    if np.ndim(ln_second) == 0:
        gaps = np.exp([a.ln_gap, value.ln_gap])
        ln_gap = float(np.logaddexp(a.ln_gap, value.ln_gap))
        if gaps.max() > 1e-8:
            ln_gap = float(np.log(gaps.sum() - gaps.prod()))
    after = Signal(
        ln_second,
        ln_second + np.log1p(-np.square(mean_share)),
        mean_share,
        a.cosine * value.cosine,
        ln_gap,
        "symmetric" if not laws[1].bias_mean and value.law == "gaussian" else "other",
    )
    return Gated(after, gate, activated, value, _fourth(activation, gate))


def _fourth(activation: Activation, z: Signal) -> FloatArray:
    """E[a⁴]/E[a²]² of a Gaussian signal."""
    alpha, shape = activation.common_slope, np.shape(z.ln_variance)
    if alpha is not None and not np.any(z.mean_share):
        return np.full(shape, 6 * (1 + alpha**4) / (1 + alpha**2) ** 2)[()]
    about = quadrature.about(activation, mean_of(z) if np.any(z.mean_share) else 0.0)
    q = np.exp(np.clip(np.atleast_1d(z.ln_variance), -600, 600))
    return quadrature.even_moments(about, q)[1].reshape(shape)[()]


def back(
    activation: Activation,
    gradient: Gradient,
    z: Signal,
    gated: Gated,
    laws: tuple[WeightLaw, WeightLaw],
) -> tuple[Gradient, tuple[Gradient, Gradient]]:
    """∂ℓ/∂z, and ∂ℓ/∂(Ω_g z) and ∂ℓ/∂(Ω_v z) on the way."""
    a, v = gated.activated, gated.value
    factor = 1 + gradient.tilt * (gated.a_fourth - 1)
    ln = gradient.ln_second + a.after.ln_second + np.log(factor)
    cosine = gradient.cosine * a.after.cosine if gradient.cosine else 0.0
    dv = linear(v, ln, cosine, gradient.along / np.sqrt(factor))
    v_fourth = 3 - 2 * v.mean_share**4
    cosine = gradient.cosine * v.cosine if gradient.cosine else 0.0
    # E[δ² v²] = E[δ²] E[v²] (1 + tilt (E[v⁴]/E[v²]² − 1)), of which as much more is as a²
    more = 1 + gradient.tilt * (v_fourth - 1)
    da = Gradient(
        gradient.ln_second + v.ln_second + np.log(more),
        cosine,
        gradient.along / np.sqrt(more),
        gradient.mean_share * v.mean_share,
        gradient.tilt * v_fourth / more,
    )
    dg = activations.back(activation, da, a, gated.gate)
    ways = [
        weights.back(df, f, z, law)
        for df, f, law in zip((dg, dv), (gated.gate, v), laws, strict=True)
    ]
    return add.join(ways[0], ways[1], z), (dg, dv)
