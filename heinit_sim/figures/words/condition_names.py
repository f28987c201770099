"""Names of conditions as one says them: proper names, few digits, and what all share apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from heinit_sim.experiment.initializers import SCHEMES
from heinit_sim.experiment.labels import flow_text
from heinit_sim.experiment.sweep_config import Condition
from heinit_sim.figures.words.keys import key_text, keys_of_twins
from heinit_sim.figures.words.numbers import number_text, with_decimal
from heinit_sim.figures.words.values import Part, parted

_FANS: Mapping[str, Callable[[int, int], float]] = {
    "": lambda fan_in, fan_out: 1.0,
    "/fan-in": lambda fan_in, fan_out: fan_in,
    "/fan-out": lambda fan_in, fan_out: fan_out,
    "/mean fan": lambda fan_in, fan_out: (fan_in + fan_out) / 2,
    "/max fan": max,
}
"""Text after the number of σ²_Ω times a fan, where that is the same in all layers -> the fan."""


@dataclass(frozen=True)
class Name:
    """The name of a condition: what sets it apart from the others."""

    parts: tuple[Part, ...]
    full: str
    """The text that needs no heading, e.g. "$\\sigma^2_\\Omega$ = 0.02" or "SiLU, own gain"."""
    short: str
    """The text under the heading `Names.heading`, e.g. "0.02"; the full one if there is none."""


@dataclass(frozen=True)
class Names:
    """The names of conditions, and what is said of all of them."""

    names: tuple[Name, ...]
    heading: str
    """Symbol or word of the one number that all of them differ in; else empty."""
    common: str
    """The swept values that all share, e.g. "tanh"; empty for none."""

    @property
    def full(self) -> list[str]:
        """The full text of each."""
        return [name.full for name in self.names]

    @property
    def short(self) -> list[str]:
        """The short text of each."""
        return [name.short for name in self.names]


def named(
    conditions: Sequence[Condition],
    *,
    labels: Mapping[str, str] = MappingProxyType({}),
    decimal: str = ".",
) -> Names:
    """Name conditions by what sets them apart; a single one by all that is swept, or its σ²_Ω.

    Args:
        conditions: Those that are shown.
        labels: Text of a value, as the config writes it or as it is named here, or a whole name ->
            the text in its place. A number is found however it is written: "2e-2" is 0.02.
        decimal: The decimal mark.
    """
    columns: list[list[Part]] = [[] for _ in conditions]
    shared: list[str] = []
    paths = dict.fromkeys(path for condition in conditions for path in condition.swept)
    twins = keys_of_twins(paths)
    for path in paths:
        having = [n for n, condition in enumerate(conditions) if path in condition.swept]
        values = [conditions[n].swept[path] for n in having]
        common, parts = parted(path, values, labels, decimal)
        if path in twins:
            parts = [replace(part, key=twins[path]) for part in parts]
        if 1 < len(conditions) == len(having) and len({flow_text(value) for value in values}) == 1:
            shared.append(parts[0].text)
            continue
        shared += common
        for n, part in zip(having, parts, strict=True):
            columns[n].append(part)
    for condition, parts in zip(conditions, columns, strict=True):
        if not condition.swept:
            parts += _unswept_parts(condition, decimal)
    keys = {part.key for parts in columns for part in parts}
    one_number = len(columns) > 1 and len(keys) == 1 and all(len(parts) == 1 for parts in columns)
    heading = keys.pop() if one_number else ""
    names = []
    for parts in columns:
        full = ", ".join(part.text for part in parts)
        full = labels.get(full, full)
        names.append(Name(tuple(parts), full, parts[0].value if heading else full))
    return Names(tuple(names), heading, ", ".join(shared))


def _unswept_parts(condition: Condition, decimal: str) -> list[Part]:
    """Name a condition of which nothing is swept by the one law of its weights, if there is one."""
    if condition.lsuv:
        return [Part("init.scheme", "", SCHEMES["lsuv"].name)]
    for over, fan_of in _FANS.items():
        fans = np.array([fan_of(*fans) for fans in condition.fans])
        scales = np.array(condition.weight_variances) * fans
        if np.allclose(scales, scales[0], rtol=1e-9, atol=0):
            number = with_decimal(number_text(float(scales[0]), 4), decimal)
            return [Part("init.variance", key_text("init.variance"), number + over)]
    return []
