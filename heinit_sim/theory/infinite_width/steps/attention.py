"""Σ_t' softmax(q_t · k_t'/√d) v_t': known where each input attends to itself alone, T = 1.

What softmax makes of the scores of several inputs is not known, nor what follows from it.
"""

import numpy as np

from heinit_sim.experiment.steps import Attention
from heinit_sim.theory.infinite_width.signals import Gradient, Signal, along_shape, unknown
from heinit_sim.theory.infinite_width.steps import weights
from heinit_sim.theory.infinite_width.steps.weights import WeightLaw


def forward(step: Attention, z: Signal, value: WeightLaw) -> Signal:
    """Ω_v z, of sequences of one input."""
    v = weights.forward(z, value)
    return v if step.tokens == 1 else unknown(v)


def back(
    step: Attention, gradient: Gradient, f: Signal, z: Signal, value: WeightLaw
) -> tuple[Gradient, tuple[Gradient, Gradient, Gradient]]:
    """∂ℓ/∂z, and ∂ℓ/∂(Ω_q z), ∂ℓ/∂(Ω_k z), ∂ℓ/∂(Ω_v z): one score has no gradient."""
    if step.tokens == 1:
        none = gradient._replace(ln_second=np.full(np.shape(gradient.ln_second), -np.inf)[()])
        return weights.back(gradient, f, z, value), (none, none, gradient)
    nothing = np.full(np.shape(z.ln_second), np.nan)[()]
    lost = Gradient(nothing, np.nan, np.full(along_shape(z), np.nan)[()], nothing, nothing)
    return lost, (lost, lost, lost)
