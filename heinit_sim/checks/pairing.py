"""Pairs of conditions of two runs that belong together, and where their configs differ."""

from collections.abc import Mapping

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.labels import shortened, to_text
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig
from heinit_sim.experiment.synonyms import first_names

Pair = tuple[ConditionResult, ConditionResult]

_LISTED = 4
"""Most conditions that are named."""
_WITHOUT_EFFECT = ("name", "figure", "record", "expect")
"""Keys of a config that no number depends on, but for rounding."""


def differing_settings(first: SweepConfig, second: SweepConfig) -> tuple[str, ...]:
    """A line for each key of the configs that differs, e.g. "seed: 0 against 1"."""
    old, new = (_settings(config.document, "") for config in (first, second))
    return tuple(
        f"{path}: {shortened(to_text(old.get(path, 'none')), 60)} against "
        f"{shortened(to_text(new.get(path, 'none')), 60)}"
        for path in {**old, **new}
        if first_names(old.get(path), path) != first_names(new.get(path), path)
    )


def _settings(tree: Mapping[str, object], above: str) -> dict[str, object]:
    """Dotted path -> value, of all that numbers depend on."""
    settings: dict[str, object] = {}
    for key, value in tree.items():
        if not above and key in _WITHOUT_EFFECT:
            continue
        if isinstance(value, Mapping):
            settings |= _settings(value, f"{above}{key}.")
        else:
            settings[f"{above}{key}"] = value
    return settings


def pair_conditions(first: SweepResult, second: SweepResult) -> tuple[list[Pair], str, list[str]]:
    """Pair the conditions of two runs by their swept values, or by position.

    Returns:
        The pairs; how they were paired, in words; a line for each run that has conditions which
        the other has not.

    Raises:
        RunDirectoryError: No condition of one run belongs to one of the other.
    """
    if first.config.sweep.keys() != second.config.sweep.keys():
        if len(first.conditions) != len(second.conditions):
            raise RunDirectoryError(
                "the runs sweep different keys and have different numbers of conditions "
                f"({len(first.conditions)} and {len(second.conditions)}), so none can be paired; "
                "give runs that sweep the same keys"
            )
        pairs = list(zip(first.conditions, second.conditions, strict=True))
        return pairs, "conditions paired by position", []
    others = {_swept_text(b): b for b in second.conditions}
    pairs = [(a, others[_swept_text(a)]) for a in first.conditions if _swept_text(a) in others]
    if not pairs:
        raise RunDirectoryError(
            "no condition of the one run is among those of the other; give runs that share values "
            f"of {', '.join(first.config.sweep)}"
        )
    paired = {_swept_text(a) for a, _ in pairs}
    unpaired = []
    for run, which in ((first, "first"), (second, "second")):
        labels = [a.condition.label for a in run.conditions if _swept_text(a) not in paired]
        if labels:
            listed = "; ".join(labels[:_LISTED]) + "; …" * (len(labels) > _LISTED)
            n = f"{len(labels)} condition{'s' * (len(labels) > 1)}"
            unpaired.append(f"{n} that only the {which} run has ({listed})")
    paths = ", ".join(sorted(first.config.sweep))
    return pairs, f"conditions paired by {paths}" if paths else "one condition each", unpaired


def _swept_text(result: ConditionResult) -> str:
    """The swept values on one line, in an order that both runs have."""
    swept = sorted(result.condition.swept.items())
    return ", ".join(f"{path} = {to_text(first_names(v, path))}" for path, v in swept)
