"""Laws of ∂ℓ/∂f_K that a loss has for any network, held against what networks show.

A probe's is N(0, 1) in each output and for each input: D_o N times its mean square is χ²_{D_o N}.
Of cross entropy, whose class t is drawn apart from all else,

    E[‖∂ℓ/∂f_K‖² | f_K] = 1 − 2/V + A,   A = Σ_o p_o²   from 1/V to 1

and of normal weights in the last layer E[A | h_K] is known (`output_loss`), which bounds the
variance by (E A − 1/V)(1 − E A + 4/V). The sum over networks of numbers within 2 of their means
obeys Bernstein's inequality.

Source: Bhatia & Davis 2000 for the variance of what is within an interval; Bernstein 1924.
"""

import math
from collections.abc import Iterator

import numpy as np

from heinit_sim.checks.layer_bounds import Law, rank_scores
from heinit_sim.checks.layer_ratios import LayerRatios, chi_square_scores, ln_norms
from heinit_sim.checks.scores import Score, Scores
from heinit_sim.experiment.quantities import INPUT_0, Statistic
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.theory import assumptions
from heinit_sim.theory.infinite_width import second_moments

_FARTHEST = 2.0  # ‖∂ℓ/∂f_K‖² of cross entropy is from 0 to 2


def iter_loss_laws(result: ConditionResult) -> Iterator[Law]:
    """Yield what is known of ∂ℓ/∂f_K where the loss sees f_K itself."""
    condition = result.condition
    if not assumptions.loss_sees_f(condition):
        return
    if condition.loss.name == "probe":
        yield from _probe_laws(result)
    if condition.loss.name == "cross_entropy" and assumptions.has_normal_outputs(condition):
        yield Law("loss gradient", None, _cross_entropy_scores(result))


def _probe_laws(result: ConditionResult) -> Iterator[Law]:
    condition = result.condition
    statistics: dict[Statistic, tuple[str, int]] = {INPUT_0: ("", 1)}
    if condition.n_inputs > 1:
        statistics["second_moment"] = (" of the batch", condition.n_inputs)
    for statistic, (batch, n_inputs) in statistics.items():
        ln = ln_norms(condition, result.networks, statistic)["grad_preactivation"][:, -1:]
        n = np.array([float(condition.widths[-1] * n_inputs)])
        last = np.array([condition.depth])
        ratio = n_inputs * np.exp(ln)
        law = LayerRatios("grad_preactivation", statistic, last, ratio, n, 2 * n, 8 * n, n)
        yield Law(f"loss gradient{batch}", None, chi_square_scores(law))
        yield Law(f"loss gradient{batch}, spread", None, rank_scores(law))


def _cross_entropy_scores(result: ConditionResult) -> Scores:
    """Hold the sum over networks of ‖∂ℓ/∂f_K‖², of their first input."""
    condition = result.condition
    ln, spec, n_classes = (
        ln_norms(condition, result.networks, INPUT_0),
        condition.specs[-1],
        condition.widths[-1],
    )
    squares = np.exp(ln["grad_preactivation"][:, -1])
    with np.errstate(divide="ignore"):  # no biases
        ln_b = np.log(spec.bias_variance)
        ln_q = np.logaddexp(np.log(spec.weight_variance) + ln["activation"][:, -1], ln_b)
    known = ~np.isnan(squares) & ~np.isnan(ln_q)
    if not known.any():
        return {}
    means = n_classes * second_moments(ln_q[known], n_classes)
    together = means - 1 + 2 / n_classes  # E A
    variances = np.maximum(together - 1 / n_classes, 0.0) * (1 - together + 4 / n_classes)
    total = float(means.sum())
    far = abs(float(squares[known].sum()) - total)
    bound = 2 * math.exp(-(far**2) / (2 * (float(variances.sum()) + _FARTHEST * far / 3) + 1e-300))
    relative = float(squares[known].sum()) / total
    return {None: Score(relative, 0.0, 0.0, int(known.sum()), bound=min(bound, 1.0))}
