"""Which networks can be simulated without their weights."""

from collections.abc import Sequence

from heinit_sim.experiment.steps import Row, distinct, is_plain, matrices
from heinit_sim.experiment.sweep_config import Lsuv


def why_not_conditional(rows: Sequence[Row], lsuv: Lsuv | None) -> str | None:
    """What keeps a network from being simulated without its weights, if anything does.

    Args:
        rows: The steps of the layers 0 … K.
        lsuv: How weights are fitted to the batch, if they are.
    """
    if lsuv:
        return "weights fitted to the batch, scheme: lsuv"
    for row in distinct(rows):
        if any(weights.window for weights in matrices(row)):
            return "convolutions"
        if not is_plain(row) or len(row) > 2:
            return "layers other than [weights, activation] and [weights]"
        spec = matrices(row)[0].spec
        if spec.weight_distribution != "normal":
            return f"weights that are {spec.weight_distribution}"
        if spec.weight_mean:
            return "weights of a mean"
    return None
