"""Which conditions of the grid are meant where a config gives values of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from heinit_sim.config.messages import shown
from heinit_sim.config.problem import Problem, keys_of
from heinit_sim.config.schema.annotations import as_written, hashable, located
from heinit_sim.config.schema.config import Config
from heinit_sim.config.schema.steps import DEFAULTS, Step, default_steps, is_row
from heinit_sim.experiment.labels import flow_text, shortened

_LISTED = 6  # values that would match are quoted at most


def select(
    whens: Sequence[Mapping[str, object]], points: Sequence[Config]
) -> Iterator[tuple[int, ...] | list[Problem]]:
    """For each mapping the places of the points that have all its values, or why there are none.

    Args:
        whens: Dotted path -> value, or a list of values of which one is enough.
        points: The config at every point of the grid.
    """
    paths = {path for when in whens for path in when}
    places = {path: _places(points, path) for path in paths}
    for when in whens:
        problems = []
        matches = []
        for path, given in when.items():
            whole = hashable(given, path) in places[path]  # a list may be one value
            values = [((), given)] if whole or is_row(given) else located(given)
            matches.append(set[int]())
            for at, value in values:
                found = places[path].get(hashable(value, path), set())
                matches[-1] |= found
                if not found:
                    text = _unmatched(as_written(value), _listed(points, path, places[path]))
                    problems.append(Problem((path, *at), text))
        common = set(range(len(points))).intersection(*matches)
        if not common and not problems:
            text = "matches no condition, must be values that one condition has together"
            problems.append(Problem((), text))
        yield problems or tuple(sorted(common))


def _places(points: Sequence[Config], path: str) -> dict[object, set[int]]:
    places: dict[object, set[int]] = {}
    for place, config in enumerate(points):
        value = _at(config, path)
        if value is not None:
            places.setdefault(hashable(value, path), set()).add(place)
    return places


def _at(config: Config, path: str) -> object:
    value: object = config
    for key in keys_of(path):
        if isinstance(value, Step):
            value = value.options if key == value.word else None
        elif isinstance(key, int):
            value = value[key] if isinstance(value, list) and key < len(value) else None
        elif value is config.network and key in DEFAULTS and getattr(value, key) is None:
            value = default_steps(*DEFAULTS[key])
        else:
            value = getattr(value, key, None)  # a list, one for each layer, has none
    return value


def _unmatched(value: object, allowed: str) -> str:
    given = _quoted(value) if isinstance(value, dict | list) else shown(value)
    return f"matches no condition ({given}), must be {allowed}"


def _quoted(value: object) -> str:
    return shortened(flow_text(value), 60)


def _listed(points: Sequence[Config], path: str, places: Mapping[object, set[int]]) -> str:
    values = [_at(points[min(some)], path) for some in places.values()]
    if not values:
        return "left out; no condition has such a value"
    texts = [_quoted(as_written(value)) for value in values[:_LISTED]]
    more = ", …" if len(values) > _LISTED else ""
    return f"one of {', '.join(texts)}{more}" if len(values) > 1 else texts[0]
