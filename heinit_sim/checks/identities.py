"""Relations between the numbers of a run that hold in every network, whatever its weights are.

A second moment is ‖z‖² over units and inputs, a variance the same about the mean: triangle and
Lipschitz inequalities hold for the roots of both. Rounding alone may break a relation, and what it
can do follows from the sums and logarithms behind the numbers (`relations`).
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from heinit_sim.checks.batch_relations import batch_relations
from heinit_sim.checks.layer_ends import activation_relations, gradient_relations
from heinit_sim.checks.loss_relations import (
    LOSS_GRADIENTS,
    loss_gradient_relations,
    loss_relations,
)
from heinit_sim.checks.naming import finding_name
from heinit_sim.checks.relations import (
    ALIKE_DECADES,
    RELATIVE,
    SHARE,
    SHARED_DECADES,
    Networks,
    Relation,
    allowed_decades,
    at_most,
    decades_above,
    decades_apart,
    equal,
    is_small,
    log_sum,
    relation_finding,
    tells_inputs_apart,
)
from heinit_sim.checks.shared_draws import distinct_findings
from heinit_sim.experiment.quantities import (
    BETWEEN_INPUTS,
    INPUT_0,
    PASS_OF,
    UPDATE_PASS_OF,
    Measure,
    Quantity,
    Statistic,
)
from heinit_sim.experiment.results import ConditionResult, Finding
from heinit_sim.experiment.steps import behind_f, is_plain
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.numerics import FloatArray
from heinit_sim.theory import assumptions


def identity_findings(result: ConditionResult) -> Iterator[Finding]:
    """Hold the networks of one condition against all that must hold in each of them."""
    condition, networks = result.condition, result.networks
    named = {
        "numbers": _numbers(condition, networks),
        "variance ≤ second moment": _variances(condition, networks),
        "variance between inputs ≤ variance": _between_inputs(networks),
        "input 0 and the batch": _first_inputs(condition, networks),
        LOSS_GRADIENTS[condition.loss.name]: loss_gradient_relations(condition, networks),
        "ℓ": loss_relations(result),
        "∂ℓ/∂Ω_k = ∂ℓ/∂f_k h_kᵀ": _outer_products(condition, networks),
        "gradient of the batch ≤ of its inputs": batch_relations(condition, networks),
        "h_k from f": activation_relations(condition, networks),
        "∂ℓ/∂f_k from ∂ℓ/∂h": gradient_relations(condition, networks),
    }
    if result.outputs.get("log10_jacobian_second_moment") is not None:
        named["∂ℓ/∂x = Jᵀ ∂ℓ/∂f_K"] = _jacobians(result)
    for name, relations in named.items():
        with np.errstate(all="ignore"):  # zeros, overflows, what is no number
            listed = list(relations)
        if listed:
            yield relation_finding(finding_name(condition, name), listed)
    if condition.n_inputs > 1 and not tells_inputs_apart(networks):
        reason = "not in the run of an earlier version; give --force to run it again"
        yield Finding(finding_name(condition, BETWEEN_INPUTS), True, reason, tested=False)
    yield from distinct_findings(condition, networks)


def _numbers(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """No number is infinite, and NaN are all of a network from where it left float range on.

    Its gradients are NaN everywhere, and so is what a step along them changes, all but the inputs;
    after a step that is defined the network may leave float range at any layer.
    """
    may_be_lost = assumptions.may_leave_float_range(condition)
    f = np.isnan(networks["preactivation", "second_moment"])
    h = np.isnan(networks["activation", "second_moment"])
    gone = np.maximum.accumulate(f | h, axis=1)  # at f_k or before it
    for measure, log10 in networks.items():
        lost, wrong = np.isnan(log10), log10 == np.inf
        if measure[1] == BETWEEN_INPUTS and (condition.n_inputs == 1 or lost.all()):
            wrong = ~lost
        elif not may_be_lost:
            wrong |= lost
        elif measure[0] == "preactivation":
            wrong |= lost != gone
        elif measure[0] == "activation":
            wrong |= lost != h
            wrong[:, 1:] |= gone[:, :-1] & ~lost[:, 1:]
        elif measure[0] in UPDATE_PASS_OF:
            first = int(measure[0] == "activation_update")  # h_0 stays
            wrong[:, first:] |= gone[:, -1:] & ~lost[:, first:]
            wrong[:, 1:] |= lost[:, :-1] & ~lost[:, 1:]
        else:
            wrong |= lost != gone[:, -1:]
        excess = np.where(wrong, np.inf, 0.0)
        yield Relation(*measure, range(log10.shape[1]), excess, np.zeros_like(excess))


def _variances(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """No variance is above its second moment; a single number has none."""
    for quantity in PASS_OF:
        second, variance = networks[quantity, "second_moment"], networks[quantity, "variance"]
        layers = range(second.shape[1])
        excess = decades_above(variance, second)
        if condition.n_inputs == 1 and quantity != "grad_weight":
            forward = quantity in ("preactivation", "grad_preactivation")
            units = condition.widths[1:] if forward else condition.widths[:-1]
            single = np.array(units) == 1
            excess[:, single] = np.where(variance[:, single] > -np.inf, np.inf, 0.0)
        yield Relation(quantity, "variance", layers, excess, allowed_decades(second, variance))


def _between_inputs(networks: Networks) -> Iterator[Relation]:
    """The share of the inputs is no more than the variance, where it is not rounding."""
    quantities: tuple[Quantity, ...] = ("preactivation", "activation")
    for quantity in quantities if tells_inputs_apart(networks) else ():
        measure: Measure = (quantity, BETWEEN_INPUTS)
        least = networks[quantity, "second_moment"] - ALIKE_DECADES
        bound = np.maximum(networks[quantity, "variance"], least)
        yield at_most(measure, range(bound.shape[1]), networks[measure], bound)


def _first_inputs(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """One input is the batch; of several, the first is no more than all.

    A single output's weights make the same ‖∂ℓ/∂h_K‖² of ‖∂ℓ/∂f_K‖², whichever the input.
    """
    n = condition.n_inputs
    for quantity in PASS_OF:
        batch, first = networks[quantity, "second_moment"], networks[quantity, INPUT_0]
        layers = range(batch.shape[1])
        if n == 1:
            yield equal((quantity, "second_moment"), layers, batch, first)
        else:
            yield at_most((quantity, INPUT_0), layers, first, batch + np.log10(n))
    if n > 1 and condition.widths[-1] == 1 and _is_dense_at_the_end(condition):
        last = condition.depth
        kept = [
            networks["grad_activation", s][:, last:] - networks["grad_preactivation", s][:, last:]
            for s in ("second_moment", INPUT_0)
        ]
        sizes = (networks[q, INPUT_0][:, last:] for q in ("grad_activation", "grad_preactivation"))
        small = is_small(networks, "grad_activation")[:, last:]
        excess = np.where(small | np.isnan(kept[0]) | np.isnan(kept[1]), 0.0, decades_apart(*kept))
        yield Relation(
            "grad_activation", "second_moment", [last], excess, allowed_decades(*sizes, *kept)
        )


def _is_dense_at_the_end(condition: Condition) -> bool:
    """Whether f_K is β + Ω h_K, and the output itself."""
    return is_plain(condition.layers[-1]) and not behind_f(condition.layers[-1])


def _jacobians(result: ConditionResult) -> Iterator[Relation]:
    """Squares of singular values sum to ‖J‖², and ‖∂ℓ/∂x‖ is at most the largest ‖∂ℓ/∂f_K‖.

    Of one output it is the one there is.
    """
    condition, networks = result.condition, result.networks
    size = result.outputs["log10_jacobian_second_moment"]
    n_inputs, n_outputs = condition.widths[0], condition.widths[-1]
    norm = size + np.log10(n_inputs * n_outputs)
    measure: Measure = ("grad_activation", INPUT_0)
    values = result.outputs.get("log10_singular_values")
    if values is not None:
        top = values[:, :1]
        over = np.where(np.isfinite(top), values - top, -np.inf)
        total = 2 * top + np.log10((10.0 ** (2 * over)).sum(axis=1, keepdims=True))
        yield equal(measure, [0], np.where(np.isneginf(top), top, total), norm)
        norm = 2 * top
    if behind_f(condition.layers[-1]):
        return
    dx = networks[measure][:, :1] + np.log10(n_inputs)
    df = networks["grad_preactivation", INPUT_0][:, -1:] + np.log10(n_outputs)
    relation = (equal if n_outputs == 1 else at_most)(measure, [0], dx, df + norm)
    small = is_small(networks, "grad_activation")[:, :1]
    small |= is_small(networks, "grad_preactivation")[:, -1:]
    if assumptions.may_norm_all_away(condition):  # both are what rounding leaves
        small |= True
    yield relation._replace(excess=np.where(small, 0.0, relation.excess))


def _outer_products(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Second moments of ∂ℓ/∂Ω_k of one input are products; of a batch, means of such products.

    With A, B the means over N inputs of a = ‖∂ℓ/∂f_k‖² and b = ‖h_k‖², N E[ab] is from a_0 b_0 to
    a_0 b_0 + (NA − a_0)(NB − b_0), which one or two inputs reach. The squared mean of an outer
    product is the product of the squared means.
    """
    layers = assumptions.layers_of_outer_products(condition)
    if not layers:
        return
    w, df, h = (
        {s: networks[q, s][:, layers] for s in ("second_moment", "variance", INPUT_0)}
        for q in ("grad_weight", "grad_preactivation", "activation")
    )
    product = df[INPUT_0] + h[INPUT_0]
    relation = equal(("grad_weight", INPUT_0), layers, w[INPUT_0], product)
    lost = product < w["second_moment"] - SHARED_DECADES
    if assumptions.may_leave_float_range(condition):
        lost |= np.isinf(w[INPUT_0])
        yield relation._replace(excess=np.where(lost, 0.0, relation.excess))
    else:
        yield relation
    n, batch = condition.n_inputs, w["second_moment"]
    measure: Measure = ("grad_weight", "second_moment")
    least = product - np.log10(n)
    sums = [_others(z, n, sign) for sign in (-1, 1) for z in (df, h)]
    least_of_two, most = (log_sum(product, a + b) - np.log10(n) for a, b in (sums[:2], sums[2:]))
    yield at_most(measure, layers, batch, most)
    lower = at_most(measure, layers, least_of_two if n == 2 else least, batch)
    yield lower._replace(excess=np.where(lost, 0.0, lower.excess))
    if n == 1:
        yield _outer_variances(layers, w, df, h)


def _others(z: Mapping[Statistic, FloatArray], n: int, sign: int) -> FloatArray:
    """log10 of the sum over all inputs but the first of n, at the least or the most."""
    batch, first = z["second_moment"], z[INPUT_0]
    sizes = np.where(np.isfinite(batch), np.abs(batch), 0.0)
    rounding = sign * n * (SHARE + np.log(10) * RELATIVE * sizes)
    log10: FloatArray = batch + np.log10(
        np.clip(n - 10 ** (first - batch) + rounding, 0.0, n + np.abs(rounding))
    )
    return np.where(np.isneginf(batch), -np.inf, log10)


def _outer_variances(layers: Sequence[int], *of: Mapping[Statistic, FloatArray]) -> Relation:
    """E[ab]² = E[a]² E[b]² over the units of one input, as shares of the second moments."""
    ab, a, b = (1 - 10 ** (z["variance"] - z["second_moment"]) for z in of)
    gap = np.abs(ab - a * b)
    allowed = SHARE + RELATIVE * np.abs(np.nan_to_num(of[0]["second_moment"], neginf=0.0))
    excess = np.where(gap > 10 * allowed, np.inf, 0.0)
    return Relation("grad_weight", "variance", layers, excess, np.zeros_like(excess))
