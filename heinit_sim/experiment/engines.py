"""Which networks can be simulated without their weights, and which have a Jacobian."""

from collections.abc import Sequence

from heinit_sim.experiment.steps import Attention, Norm, Row, distinct, is_plain, matrices
from heinit_sim.experiment.sweep_config import EngineName, Lsuv


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


def why_no_jacobian(rows: Sequence[Row], engine: EngineName) -> str | None:
    """The reason why a network has no Jacobian of one input alone; None if it has one.

    Args:
        rows: The steps of the layers 0 … K.
        engine: How it is simulated.
    """
    if engine == "conditional":
        return "engine: conditional"
    for step in (step for row in distinct(rows) for step in row):
        if isinstance(step, Norm) and step.kind == "batch":
            return "batch norm, where inputs meet"
        if isinstance(step, Attention):
            return "attention, where inputs meet"
    return None
