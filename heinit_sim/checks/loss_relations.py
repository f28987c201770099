"""Relations that tie the loss of each network, and its gradient, to f_K."""

from collections.abc import Iterator

import numpy as np

from heinit_sim.checks.relations import (
    RELATIVE,
    SHARE,
    SHARED_DECADES,
    Networks,
    Relation,
    at_most,
    equal,
    log_sum,
)
from heinit_sim.experiment.quantities import (
    INPUT_0,
    Measure,
    Statistic,
)
from heinit_sim.experiment.results import ConditionResult
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.theory import assumptions

LOSS_GRADIENTS = {
    "least_squares": "∂ℓ/∂f_K = 2 (f_K − y)",
    "cross_entropy": "∂ℓ/∂f_K = softmax − one-hot",
    "probe": "",
}
"""Loss -> its gradient, as a finding is named; a probe's is tied to nothing."""
_SMALL_DECADES = 12
"""So many decades below 1, 1 − exp(−ℓ) is ℓ but for rounding."""


def loss_gradient_relations(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Relations of ∂ℓ/∂f_K with f_K; none where the loss sees an activation of f_K."""
    if not assumptions.loss_sees_f(condition):
        return
    match condition.loss.name:
        case "least_squares":
            yield from _squares(condition, networks)
        case "cross_entropy":
            yield from _cross_entropy(condition, networks)


def _cross_entropy(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Softmax less one-hot has the sum 0, and squares of the sum 2 at most."""
    last = condition.depth
    df = {s: networks["grad_preactivation", s][:, last:] for s in ("second_moment", "variance")}
    measure: Measure = ("grad_preactivation", "variance")
    yield equal(measure, [last], df["variance"], df["second_moment"])
    most = np.full_like(df["second_moment"], np.log10(2 / condition.widths[-1]))
    yield at_most(("grad_preactivation", "second_moment"), [last], df["second_moment"], most)


def loss_relations(result: ConditionResult) -> Iterator[Relation]:
    """Relations of the loss ℓ, the mean over inputs, with f_K and ∂ℓ/∂f_K of each network.

    Σ (f_K − y)² is a quarter of ‖∂ℓ/∂f_K‖². Cross entropy is within √2 ‖f_K‖ of ln V, for ln Σ exp
    f_o is ln V and from the mean of f_o to the largest; and of p_t = exp(−ℓ) of one input
    ‖∂ℓ/∂f_K‖² is at most 2 (1 − p_t), concave in ℓ.
    """
    condition, loss = result.condition, result.outputs.get("log10_loss")
    if loss is None or np.isnan(loss).all() or not assumptions.loss_sees_f(condition):
        return  # a probe, or the run of an earlier version
    measure: Measure = ("preactivation", "second_moment")
    last, log10_outputs = [condition.depth], np.log10(condition.widths[-1])
    f, df = (
        result.networks[q, "second_moment"][:, -1:] + log10_outputs
        for q in ("preactivation", "grad_preactivation")
    )
    if condition.loss.name == "least_squares":
        yield equal(measure, last, loss, df - np.log10(4.0))
        return
    ln_classes = np.log(condition.widths[-1])
    far = (f + np.log10(2.0)) / 2
    yield at_most(measure, last, loss, log_sum(np.log10(ln_classes) + 0 * far, far))
    least = np.log10(np.maximum(ln_classes - 10**far, 0.0))
    yield at_most(measure, last, least, loss)
    below_one = np.where(loss < -_SMALL_DECADES, loss, np.log10(-np.expm1(-(10**loss))))
    yield at_most(measure, last, df, below_one + np.log10(2.0))


def _squares(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """The loss Σ (f_K − y)² has the gradient 2 (f_K − y); it varies as 2 f_K does.

    E[(f − y)²] = V + (m − y)² with m² = E[f²] − V: two values, for m above and below 0. The
    variance over the units of input 0 alone is not known, but between 0 and E[f²].
    """
    last = condition.depth
    df, f = (
        {s: networks[q, s][:, last:] for s in ("second_moment", "variance", INPUT_0)}
        for q in ("grad_preactivation", "preactivation")
    )
    four = np.log10(4.0)
    measure: Measure = ("grad_preactivation", "variance")
    yield equal(measure, [last], df["variance"], f["variance"] + four)
    single = condition.widths[-1] == 1
    variances: dict[Statistic, FloatArray | None] = {"second_moment": f["variance"]}
    variances[INPUT_0] = np.full_like(f[INPUT_0], -np.inf) if single else None
    for statistic, variance in variances.items():
        measure = ("grad_preactivation", statistic)
        if condition.loss.target == 0.0:
            yield equal(measure, [last], df[statistic], f[statistic] + four)
            continue
        excess = _off_target(df[statistic] - four, f[statistic], variance, condition.loss.target)
        yield Relation(*measure, [last], excess, np.zeros_like(excess))


def _off_target(
    gap: FloatArray, second: FloatArray, variance: FloatArray | None, target: float
) -> FloatArray:
    """0 where E[(f − y)²] is a value that it may have, but for rounding; else infinite.

    Args:
        gap: log10 of E[(f − y)²].
        second: log10 of E[f²].
        variance: log10 of V; None where it may be anything that E[f²] allows.
        target: y.
    """
    ln_y2 = 2 * np.log10(abs(target))
    scale = np.maximum(second, ln_y2)  # so that nothing leaves float range
    share = 4 * (SHARE + np.log(10) * RELATIVE * np.abs(scale))
    e, f2, y2 = (10 ** (z - scale) for z in (gap, second, ln_y2))
    v, y = (0.0 if variance is None else 10 ** (variance - scale)), np.sqrt(y2)
    smallest, largest = (np.sqrt(np.maximum(f2 - v + sign * share * f2, 0)) for sign in (-1, 1))
    if variance is None:  # m from −√E[f²] to √E[f²]
        smallest = -largest
    fits = np.isnan(gap) & np.isnan(second)
    fits |= (second == -np.inf) & (ln_y2 < -SHARED_DECADES)  # y² may be lost
    for low, high in ((smallest, largest), (-largest, -smallest)):
        nearest = np.maximum(np.maximum(low - y, y - high), 0.0)
        farthest = np.maximum(np.abs(low - y), np.abs(high - y))
        fits |= (e >= v + nearest**2 - share) & (e <= v + farthest**2 + share)
    return np.where(fits, 0.0, np.inf)
