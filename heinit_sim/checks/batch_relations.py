"""Relations between the gradient of the batch's mean loss and those of its inputs.

A mean over inputs has no larger a square than these have on average (Jensen), and no smaller one
than the mean over weights or units, too. One input is the batch.
"""

from collections.abc import Iterator

from heinit_sim.checks.relations import Networks, Relation, at_most, equal, log_sum
from heinit_sim.experiment.quantities import BATCH_MEASURES, Measure, Quantity
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.theory import assumptions


def batch_relations(condition: Condition, networks: Networks) -> Iterator[Relation]:
    """Yield what ties each mean square of the batch's gradient to those of its inputs."""
    if not all(measure in networks for measure in BATCH_MEASURES):
        return
    of_weights, of_biases = BATCH_MEASURES
    dense = assumptions.layers_of_outer_products(condition)  # biases are added to their units
    parts: tuple[tuple[Measure, Quantity, list[int]], ...] = (
        (of_weights, "grad_weight", list(range(condition.depth + 1))),
        (of_biases, "grad_preactivation", dense),
    )
    for measure, by_input, layers in parts:
        if not layers:
            continue
        batch = networks[measure][:, layers]
        level, variance = (networks[by_input, s][:, layers] for s in ("second_moment", "variance"))
        if condition.n_inputs == 1:
            yield equal(measure, layers, batch, level)
        else:
            yield at_most(measure, layers, batch, level)
            yield at_most(measure, layers, level, log_sum(batch, variance))
