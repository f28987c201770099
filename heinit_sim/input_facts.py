"""What a run's manifest records of its inputs: the statistics that normalised them, their file."""

from heinit_sim import data_sets
from heinit_sim.records import Inputs, SweepConfig


def input_facts(config: SweepConfig) -> list[dict[str, object]]:
    """One entry per distinct inputs, of which plain standard-normal ones need none."""
    conditions: dict[Inputs, list[int]] = {}
    for condition in config.conditions:
        conditions.setdefault(condition.inputs, []).append(condition.index)
    return [
        {"conditions": at, **_facts(inputs)}
        for inputs, at in conditions.items()
        if inputs != Inputs()
    ]


def _facts(inputs: Inputs) -> dict[str, object]:
    facts: dict[str, object] = {
        "distribution": inputs.distribution,
        "normalisation": inputs.normalisation,
    }
    data = data_sets.is_data_set(inputs)
    if data:
        facts["examples"] = len(data_sets.examples(inputs))
    if inputs.path:
        facts |= {"path": inputs.path, "sha256": inputs.sha256}
    if inputs.normalisation != "none":
        found = data_sets.statistics(inputs) if data else None
        facts["mean"] = found.mean.tolist() if found else inputs.mean
        facts["std"] = found.std.tolist() if found else inputs.std
    return facts
