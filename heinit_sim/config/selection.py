"""Which conditions of the grid an expectation is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from heinit_sim.config.messages import Keys, shown
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.fields import hashable
from heinit_sim.config.schema.sweep import Expect, Expectation, When
from heinit_sim.experiment.labels import flow_text, shortened

_NULLABLE = ("network.residual",)
"""Null is a value there."""
_LISTED = 6
"""So many of the values that would match are quoted."""
_LONGEST = 60
"""A value of more characters is cut off in messages."""


@dataclass(frozen=True)
class Unmatched:
    """Why no condition is selected."""

    keys: Keys
    """Way from the selecting mapping to what no condition has; empty if it is the combination."""
    text: str


def expectations(given: object) -> list[Expectation]:
    """The expectations of a valid `expect`: one that stands alone is the only one."""
    expect: Expectation | list[Expectation] = TypeAdapter(Expect).validate_python(given)
    return expect if isinstance(expect, list) else [expect]


def written(expectation: Expectation) -> dict[str, Any]:
    """An expectation as plain values, without what is left out or null; but null may select."""
    plain = expectation.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)
    given = expectation.when.model_dump(by_alias=True, exclude_unset=True)
    if None in given.values():
        plain["when"] = {path: plain["when"].get(path) for path in given}
    return plain


def select(
    whens: Sequence[When], points: Sequence[Config]
) -> Iterator[tuple[int, ...] | list[Unmatched]]:
    """For each mapping the places of the points that have all its values, or why there are none.

    Args:
        whens: Dotted path -> value.
        points: The config at every point of the grid.
    """
    places: dict[str, dict[object, set[int]]] = {}  # path -> value -> places of the points
    everywhere = tuple(range(len(points)))
    paths = {name: str(field.alias) for name, field in When.model_fields.items()}
    for when in whens:
        wanted = {path: getattr(when, n) for n, path in paths.items() if n in when.model_fields_set}
        for path in wanted.keys() - places.keys():
            places[path] = _places(points, path)
        at = {path: places[path].get(hashable(value), set()) for path, value in wanted.items()}
        if all(at.values()):
            found = tuple(sorted(set.intersection(*at.values()))) if at else everywhere
            text = "matches no condition, must be values that one condition has together"
            yield found or [Unmatched((), text)]
        else:
            given = when.model_dump(by_alias=True, exclude_unset=True)
            yield [
                Unmatched((path,), f"matches no condition ({_given(given[path])}), must be {has}")
                for path, has in ((p, _listed(points, p, places[p])) for p in at if not at[p])
            ]


def _places(points: Sequence[Config], path: str) -> dict[object, set[int]]:
    places: dict[object, set[int]] = {}
    for place, config in enumerate(points):
        value = _at(config, path)
        if value is not None or path in _NULLABLE:
            places.setdefault(hashable(value), set()).add(place)
    return places


def _at(config: Config, path: str) -> object:
    value: object = config
    for key in path.split("."):
        value = getattr(value, key, None)  # a list, one for each layer, has none
    return value


def _plain(value: object) -> object:
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True, exclude_none=True)
    return value


def _given(value: object) -> str:
    return _quoted(value) if isinstance(value, dict | list) else shown(value)


def _quoted(value: object) -> str:
    return shortened(flow_text(value), _LONGEST)


def _listed(points: Sequence[Config], path: str, places: Mapping[object, set[int]]) -> str:
    """The values that conditions have at that path."""
    values = [_at(points[min(some)], path) for some in places.values()]
    if not values:
        return "left out; no condition has such a value"
    texts = [_quoted(_plain(value)) for value in values[:_LISTED]]
    more = ", …" if len(values) > _LISTED else ""
    return f"one of {', '.join(texts)}{more}" if len(values) > 1 else texts[0]
