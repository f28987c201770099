"""The gradient of the batch's mean loss in infinitely wide layers, as `.grad` holds it.

    E[((1/N) Σ_i δ_i h_iᵀ)²] = E[δ²] E[h²] (1 + Σ_{j≠i} ρ_ij c_ij)/N         by weights
    E[((1/N) Σ_i δ_i)²]      = E[δ²] (1 + Σ_{j≠i} ρ_ij)/N                    by biases

of N inputs, δ = ∂ℓ/∂f. c is the cosine of two inputs in h, which the correlation map carries
forward (`correlation_map`), and ρ = E[δ_i δ_j]/E[δ²] that of their gradients, which goes back by

    ρ → ρ E[a'(u_i) a'(u_j)]/E[a'²]

but for the part along the activations, whose likeness is theirs (`mean_field`). It begins with
E[δ_i δ_j] = 4 (q_K c + (E f_K − y)²) of ∂ℓ/∂f_K = 2 (f_K − y): a target far from f_K makes all
gradients alike there. Probes of two inputs have nothing in common; for cross entropy see
`cross_entropy`.

Source: Schoenholz et al. 2017, section 5, for the gradients of two inputs.
"""

import math

import numpy as np

from heinit_sim.experiment.quantities import BATCH_MEASURES, Measure
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.theory.infinite_width.gaps import input_gap
from heinit_sim.theory.infinite_width.mean_field import both_passes
from heinit_sim.theory.infinite_width.rows import OfWeights
from heinit_sim.theory.infinite_width.signals import ln_of

_LN10 = math.log(10.0)
_ROUNDING = 1e-12  # of 1 + Σ ρ c, which batch norm makes 0


@np.errstate(divide="ignore", invalid="ignore")  # −inf is ln 0, NaN what is not known
def batch_gradients(condition: Condition, *, independent: bool) -> dict[Measure, FloatArray]:
    """Mean squares of the gradient of the batch's mean loss, as log10, each of shape (K+1,).

    All matrices of a layer together, and all biases beside them, whether there are any. NaN where
    it is not known: convolutions, whose positions have cosines of their own between two inputs;
    gates, attention, and what lies before them; whatever `mean_field` does not know.

    Args:
        condition: The network, its inputs and its loss.
        independent: Take ∂ℓ/∂f_K for independent of the network, as textbooks do.
    """
    likenesses: float | FloatArray = 0.0
    for count, gap in _others(condition):
        _, returned, _ = both_passes(condition, ln_of(gap), independent=independent)
        # layer by layer, then matrix by matrix: of weights, and of biases
        every = [g for layer in returned for g in layer.of_weights]
        if count:  # of one input, what two have in common is not known
            likenesses = likenesses + count * np.array([_likeness(g) for g in every])
    sums = 1 + likenesses
    shares = np.where(np.abs(sums) < _ROUNDING, 0.0, sums) / condition.n_inputs
    ln_squares = np.array([_ln_levels(g) for g in every]) + np.log(shares)
    ln_counts = np.log([(math.prod(g.weights.shape), g.weights.shape[0]) for g in every])
    starts = np.cumsum([0, *(len(layer.of_weights) for layer in returned[:-1])])
    totals = np.logaddexp.reduceat(ln_squares + ln_counts, starts)
    ln_means = totals - np.logaddexp.reduceat(ln_counts, starts)
    return dict(zip(BATCH_MEASURES, ln_means.T / _LN10, strict=True))


def _others(condition: Condition) -> list[tuple[int, float]]:
    """How many other inputs one has beside it, of which 1 − cosine."""
    n, gap = condition.n_inputs, input_gap(condition.inputs, condition.widths[0])
    if condition.inputs.distribution == "pair":  # the other one of it, and independent ones
        return [(1, gap), (n - 2, 1.0)]
    return [(n - 1, gap)]


def _has_positions(g: OfWeights) -> bool:
    """Whether weights are shared by positions, or see several that are not alike."""
    return g.weights.window is not None or np.ndim(g.z.ln_second) > 0


def _ln_levels(g: OfWeights) -> tuple[float, float]:
    """Logarithms of E[δ²] E[z²] and of E[δ²]: mean squares for one input."""
    if _has_positions(g):
        return math.nan, math.nan
    df, z = float(g.df.ln_second), float(g.z.ln_second)
    return df + z, df


def _likeness(g: OfWeights) -> tuple[float, float]:
    """E[g g']/E[g²] of two inputs' gradients, by weights and by biases."""
    if _has_positions(g):
        return math.nan, math.nan
    if g.df.ln_second == -math.inf:
        return 0.0, 0.0
    return g.df.between * -math.expm1(g.z.ln_gap), g.df.between
