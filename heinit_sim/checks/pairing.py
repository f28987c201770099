"""Which conditions of two runs belong together, and where their configs differ."""

from collections.abc import Mapping

from heinit_sim.errors import RunDirectoryError
from heinit_sim.experiment.labels import shortened, to_text
from heinit_sim.experiment.results import ConditionResult, SweepResult
from heinit_sim.experiment.sweep_config import SweepConfig

Pair = tuple[ConditionResult, ConditionResult]

_LISTED = 4
"""So many conditions are named where there may be many."""
_APART = ("name", "figure", "record", "expect")
"""Keys of a config that no number depends on, but for rounding."""


def differing_settings(first: SweepConfig, second: SweepConfig) -> tuple[str, ...]:
    """A line for each key of the configs that differs, e.g. "seed: 0 against 1"."""
    one, other = (_settings(config.document, "") for config in (first, second))
    return tuple(
        f"{path}: {_shown(one.get(path))} against {_shown(other.get(path))}"
        for path in {**one, **other}
        if one.get(path) != other.get(path)
    )


def _shown(text: str | None) -> str:
    return "none" if text is None else shortened(text, 60)


def _settings(tree: Mapping[str, object], above: str) -> dict[str, str]:
    """Dotted path -> value on one line, of all that numbers depend on."""
    found: dict[str, str] = {}
    for key, value in tree.items():
        if not above and key in _APART:
            continue
        if isinstance(value, Mapping):
            found |= _settings(value, f"{above}{key}.")
        else:
            found[f"{above}{key}"] = to_text(value)
    return found


def pairs_of(first: SweepResult, second: SweepResult) -> tuple[list[Pair], str, list[str]]:
    """Conditions that belong together, how they were paired, and those that stay alone."""
    if first.config.sweep.keys() != second.config.sweep.keys():
        if len(first.conditions) != len(second.conditions):
            raise RunDirectoryError(
                "the runs sweep different keys and have different numbers of conditions "
                f"({len(first.conditions)} and {len(second.conditions)}), so none can be paired; "
                "give runs that sweep the same keys"
            )
        pairs = list(zip(first.conditions, second.conditions, strict=True))
        return pairs, "conditions paired by position", []
    others = {_swept(b): b for b in second.conditions}
    pairs = [(a, others[_swept(a)]) for a in first.conditions if _swept(a) in others]
    if not pairs:
        raise RunDirectoryError(
            "no condition of the one run is among those of the other; give runs that share values "
            f"of {', '.join(first.config.sweep)}"
        )
    known = {_swept(a) for a, _ in pairs}
    left_out = []
    for result, which in ((first, "first"), (second, "second")):
        alone = [of.condition.label for of in result.conditions if _swept(of) not in known]
        if alone:
            some = "; ".join(alone[:_LISTED]) + "; …" * (len(alone) > _LISTED)
            n = f"{len(alone)} condition{'s' * (len(alone) > 1)}"
            left_out.append(f"{n} that only the {which} run has ({some})")
    paths = ", ".join(sorted(first.config.sweep))
    return pairs, f"conditions paired by {paths}" if paths else "one condition each", left_out


def _swept(of: ConditionResult) -> str:
    """The swept values, in an order that both runs have."""
    return ", ".join(f"{path} = {to_text(v)}" for path, v in sorted(of.condition.swept.items()))
